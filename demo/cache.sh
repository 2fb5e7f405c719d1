#!/usr/bin/env bash
# The demo of kept answers: a miss, hits, what is not kept, a change, and a hit while the function is away. Ends by itself.
# Every line that it runs is one that a user could type; `make demo-cache` builds the two programs first.
set -euo pipefail
cd "$(dirname "$0")/.."
config=(-c demo/cache.yaml)
work=target/demo-cache
. demo/lib.sh
to=http://127.0.0.1:18081

# What of an answer is of interest here.
ask() {
    show curl -i "$@"
    curl -sSi "$@" | tr -d '\r' | grep -iE '^(HTTP|cache-status|age|\{)' | sed 's/^/    /'
}

say "1. Outrigger stands before a small function, and keeps what the function says may be kept"
start function "$bin/outrigger-function" --port 18082 --program demo/cache-program.json
function=$!
start_outrigger --url http://127.0.0.1:18082/
until_it is_ready

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
say "Done. The README tells the rest: \"Answers that are kept\"."
