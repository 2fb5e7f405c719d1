#!/usr/bin/env bash
# Prints the path of promtool: the one on the PATH, or one unpacked into the user's cache folder, by version, from the
# Debian package 'prometheus'. Nothing is installed into the system and no root is needed. Fails quietly without apt.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh

if command -v promtool; then exit 0; fi
kept=$(find "$(cache_dir)" -path '*/promtool-*/usr/bin/promtool' -perm -u+x 2>/dev/null | sort | tail -n 1)
if [ -n "$kept" ]; then echo "$kept" && exit 0; fi
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || exit 1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/archives/partial"
apt=(apt-get -qq -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work" -o APT::Sandbox::User="$(id -un)")
{
    "${apt[@]}" update && cd "$work" && "${apt[@]}" download prometheus && cd - >/dev/null
} >&2 || exit 1
package=$(find "$work" -maxdepth 1 -name 'prometheus_*.deb' | head -n 1)
home=$(cache_dir)/promtool-$(dpkg-deb -f "$package" Version | tr -c 'A-Za-z0-9.\n' '-')
mkdir -p "$(dirname "$home")" && dpkg-deb -x "$package" "$work/unpacked" || exit 1
# Only promtool is kept: the server that comes with it is large and never run.
mkdir -p "$home/usr/bin" && mv "$work/unpacked/usr/bin/promtool" "$home/usr/bin/" || exit 1
echo "$home/usr/bin/promtool"
