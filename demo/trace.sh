#!/usr/bin/env bash
# The demo of timelines: an event that is tried again, one that waits behind it, one that is given up, and what
# `outrigger trace` tells of each, without any collector. Ends by itself. `make demo-trace` builds the two programs first.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${CARGO_TARGET_DIR:-target}/debug
outrigger=${OUTRIGGER:-$bin/outrigger}
config=(-c demo/trace.yaml)
to=http://127.0.0.1:18081/

bold='' plain=''
if [[ -t 1 ]]; then bold=$'\033[1m' plain=$'\033[0m'; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
run() { printf '$ %s\n' "${*/#$bin\//}"; "$@"; }

rm -rf target/demo-trace && mkdir -p target/demo-trace
say "1. Outrigger starts a small function, with two lines more in its configuration"
grep -A1 '^trace:' demo/trace.yaml
"$outrigger" run "${config[@]}" -- "$bin/outrigger-function" --program demo/trace-program.json >target/demo-trace/run.log 2>&1 &
running=$!
trap 'kill "$running" 2>/dev/null || true; wait "$running" 2>/dev/null || true' EXIT
for _ in $(seq 100); do
    "$outrigger" status "${config[@]}" --json 2>/dev/null | grep -q '"ready":true' && break
    if ! kill -0 "$running" 2>/dev/null; then cat target/demo-trace/run.log >&2; exit 1; fi
    sleep 0.1
done

say "2. Three events come in: the function fails the first twice, and never takes the last"
for id in order-1 order-2; do
    run "$outrigger" send --to "$to" --id "$id" --key customer-7 -d '{"total": 3}'
done
run "$outrigger" send --to "$to" --id order-3 -d '{"total": -3}'
"$outrigger" status "${config[@]}" --until-idle 3 --json >/dev/null

say "3. Why did order-1 take so long? It was tried three times"
run "$outrigger" trace "${config[@]}" order-1
say "4. And order-2? It came after it, with the same key"
run "$outrigger" trace "${config[@]}" order-2
say "5. order-3 was given up"
run "$outrigger" trace "${config[@]}" order-3

say "6. After the end timelines are gone; the dead letter is still there"
kill -TERM "$running"
trap - EXIT
wait "$running"
run "$outrigger" trace "${config[@]}" order-3
say "Done. With a collector: trace.export: otlp, and trace.endpoint."
