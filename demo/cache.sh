#!/usr/bin/env bash
# The demo of kept answers: a miss, hits, what is not kept, a change, and a hit while the function is away. Ends by itself.
# Every line that it runs is one that a user could type; `make demo-cache` builds the two programs first.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${CARGO_TARGET_DIR:-target}/debug
outrigger=${OUTRIGGER:-$bin/outrigger}
config=(-c demo/cache.yaml)
to=http://127.0.0.1:18081

bold='' plain=''
if [[ -t 1 ]]; then bold=$'\033[1m' plain=$'\033[0m'; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
# What of an answer is of interest here.
ask() {
    printf '$ curl -i %s\n' "$*"
    curl -sSi "$@" | tr -d '\r' | grep -iE '^(HTTP|cache-status|age|\{)' | sed 's/^/    /'
}

rm -rf target/demo-cache && mkdir -p target/demo-cache
say "1. Outrigger stands before a small function, and keeps what the function says may be kept"
printf '$ outrigger-function --port 18082 --program demo/cache-program.json\n$ outrigger run -c demo/cache.yaml --url http://127.0.0.1:18082/\n'
"$bin/outrigger-function" --port 18082 --program demo/cache-program.json >target/demo-cache/function.log 2>&1 &
function=$!
"$outrigger" run "${config[@]}" --url http://127.0.0.1:18082/ >target/demo-cache/run.log 2>&1 &
running=$!
trap 'kill "$running" "$function" 2>/dev/null || true; wait "$running" "$function" 2>/dev/null || true' EXIT
for _ in $(seq 100); do
    "$outrigger" status "${config[@]}" --json 2>/dev/null | grep -q '"ready":true' && break
    if ! kill -0 "$running" 2>/dev/null; then cat target/demo-cache/run.log >&2; exit 1; fi
    sleep 0.1
done

say "2. The first request goes to the function, the next ones do not: see Cache-Status and Age"
ask "$to/prices"
sleep 1 # so that there is an age to see
ask "$to/prices"

say "3. A client that has it already hears so, and a part is served of the whole"
ask -H 'If-None-Match: "v1"' "$to/prices"
ask -r 2-7 "$to/prices"

say "4. What is private is for one alone, and what somebody with credentials asks for is not answered from memory"
ask "$to/account"
ask "$to/account"
ask -H 'Authorization: Bearer me' "$to/prices"

say "5. A change has it forgotten"
ask -X PUT "$to/prices"
ask "$to/prices"

say "6. The function goes away; what is fresh is served all the same, what is not kept is not"
kill "$function" && wait "$function" 2>/dev/null || true
ask "$to/prices"
ask --max-time 20 "$to/account"

say "7. SIGTERM: it ends with 0"
kill -TERM "$running"
wait "$running"
trap - EXIT
say "Done. The README tells the rest: \"Answers that are kept\"."
