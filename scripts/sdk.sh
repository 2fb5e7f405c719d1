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

# The program alone.
make_go() {
    go_build judge "$source" "$1"
}

# The jars in libs, the program in classes.
make_java() {
    maven_jars "$source/pom.xml" "$1" && javac -cp "$1/libs/*" -d "$1/classes" "$source/Judge.java"
}

# The packages in lib, beside the program.
make_python() {
    python_packages "$source/requirements.txt" "$1" && cp "$source/judge.py" "$1"
}

# The packages in node_modules, beside the program.
make_node() {
    node_packages "$source" "$1" && cp "$source/judge.js" "$1"
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
needs sdk "golang-go default-jdk-headless maven python3-venv nodejs npm" "${tools[@]}" || exit 1

# Some of Python's packages are compiled for its version.
version=$("${tools[0]}" "$([ "$language" = go ] && echo version || echo --version)" | head -n 1 | tr -cd '0-9.')
home=$(cache_dir)/sdk-$language-${version:0:12}-$(cat "$source"/* | sha256sum | cut -c -12)
if [ ! -d "$home" ] && ! log=$(keep "$home" "make_$language"); then
    echo "sdk: the SDK for $language could not be fetched: $(grep . <<<"$log" | tail -n 1)" >&2
    exit 1
fi
echo "$home"
