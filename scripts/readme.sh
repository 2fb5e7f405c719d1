#!/usr/bin/env bash
# Writes the table of settings into README.md from `outrigger config table`; with --check only says whether it is current.
set -euo pipefail
cd "$(dirname "$0")/.."

written=$(mktemp)
trap 'rm -f "$written" "$written.table"' EXIT
cargo run --quiet --locked -p outrigger -- config table >"$written.table"
awk -v table="$written.table" '
    /^<!-- \/config -->/ { inside = 0 }
    !inside { print }
    /^<!-- config:/ { inside = 1; print ""; while ((getline line < table) > 0) print line; print "" }
' README.md >"$written"

if [ "${1:-}" != --check ]; then
    cat "$written" >README.md
elif ! diff -u README.md "$written"; then
    echo "README.md lags behind the settings: run scripts/readme.sh" >&2
    exit 1
fi
