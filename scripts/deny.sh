#!/usr/bin/env bash
# Runs cargo-deny's checks; a pinned version is built once into the user's cache folder.
#   scripts/deny.sh bans licenses sources
#   scripts/deny.sh advisories
# Exit 0: clean, or skipped with a SKIPPED line (scripts/skips.sh judges those). Anything else: a finding.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh

version=0.20.2
root=$(cache_dir)/cargo-deny-$version
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# About 45 s on two cores as an unoptimised build, which is quick enough for a graph of this size.
install_deny() {
    echo "building cargo-deny $version into $root (once) ..."
    CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR="$root.build" \
        cargo install cargo-deny --version "$version" --locked --profile dev --root "$root.new" >"$log" 2>&1 || return 1
    rm -rf "$root" "$root.build" && mv "$root.new" "$root"
}

if [ ! -x "$root/bin/cargo-deny" ] && ! install_deny; then
    tail -n 20 "$log" >&2
    skip "deny-${1:-all}" "cargo-deny $version could not be built: see above"
    exit 0
fi

# Advisories need a database from outside. Not to have looked is no finding, but it is said.
if [ "$*" = advisories ]; then
    "$root/bin/cargo-deny" --workspace --all-features check advisories 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    if [ "$status" -ne 0 ] && grep -qiE 'failed to (fetch|clone|load|open).*(advisory|database)' "$log"; then
        skip deny-advisories "the advisory database could not be fetched"
        exit 0
    fi
    exit "$status"
fi

# A manifest that names no licence is judged by its LICENSE file instead, without a warning each time.
exec "$root/bin/cargo-deny" --workspace --all-features check --allow no-license-field "$@"
