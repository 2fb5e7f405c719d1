# What the scripts share. Sourced, with the repository's root as the working directory.

# Downloaded and built tools live here, by version, so that a clean checkout does not fetch them again.
cache_dir() {
    echo "${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/outrigger"
}

# The folder of public data that some tests read.
shared_dir() {
    echo "${OUTRIGGER_SHARED:-../shared}"
}

# Says that something was not run, and why, in the form that scripts/skips.sh reads.
#   skip NAME WHY
skip() {
    echo "SKIPPED $1: $2" >&2
    if [ -n "${OUTRIGGER_SKIPS_FILE:-}" ]; then
        echo "SKIPPED $1: $2" >>"$OUTRIGGER_SKIPS_FILE"
    fi
}
