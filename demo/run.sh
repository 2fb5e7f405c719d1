#!/usr/bin/env bash
# The demo: three dozen real events in three modes, a live table, a dead letter and its replay. Ends by itself.
# Every line that it runs is one that a user could type; `make demo` builds the two programs first.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${CARGO_TARGET_DIR:-target}/debug
outrigger=${OUTRIGGER:-$bin/outrigger}
config=(-c demo/outrigger.yaml)
to=http://127.0.0.1:18080/

bold='' plain=''
if [[ -t 1 ]]; then bold=$'\033[1m' plain=$'\033[0m'; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
run() { printf '$ %s\n' "${*/#$bin\//}"; "$@"; }

rm -rf target/demo && mkdir -p target/demo
say "1. Outrigger starts a small function and takes events for it"
printf '$ outrigger run -c demo/outrigger.yaml -- outrigger-function --program demo/program.json\n'
"$outrigger" run "${config[@]}" -- "$bin/outrigger-function" --program demo/program.json >target/demo/run.log 2>&1 &
running=$!
trap 'kill "$running" 2>/dev/null || true; wait "$running" 2>/dev/null || true' EXIT
for _ in $(seq 100); do
    "$outrigger" status "${config[@]}" --json 2>/dev/null | grep -q '"ready":true' && break
    if ! kill -0 "$running" 2>/dev/null; then cat target/demo/run.log >&2; exit 1; fi
    sleep 0.1
done

say "2. Real events of GitHub, Google Cloud and AWS come in: a third in each CloudEvents mode"
part() { # MODE FIRST LAST
    sed -n "$2,$3p" demo/events.jsonl | "$outrigger" send --to "$to" --mode "$1" --rate 10/s --batch-size 4 --from-lines
}
printf '$ outrigger send --to %s --mode %s --rate 10/s --from-lines < some-of-demo/events.jsonl\n' \
    "$to" binary "$to" structured "$to" batch
part binary 1 12 >target/demo/binary.log 2>&1 &
part structured 13 24 >target/demo/structured.log 2>&1 &
part batch 25 36 >target/demo/batch.log 2>&1 &

say "3. Meanwhile, live: some are tried twice, and one is refused for good"
run "$outrigger" status "${config[@]}" --until-idle 36
grep -h '^sent' target/demo/binary.log target/demo/structured.log target/demo/batch.log

say "4. The refused one is a dead letter, with its reason and its original bytes"
run "$outrigger" dead list "${config[@]}"
run "$outrigger" dead show "${config[@]}" 1 | head -n 20 | cut -c 1-120

say "5. The function would take it now, so the dead letter is replayed"
run "$outrigger" dead replay "${config[@]}" --all
for _ in $(seq 50); do
    "$outrigger" status "${config[@]}" --json | grep -q '"delivered":36' && break
    sleep 0.1
done
run "$outrigger" status "${config[@]}"
run "$outrigger" dead list "${config[@]}"

say "6. SIGTERM: it drains, stops the function and ends with 0"
kill -TERM "$running"
trap - EXIT
wait "$running"
say "Done. Now your own function: $bin/outrigger run -- python3 app.py"
