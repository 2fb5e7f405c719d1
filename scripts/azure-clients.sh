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

case $language in
python) tools=(python3) wanted=$clients/requirements.txt fetch=(python_packages "$wanted") ;;
node) tools=(node npm) wanted=$clients/package-lock.json fetch=(node_packages "$clients") ;;
*)
    echo "azure-clients: '$language' is neither python nor node" >&2
    exit 2
    ;;
esac
needs azure-clients "python3-venv nodejs npm" "${tools[@]}" || exit 1

# Some of Python's packages are compiled for its version.
version=$("${tools[0]}" --version | tr -cd '0-9.')
home=$(cache_dir)/azure-$language-${version%.*}-$(sha256sum "$wanted" | cut -c -12)
if [ ! -d "$home" ] && ! log=$(keep "$home" "${fetch[@]}"); then
    echo "azure-clients: the clients for $language could not be fetched: $(tail -n 1 <<<"$log")" >&2
    exit 1
fi
echo "$home"
