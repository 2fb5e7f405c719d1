#!/usr/bin/env bash
# Judges what a test run skipped: every skip must be named by .ci/skips together with what it lacks, and that must
# really be absent.
#   scripts/skips.sh FILE-OF-SKIPPED-LINES LIST
# Exit 0: all are excused. 1: some are not, each named on standard error. 2: the list itself is wrong.
set -uo pipefail
. "$(dirname "$0")/lib.sh"

happened=$1
list=$2
faults=0

fault() {
    echo "skips: $*" >&2
    faults=1
}

# Whether the thing that an entry names is there. The kinds are described at the head of .ci/skips.
present() {
    case $1 in
    path:*) [ -e "${1#path:}" ] ;;
    shared:*) [ -e "$(shared_dir)/${1#shared:}" ] ;;
    env:*) [ -n "$(printenv "${1#env:}")" ] ;;
    tool:*) command -v "${1#tool:}" >/dev/null ;;
    mount:*) mountable "${1#mount:}" ;;
    esac
}

# Whether a file system of this type may be mounted here. Trying is the only way to know.
mountable() {
    local place status=1
    place=$(mktemp -d)
    if mount -t "$1" none "$place" 2>/dev/null; then status=0 && umount "$place"; fi
    rmdir "$place"
    return "$status"
}

# What an entry for this name says that it lacks: the entry of its whole name, else one for all names below a prefix.
excuses() {
    local prefix
    if [ -n "${excuse[$1]:-}" ]; then echo "${excuse[$1]}" && return; fi
    prefix=$1
    while [[ $prefix == */* ]]; do
        prefix=${prefix%/*}
        if [ -n "${excuse[$prefix/*]:-}" ]; then echo "${excuse[$prefix/*]}" && return; fi
    done
}

declare -A excuse
number=0
while IFS= read -r line || [ -n "$line" ]; do
    number=$((number + 1))
    line=${line%%#*}
    [ -n "${line//[[:space:]]/}" ] || continue
    read -r name needs rest <<<"$line"
    case $needs in
    path:?* | shared:?* | env:?* | tool:?* | mount:?*) ;;
    *)
        echo "skips: $list:$number: expected 'NAME path:…|shared:…|env:…|tool:…|mount:…', found '$line'" >&2
        exit 2
        ;;
    esac
    if [ -n "$rest" ]; then
        echo "skips: $list:$number: '$rest' after the entry; a comment begins with #" >&2
        exit 2
    fi
    excuse[$name]="${excuse[$name]:-} $needs"
done <"$list"

while IFS= read -r line || [ -n "$line" ]; do
    [ -n "$line" ] || continue
    name=${line#SKIPPED }
    name=${name%%: *}
    needed=$(excuses "$name")
    if [ -z "$needed" ]; then
        fault "$name was skipped, and $list does not name it ($line)"
        continue
    fi
    absent=0
    for needs in $needed; do
        if ! present "$needs"; then absent=1; fi
    done
    if [ "$absent" -eq 0 ]; then
        fault "$name was skipped although it is there:$needed ($line)"
    fi
done <"$happened"
exit "$faults"
