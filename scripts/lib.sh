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

# The Go of this machine, or the one that a source wants: Go's module proxy has them as modules, which Go since 1.21
# fetches by itself unless it is told not to, and which an older one can fetch like any other.
#   fitting_go VERSION FOLDER    where FOLDER is empty and of the caller
fitting_go() {
    local wanted=$1 work=$2 have toolchain folder
    have=$(GOTOOLCHAIN=local go env GOVERSION) && have=${have#go}
    if [ "$(printf '%s\n' "$wanted" "${have%% *}" | sort -V | head -n 1)" = "$wanted" ]; then
        command -v go
        return
    fi
    printf 'module fetch\n' >"$work/go.mod"
    toolchain=golang.org/toolchain@v0.0.1-go$wanted.$(go env GOOS)-$(go env GOARCH)
    folder=$(cd "$work" && GOTOOLCHAIN=local GOFLAGS=-mod=mod go mod download -json "$toolchain" |
        sed -n 's|.*"Dir": "\(.*\)".*|\1|p')
    [ -n "$folder" ] || return 1
    # Modules are kept without the right to be run, and read-only.
    cp -r "$folder" "$work/go" && chmod -R u+w "$work/go" && chmod -R +x "$work/go/bin" "$work/go/pkg/tool" || return 1
    echo "$work/go/bin/go"
}
