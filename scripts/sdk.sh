#!/usr/bin/env bash
# Prints the folder of a CloudEvents SDK with its program (conformance/sdk), which judges what we write and read.
#   scripts/sdk.sh go|java|python|node
# The one kept in the user's cache folder, by what is in it, or one that is fetched and built into it once (at most a minute
# each). Fails with one line where a tool is absent, or where nothing could be fetched.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh

language=$1
source=$PWD/conformance/sdk/$language

# The program alone, by a Go that is new enough.
make_go() {
    local go
    mkdir "$1/with" && go=$(fitting_go "$(sed -n 's|^go ||p' "$source/go.mod")" "$1/with") || return 1
    (cd "$source" && unset GOROOT && CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-buildvcs=false \
        "$go" build -trimpath -ldflags '-s -w' -o "$1/judge" .) && rm -rf "$1/with"
}

# The jars in libs, the program in classes. Maven writes its target folder beside the pom, and that is no place of ours.
make_java() {
    cp "$source/pom.xml" "$1" &&
        mvn -q -B -f "$1/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$1/libs" \
            -Dstyle.color=never &&
        javac -cp "$1/libs/*" -d "$1/classes" "$source/Judge.java" && rm -rf "$1/pom.xml" "$1/target"
}

# The packages in lib, for PYTHONPATH; the environment is there only for its pip.
make_python() {
    python3 -m venv "$1/venv" &&
        "$1/venv/bin/python" -m pip --disable-pip-version-check -q install --no-input --target "$1/lib" \
            -r "$source/requirements.txt" &&
        rm -rf "$1/venv" && cp "$source/judge.py" "$1"
}

# The packages in node_modules, for NODE_PATH.
make_node() {
    cp "$source"/package*.json "$1" && npm ci --prefix "$1" --ignore-scripts --no-audit --no-fund --silent &&
        cp "$source/judge.js" "$1"
}

case $language in
go) tools=(go) ;;
java) tools=(java javac mvn) ;;
python) tools=(python3) ;;
node) tools=(node npm) ;;
*)
    echo "sdk: '$language' is none of go, java, python and node" >&2
    exit 2
    ;;
esac
for tool in "${tools[@]}"; do
    if command -v "$tool" >/dev/null; then continue; fi
    echo "sdk: $tool is absent: apt-get install golang-go default-jdk-headless maven python3-venv nodejs npm, or your system's" >&2
    exit 1
done

# Some of Python's packages are compiled for its version.
version=$("${tools[0]}" "$([ "$language" = go ] && echo version || echo --version)" | head -n 1 | tr -cd '0-9.')
home=$(cache_dir)/sdk-$language-${version:0:12}-$(cat "$source"/* | sha256sum | cut -c -12)
if [ ! -d "$home" ]; then
    mkdir -p "$(dirname "$home")"
    work=$(mktemp -d "$home.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    if ! log=$( ("make_$language" "$work") 2>&1); then
        echo "sdk: the SDK for $language could not be fetched: $(grep . <<<"$log" | tail -n 1)" >&2
        exit 1
    fi
    chmod 755 "$work"
    # Whoever else was faster has made the same; one that is there is never replaced under a running test.
    mv -T "$work" "$home" 2>/dev/null || [ -d "$home" ] || exit 1
fi
echo "$home"
