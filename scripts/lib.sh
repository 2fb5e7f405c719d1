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

# Whether each of TOOLS is there. Fails with one line that names the first which is not, and the packages that hold them.
#   needs NAME PACKAGES TOOLS...    where NAME says who needs them
needs() {
    local name=$1 packages=$2 tool
    shift 2
    for tool in "$@"; do
        if command -v "$tool" >/dev/null; then continue; fi
        echo "$name: $tool is absent: apt-get install $packages, or your system's" >&2
        return 1
    done
}

# Makes the folder HOME of what COMMAND leaves in an empty folder, which it gets as its last argument. All that is said
# goes to standard output, for the caller to tell where this fails.
#   keep HOME COMMAND...
keep() (
    exec 2>&1
    home=$1
    shift
    mkdir -p "$(dirname "$home")" && work=$(mktemp -d "$home.XXXXXX") || exit 1
    trap 'rm -rf "$work"' EXIT
    "$@" "$work" || exit 1
    chmod 755 "$work"
    # Whoever else was faster has made the same; one that is there is never replaced under a running test.
    mv -T "$work" "$home" 2>/dev/null || [ -d "$home" ]
)

# The jars of a pom into FOLDER/libs. Maven writes its target folder beside the pom, and that is no place of ours.
#   maven_jars POM FOLDER
maven_jars() {
    cp "$1" "$2/pom.xml" &&
        mvn -q -B -f "$2/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$2/libs" \
            -Dstyle.color=never &&
        rm -rf "$2/pom.xml" "$2/target"
}

# Python's packages into FOLDER/lib, for PYTHONPATH; the environment is there only for its pip.
#   python_packages REQUIREMENTS FOLDER
python_packages() {
    python3 -m venv "$2/venv" &&
        "$2/venv/bin/python" -m pip --disable-pip-version-check -q install --no-input --target "$2/lib" -r "$1" &&
        rm -rf "$2/venv"
}

# Node's packages into FOLDER/node_modules, for NODE_PATH: those of the package.json and its lock in SOURCE.
#   node_packages SOURCE FOLDER
node_packages() {
    cp "$1"/package*.json "$2" && npm ci --prefix "$2" --ignore-scripts --no-audit --no-fund --silent
}

# Prints the path of sidecar/testkit/NAME, a program in Go: the one kept in the user's cache folder, by its source and by
# the version of MODULE, which it is there for, or one that Go builds into it once, from its module proxy.
# With --find it builds nothing. Fails with one line where it is not there, or could not be built.
#   go_program NAME MODULE [--find]
go_program() {
    local name=$1 source=sidecar/testkit/$1 version built home log
    version=$(sed -n "s|.*$2 v\([^ ]*\).*|\1|p" "$source/go.mod")
    built=$(cat "$source"/go.mod "$source"/go.sum "$source"/*.go | sha256sum | cut -c1-12)
    home=$(cache_dir)/$name-$version-$built

    if [ -x "$home/$name" ]; then echo "$home/$name" && return; fi
    needs "$name" golang-go go || return
    if [ "${3:-}" = --find ]; then
        echo "$name: $home/$name is absent: run scripts/$name.sh" >&2
        return 1
    fi
    if ! log=$(keep "$home" go_build "$name" "$source"); then
        echo "$name: it could not be built: $(tail -n 1 <<<"$log")" >&2
        return 1
    fi
    echo "$home/$name"
}

# Builds the program in SOURCE as FOLDER/NAME, by a Go that is new enough. Where it cannot, its last line says why.
#   go_build NAME SOURCE FOLDER    where FOLDER is empty
go_build() {
    local name=$1 source=$2 folder=$3 wanted go log
    wanted=$(sed -n 's|^go ||p' "$source/go.mod")
    mkdir "$folder/with" || return
    if ! go=$(fitting_go "$wanted" "$folder/with"); then
        echo "it needs Go $wanted, and this machine has $(go version) and could not fetch that one"
        return 1
    fi
    if ! log=$(cd "$source" && unset GOROOT && CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-buildvcs=false \
        "$go" build -trimpath -ldflags '-s -w' -o "$folder/$name" . 2>&1); then
        # Before its first complaint Go tells what it fetches, and which package it is at.
        grep -vm 1 -E '^(go: downloading|#) ' <<<"$log"
        return 1
    fi
    rm -rf "$folder/with"
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
