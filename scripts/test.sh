#!/usr/bin/env bash
# Everything that must hold, one step after the other. A failed step does not stop the next, so that one run tells all.
#
# Every step's output also goes to target/test/<step>.log. The end repeats the closing lines of the test runners, names
# what was skipped, and says `N passed, N failed, N skipped`: tests as their runners count them, every other step as one.
# A skipped test returns early and is counted as passed by its runner; here it counts as skipped only.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh

out=${CARGO_TARGET_DIR:-target}/test
rm -rf "$out" && mkdir -p "$out"
out=$(cd "$out" && pwd)
export OUTRIGGER_SKIPS_FILE=$out/skips.txt
: >"$OUTRIGGER_SKIPS_FILE"
fuzz_seconds=${FUZZ_SECONDS:-3}

passed=0
failed=0
failed_steps=()

# Runs one step and keeps its output. A step that runs tests is counted by its own closing lines.
#   step NAME COMMAND...
step() {
    local name=$1 log=$out/$1.log started=$SECONDS status counts skips
    shift
    echo "== $name: $*"
    skips=$(wc -l <"$OUTRIGGER_SKIPS_FILE")
    "$@" 2>&1 </dev/null | tee "$log"
    status=${PIPESTATUS[0]}
    counts=$(sed -nE 's/^test result: .* ([0-9]+) passed; ([0-9]+) failed.*/\1 \2/p' "$log" |
        awk '{ p += $1; f += $2 } END { print p + 0, f + 0, NR }')
    read -r step_passed step_failed runners <<<"$counts"
    if [ "$runners" -eq 0 ] && [ "$status" -eq 0 ] && [ "$(wc -l <"$OUTRIGGER_SKIPS_FILE")" -gt "$skips" ]; then
        step_passed=1 # the skip of the whole step is subtracted below, with all others
    elif [ "$runners" -eq 0 ]; then
        step_passed=$((status == 0)) step_failed=$((status != 0))
    elif [ "$status" -ne 0 ] && [ "$step_failed" -eq 0 ]; then
        step_failed=1 # a runner that died before its closing line
    fi
    passed=$((passed + step_passed))
    failed=$((failed + step_failed))
    if [ "$step_failed" -ne 0 ]; then failed_steps+=("$name"); fi
    echo "== $name: $([ "$step_failed" -eq 0 ] && echo done || echo FAILED) after $((SECONDS - started)) s"
    echo
}

# The promtool that the metrics' test looks for on the PATH.
promtool_on_path() {
    local found
    found=$(scripts/promtool.sh) || return 0
    PATH=$(dirname "$found"):$PATH
    export PATH
}

# The real Kafka that the tests named kafka/… start. Where it is absent they say so.
kafka_home() {
    OUTRIGGER_KAFKA_HOME=$(scripts/kafka.sh) || return 0
    export OUTRIGGER_KAFKA_HOME
}

# The Pub/Sub that the tests named pubsub/… start. Where it cannot be built they say so.
pstest() {
    OUTRIGGER_PSTEST=$(scripts/pstest.sh) || return 0
    export OUTRIGGER_PSTEST
}

# OpenTelemetry's collector, which the tests of traces send to. Where it cannot be built they say so.
otelcol() {
    OUTRIGGER_OTELCOL=$(scripts/otelcol.sh) || return 0
    export OUTRIGGER_OTELCOL
}

promtool_on_path
kafka_home
pstest
otelcol
step format cargo fmt --all --check
step format-fuzz cargo fmt --manifest-path fuzz/Cargo.toml --check
step skips-checker scripts/skips_test.sh
step deny scripts/deny.sh bans licenses sources
step clippy cargo clippy --workspace --all-targets --locked -- -D warnings
step documentation env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
step tests cargo test --workspace --locked --no-fail-fast
step readme scripts/readme.sh --check
step fuzz scripts/fuzz.sh "$fuzz_seconds"

# An ignored test is a skip as well, and one that names nothing absent: .ci/run will not have it.
sed -nE 's/^test (.*) \.\.\. ignored.*/SKIPPED \1: ignored/p' "$out"/tests.log >"$out/ignored.txt"
cat "$out/ignored.txt" >>"$OUTRIGGER_SKIPS_FILE"
sort -u -o "$OUTRIGGER_SKIPS_FILE" "$OUTRIGGER_SKIPS_FILE"
skipped=$(sed -E 's/^SKIPPED (.*): .*/\1/' "$OUTRIGGER_SKIPS_FILE" | sort -u | wc -l)
passed=$((passed - skipped + $(wc -l <"$out/ignored.txt"))) # an ignored test was never among the passed

echo "== closing lines of the test runners"
grep -hE '^ +(Running|Doc-tests) |^test result: |^fuzz result: ' "$out"/tests.log "$out"/fuzz.log
echo "== skipped: $skipped"
cat "$OUTRIGGER_SKIPS_FILE"
if [ "$failed" -ne 0 ]; then echo "== failed: ${failed_steps[*]} (logs: $out)"; fi
echo "$passed $failed $skipped" >"$out/counts"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
