#!/usr/bin/env bash
# Prints the folder of Microsoft's clients for Event Grid, which judge the fake: those of one language.
#   scripts/azure-clients.sh python|node
# The one kept in the user's cache folder, by what is in it, or one that pip or npm fetches into it once (seconds).
# Fails with one line where a tool is absent, or where nothing could be fetched.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh

language=$1
clients=conformance/eventgrid/clients/$language

# The packages in $1/lib, for PYTHONPATH; the environment is there only for its pip.
fetch_python() {
    python3 -m venv "$1/venv" &&
        "$1/venv/bin/python" -m pip --disable-pip-version-check -q install --no-input --target "$1/lib" \
            -r "$clients/requirements.txt" &&
        rm -rf "$1/venv"
}

# The packages in $1/node_modules, for NODE_PATH.
fetch_node() {
    cp "$clients"/package*.json "$1" && npm ci --prefix "$1" --ignore-scripts --no-audit --no-fund --silent
}

case $language in
python) tools=(python3) wanted=requirements.txt ;;
node) tools=(node npm) wanted=package-lock.json ;;
*)
    echo "azure-clients: '$language' is neither python nor node" >&2
    exit 2
    ;;
esac
for tool in "${tools[@]}"; do
    if command -v "$tool" >/dev/null; then continue; fi
    echo "azure-clients: $tool is absent: apt-get install python3-venv nodejs npm, or your system's" >&2
    exit 1
done

# Some of Python's packages are compiled for its version.
version=$("${tools[0]}" --version | tr -cd '0-9.')
home=$(cache_dir)/azure-$language-${version%.*}-$(sha256sum "$clients/$wanted" | cut -c -12)
if [ ! -d "$home" ]; then
    mkdir -p "$(dirname "$home")"
    work=$(mktemp -d "$home.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    if ! log=$("fetch_$language" "$work" 2>&1); then
        echo "azure-clients: the clients for $language could not be fetched: $(tail -n 1 <<<"$log")" >&2
        exit 1
    fi
    chmod 755 "$work"
    # Whoever else was faster has fetched the same; one that is there is never replaced under a running test.
    mv -T "$work" "$home" 2>/dev/null || [ -d "$home" ] || exit 1
fi
echo "$home"
