# How each demo begins, and what they share. Sourced at the repository's root by a demo that has said which one it is:
# `config` are the arguments that name its configuration, `work` is the folder which that names, and which is emptied.
bin=${CARGO_TARGET_DIR:-target}/debug
outrigger=${OUTRIGGER:-$bin/outrigger}
rm -rf "$work" && mkdir -p "$work"
# Whatever a demo starts ends with it.
trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT

bold='' plain=''
if [[ -t 1 ]]; then bold=$'\033[1m' plain=$'\033[0m'; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

# Shows a command as a user would type it; runs it, too.
show() { printf '$ %s\n' "${*/#$bin\//}"; }
run() { show "$@"; "$@"; }

# Shows a command and starts it in the background, as process $!. What it says goes to NAME.log in the demo's folder.
#   start NAME COMMAND...
start() {
    local log=$work/$1.log
    shift
    show "$@"
    "$@" >"$log" 2>&1 &
}

# Starts Outrigger, as process $running.
#   start_outrigger ARGUMENTS...
start_outrigger() {
    start run "$outrigger" run "${config[@]}" "$@"
    running=$!
}

# Waits until COMMAND succeeds, for half a minute at most, and no longer than Outrigger runs once it was started.
#   until_it COMMAND...
until_it() {
    for _ in $(seq 300); do
        if "$@"; then return; fi
        if [[ -n ${running:-} ]] && ! kill -0 "$running" 2>/dev/null; then cat "$work/run.log" >&2; exit 1; fi
        sleep 0.1
    done
    echo "it did not come about: $*; see $work/*.log" >&2
    exit 1
}
is_ready() { "$outrigger" status "${config[@]}" --json 2>/dev/null | grep -q '"ready":true'; }
# So many at least: what is delivered at least once may be delivered twice.
is_delivered() {
    local delivered
    delivered=$("$outrigger" status "${config[@]}" --json | grep -o '"delivered":[0-9]*')
    ((${delivered#*:} >= $1))
}
