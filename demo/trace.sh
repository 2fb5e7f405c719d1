#!/usr/bin/env bash
# The demo of timelines: an event that is tried again, one that waits behind it, one that is given up, and what
# `outrigger trace` tells of each, without any collector. Ends by itself. `make demo-trace` builds the two programs first.
set -euo pipefail
cd "$(dirname "$0")/.."
config=(-c demo/trace.yaml)
work=target/demo-trace
. demo/lib.sh
to=http://127.0.0.1:18081/

say "1. Outrigger starts a small function, with two lines more in its configuration"
grep -A1 '^trace:' demo/trace.yaml
start_outrigger -- "$bin/outrigger-function" --program demo/trace-program.json
until_it is_ready

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
wait "$running"
run "$outrigger" trace "${config[@]}" order-3
say "Done. With a collector: trace.export: otlp, and trace.endpoint."
