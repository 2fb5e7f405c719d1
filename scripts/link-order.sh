#!/usr/bin/env bash
# Writes sidecar/link-order.txt anew: the functions that the release binary runs, so that the linker lays them side by
# side. What is resident of an idle process is mostly code, which the system maps in pieces of 64 KiB around each page
# that runs. Scattered, the 2 MB that a start runs make 10 resident.
#
# It builds the release binary, with a map of it, and watches with valgrind what a start runs, a few requests through
# proxy and ingress, and both demos. To be done now and then after large changes: names that are gone are passed over.
# `make bench` shows when it is time (resident memory, idle).
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/need.sh cargo cc make perl java valgrind

out=sidecar/link-order.txt
target=${CARGO_TARGET_DIR:-target}
debug=$target/debug
work=$(mktemp -d)
started=()
trap 'kill "${started[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT

echo "building (minutes) ..."
# The very binary that is shipped, whose names no other setting of the profile gives: so it has no symbols of its own.
OUTRIGGER_LINK_MAP=$work/map cargo build --locked --release -p outrigger
cargo build --locked -p outrigger -p outrigger-function
binary=$(realpath "$target/release/outrigger")
# Address, in hexadecimal, and name of each function: each has a section of its own, named after it.
sed -nE 's/^ *([0-9a-f]+) .*:\(\.text\.((unlikely|hot|startup|split)\.)?(.+)\)$/\1 \4/p' "$work/map" >"$work/all"

# Stands for the binary in the demos: what runs is watched, the other verbs are quick.
cat >"$work/outrigger" <<EOF
#!/bin/sh
[ "\$1" = run ] || exec "$(realpath "$debug")/outrigger" "\$@"
exec valgrind -q --tool=callgrind --compress-strings=no --callgrind-out-file="$work/profile.%p" "$binary" "\$@"
EOF
chmod +x "$work/outrigger"

echo "watching a start, and requests through proxy and ingress ..."
cat >"$work/outrigger.yaml" <<EOF
function: {url: http://127.0.0.1:29180/}
ingress: {http: {listen: 127.0.0.1:29181}}
proxy: {listen: 127.0.0.1:29182}
journal: {path: $work/journal.db, storage: durable}
admin: {listen: 127.0.0.1:29183, socket: $work/admin.sock}
EOF
"$debug/outrigger-function" --port 29180 --quiet & started+=($!)
"$work/outrigger" run -c "$work/outrigger.yaml" >"$work/run.log" 2>&1 & running=$!
started+=("$running")
for _ in $(seq 600); do
    "$debug/outrigger" status -c "$work/outrigger.yaml" --json 2>/dev/null | grep -q '"ready":true' && break
    sleep 0.1
done
sleep 1
callgrind_control -d "$running" >/dev/null
mv "$work/profile.$running".1 "$work/start"
for to in 29181 29182; do
    "$debug/outrigger" send --to "http://127.0.0.1:$to/" --from-lines <demo/events.jsonl
done
"$debug/outrigger" status -c "$work/outrigger.yaml" --until-idle 36 >/dev/null
kill -TERM "$running"
wait "$running"

echo "watching the demos ..."
OUTRIGGER=$work/outrigger demo/run.sh >"$work/demo.log"
OUTRIGGER=$work/outrigger demo/kafka.sh >"$work/demo-kafka.log"

# The addresses of the functions of ours in profiles: without symbols they are named by these.
ran() { awk '/^ob=/ {ours = /outrigger$/} ours && /^fn=0x/ {sub(/^fn=0x0*/, ""); sub(/\x27[0-9]+$/, ""); print}' "$@" | sort -u; }
ran "$work/start" >"$work/start.ran"
ran "$work"/profile.* >"$work/work.ran"
# In the order that they have in the binary, which keeps neighbours together: what only work runs, what both run, what
# only a start runs.
awk -v start="$work/start.ran" -v work="$work/work.ran" '
    BEGIN {
        while ((getline address < start) > 0) starts[address] = 1
        while ((getline address < work) > 0) works[address] = 1
    }
    seen[$2]++ {next}
    works[$1] && !starts[$1] {a[++na] = $2}
    works[$1] && starts[$1] {b[++nb] = $2}
    starts[$1] && !works[$1] {c[++nc] = $2}
    END {
        for (i = 1; i <= na; i++) print a[i]
        for (i = 1; i <= nb; i++) print b[i]
        for (i = 1; i <= nc; i++) print c[i]
    }' "$work/all" >"$work/order"
[ "$(wc -l <"$work/order")" -ge 1000 ] || { echo "link-order: too few functions were seen" >&2; exit 1; }
mv "$work/order" "$out"
echo "$out: $(wc -l <"$out") functions"
