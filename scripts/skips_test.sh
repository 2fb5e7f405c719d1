#!/usr/bin/env bash
# The tests of scripts/skips.sh: a checker of skips that lets one through would hide whatever was skipped.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/shared/data/there"
export OUTRIGGER_SHARED=$work/shared
export SKIPS_TEST_SET=1
unset SKIPS_TEST_UNSET
passed=0
failed=0

# expect STATUS NAME SKIPPED-LINES LIST-LINES
expect() {
    printf '%b' "$3" >"$work/happened"
    printf '%b' "$4" >"$work/list"
    scripts/skips.sh "$work/happened" "$work/list" 2>"$work/said"
    local status=$?
    if [ "$status" -eq "$1" ]; then
        passed=$((passed + 1))
        echo "test $2 ... ok"
    else
        failed=$((failed + 1))
        echo "test $2 ... FAILED: exit $status instead of $1"
        cat "$work/said"
    fi
}

gone=path:no/such/path
expect 0 nothing_skipped_is_fine '' "a $gone\n"
expect 0 a_skip_that_is_named_with_an_absent_path_is_fine 'SKIPPED a: x is absent\n' "# why\na $gone # why\n"
expect 0 a_name_with_colons_is_read_whole 'SKIPPED m::a: x is absent\n' "m::a $gone\n"
expect 0 a_last_line_without_an_end_is_read 'SKIPPED a: x is absent' "a $gone"
expect 0 one_absent_thing_of_two_excuses 'SKIPPED a: x is absent\n' "a tool:bash\na $gone\n"
expect 1 a_skip_that_nobody_named_fails 'SKIPPED b: x is absent\n' "a $gone\n"
expect 1 a_second_skip_that_nobody_named_fails 'SKIPPED a: x\nSKIPPED b: x\n' "a $gone\n"
expect 1 a_prefix_of_a_name_excuses_nothing 'SKIPPED ab: x is absent\n' "a $gone\n"
expect 0 a_prefix_with_a_star_excuses_what_is_below_it 'SKIPPED k/a: x\nSKIPPED k/l/b: x\n' "k/* $gone\n"
expect 1 a_prefix_with_a_star_excuses_nothing_beside_it 'SKIPPED ka: x\n' "k/* $gone\n"
expect 1 a_star_alone_excuses_nothing 'SKIPPED a: x\n' "* $gone\n"
expect 1 a_star_excuses_nothing_that_is_there 'SKIPPED k/a: x\n' 'k/* tool:bash\n'
expect 1 a_whole_name_goes_before_a_star 'SKIPPED k/a: x\n' "k/* $gone\nk/a tool:bash\n"
expect 1 an_ignored_test_fails 'SKIPPED m::a: ignored\n' ''
expect 1 a_skip_while_the_path_is_there_fails 'SKIPPED a: x is absent\n' 'a path:Cargo.toml\n'
expect 1 a_skip_while_the_shared_data_is_there_fails 'SKIPPED a: x is absent\n' 'a shared:data/there\n'
expect 0 absent_shared_data_excuses 'SKIPPED a: x is absent\n' 'a shared:data/gone\n'
expect 1 a_skip_while_the_variable_is_set_fails 'SKIPPED a: x is absent\n' 'a env:SKIPS_TEST_SET\n'
expect 0 an_unset_variable_excuses 'SKIPPED a: x is absent\n' 'a env:SKIPS_TEST_UNSET\n'
expect 1 a_skip_while_the_tool_is_there_fails 'SKIPPED a: x is absent\n' 'a tool:bash\n'
expect 0 an_absent_tool_excuses 'SKIPPED a: x is absent\n' 'a tool:no-such-tool\n'
expect 0 a_mount_that_is_not_to_be_had_excuses 'SKIPPED a: x\n' 'a mount:no-such-type\n'
expect 2 an_entry_without_what_it_lacks_is_refused '' 'a\n'
expect 2 an_entry_of_an_unknown_kind_is_refused '' 'a file:x\n'
expect 2 an_entry_with_more_words_is_refused '' "a $gone b\n"

echo "test result: $([ "$failed" -eq 0 ] && echo ok || echo FAILED). $passed passed; $failed failed"
[ "$failed" -eq 0 ]
