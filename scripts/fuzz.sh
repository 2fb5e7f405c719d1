#!/usr/bin/env bash
# Every fuzz target for a while, from seeds made of the demo's events, with the stable toolchain.
#   scripts/fuzz.sh [SECONDS-FOR-EACH] [TARGET...]
#
# The instrumentation that cargo-fuzz asks a nightly compiler for is a pass of LLVM that stable has too; what it lacks is
# only the address sanitizer, which code without `unsafe` can do without. First a planted fault must be found: a build
# without working coverage would be silent about everything else as well.
#
# What was learnt is kept under target/fuzz/corpus. A finding is left under target/fuzz/artifacts with its target's name;
# run the command that is printed to see it again, and put the input into fuzz/seeds/TARGET/ with the repair.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh

seconds=${1:-5}
shift
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    mapfile -t targets < <(find fuzz/targets -name '*.rs' ! -name planted.rs -printf '%f\n' | sed 's/\.rs$//' | sort)
fi

if ! command -v c++ >/dev/null; then
    skip fuzz "c++ is absent, and the fuzzer's engine is C++"
    exit 0
fi

home=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
corpus=$home/corpus
artifacts=$home/artifacts
mkdir -p "$corpus" "$artifacts"

build() {
    # The versions that are tested are the versions that are fuzzed.
    cp Cargo.lock fuzz/Cargo.lock
    # With --target the flags reach neither build scripts nor macros.
    RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing" \
        CARGO_TARGET_DIR=$home cargo build --quiet --manifest-path fuzz/Cargo.toml --target "$host"
}

# Seeds: what is committed, the demo's events in each form, and the CloudEvents vectors where they are.
seed() {
    local number=0 line head data batch=
    for target in "${targets[@]}"; do
        mkdir -p "$corpus/$target"
        cp -n fuzz/seeds/"$target"/* "$corpus/$target/" 2>/dev/null
    done
    if [ -d "$corpus/config" ]; then cp -n demo/*.yaml "$corpus/config/" 2>/dev/null; fi
    mkdir -p "$corpus/http_binary" "$corpus/json_event" "$corpus/json_batch" "$corpus/record" "$corpus/gzip_body" \
        "$corpus/function_answer" "$corpus/kafka_record"
    while IFS= read -r line; do
        number=$((number + 1))
        head=$(sed -nE 's/^\{"specversion": "1.0", "id": "([^"]*)", "source": "([^"]*)", "type": "([^"]*)".*/\
ce-id: \1\nce-source: \2\nce-type: \3/p' <<<"$line")
        data=${line#*,\"data\":}
        data=${data%\}}
        printf 'ce-specversion: 1.0%s\ncontent-type: application/json\n\n%s' "$head" "$data" \
            >"$corpus/http_binary/demo-$number"
        printf '%s' "$line" >"$corpus/json_event/demo-$number"
        printf '\0\1\2\0\0%s' "$line" >"$corpus/record/demo-$number"
        sed '1,/^$/s/^ce-/ce_/' "$corpus/http_binary/demo-$number" >"$corpus/kafka_record/demo-$number"
        printf '\0\310%s' "$(<"$corpus/http_binary/demo-$number")" >"$corpus/function_answer/demo-$number"
        gzip -nc <<<"$data" >"$corpus/gzip_body/demo-$number"
        # The bare deflate stream within it: ten bytes of header before, eight of checksum and length behind.
        gzip -nc <<<"$data" | tail -c +11 | head -c -8 >"$corpus/gzip_body/deflate-$number"
        if command -v zstd >/dev/null; then zstd -qc <<<"$data" >"$corpus/gzip_body/zstd-$number"; fi
        batch="$batch${batch:+,}$line"
        if [ $((number % 4)) -eq 0 ]; then
            printf '[%s]' "$batch" >"$corpus/json_batch/demo-$number"
            batch=
        fi
    done <demo/events.jsonl
    local vectors kit
    kit=$(shared_dir)/data/cloudevents/cesql
    if [ -d "$kit" ]; then
        mkdir -p "$corpus/cesql"
        number=0
        while IFS= read -r line; do
            number=$((number + 1))
            printf '%s' "$line" >"$corpus/cesql/kit-$number"
        done < <(sed -nE 's/^ *expression: "?(.*[^"])"?$/\1/p' "$kit"/*.yaml)
    fi
    vectors=$(shared_dir)/data/cloudevents/json
    if [ -d "$vectors" ]; then
        find "$vectors" -name '*.json' ! -name '*batch*' -exec cp {} "$corpus/json_event/" \;
        find "$vectors" -name '*batch*.json' -exec cp {} "$corpus/json_batch/" \;
        chmod -R u+w "$corpus"
    fi
}

# run TARGET SECONDS: libFuzzer's own exit status; its output goes to a log.
run() {
    local binary=$home/$host/debug/$1
    mkdir -p "$corpus/$1"
    "$binary" -max_total_time="$2" -timeout=20 -rss_limit_mb=2048 -max_len=32768 -print_final_stats=1 \
        -artifact_prefix="$artifacts/$1-" "$corpus/$1" >"$home/$1.log" 2>&1 </dev/null
}

build || exit 1
seed

passed=0
failed=0
rm -rf "$corpus/planted"
if run planted 60; then
    echo "fuzz planted: NOT found in 60 s: coverage does not steer the fuzzer ($home/planted.log)"
    failed=1
else
    passed=1
    rm -f "$artifacts"/planted-*
    echo "fuzz planted: found, as it must be"
fi

for target in "${targets[@]}"; do
    if run "$target" "$seconds"; then
        passed=$((passed + 1))
        verdict=ok
    else
        failed=$((failed + 1))
        verdict=FAILED
    fi
    tries=$(sed -nE 's/^stat::number_of_executed_units: +//p' "$home/$target.log")
    covered=$(sed -nE 's/.* cov: ([0-9]+) .*/\1/p' "$home/$target.log" | tail -n 1)
    echo "fuzz $target: $verdict, ${tries:-?} inputs, ${covered:-?} places reached"
    if [ "$verdict" = FAILED ]; then
        tail -n 60 "$home/$target.log"
        found=$(find "$artifacts" -name "$target-*" -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2)
        echo "fuzz $target: again with: $home/$host/debug/$target ${found:-?}"
    fi
done

echo "test result: $([ "$failed" -eq 0 ] && echo ok || echo FAILED). $passed passed; $failed failed"
[ "$failed" -eq 0 ]
