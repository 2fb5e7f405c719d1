#!/usr/bin/env bash
# The demo: three dozen real events in three modes, a live table, a dead letter and its replay. Ends by itself.
# Every line that it runs is one that a user could type; `make demo` builds the two programs first.
set -euo pipefail
cd "$(dirname "$0")/.."
config=(-c demo/outrigger.yaml)
work=target/demo
. demo/lib.sh
to=http://127.0.0.1:18080/

say "1. Outrigger starts a small function and takes events for it"
start_outrigger -- "$bin/outrigger-function" --program demo/program.json
until_it is_ready

say "2. Real events of GitHub, Google Cloud and AWS come in: a third in each CloudEvents mode"
senders=()
part() { # MODE FIRST LAST
    "$outrigger" send --to "$to" --mode "$1" --rate 10/s --batch-size 4 --from-lines \
        < <(sed -n "$2,$3p" demo/events.jsonl) >"$work/$1.log" 2>&1 &
    senders+=($!)
}
printf '$ outrigger send --to %s --mode %s --rate 10/s --from-lines < some-of-demo/events.jsonl\n' \
    "$to" binary "$to" structured "$to" batch
part binary 1 12
part structured 13 24
part batch 25 36

say "3. Meanwhile, live: some are tried twice, and one is refused for good"
run "$outrigger" status "${config[@]}" --until-idle 36
wait "${senders[@]}"
grep -h '^sent' "$work"/{binary,structured,batch}.log

say "4. The refused one is a dead letter, with its reason and its original bytes"
run "$outrigger" dead list "${config[@]}"
run "$outrigger" dead show "${config[@]}" 1 | head -n 20 | cut -c 1-120

say "5. The function would take it now, so the dead letter is replayed"
run "$outrigger" dead replay "${config[@]}" --all
until_it is_delivered 36
run "$outrigger" status "${config[@]}"
run "$outrigger" dead list "${config[@]}"

say "6. SIGTERM: it drains, stops the function and ends with 0"
kill -TERM "$running"
wait "$running"
say "Done. Now your own function: $bin/outrigger run -- python3 app.py"
