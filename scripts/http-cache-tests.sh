#!/usr/bin/env bash
# Prints the folder of the public test suite of HTTP caches (conformance/http-cache), which judges the answers that are kept.
# The one kept in the user's cache folder, by what is in it, or one that npm fetches into it once (seconds). Fails with one
# line where Node or npm is absent, or where nothing could be fetched.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh

source=conformance/http-cache
needs http-cache-tests "nodejs npm" node npm || exit 1

home=$(cache_dir)/http-cache-tests-$(cat "$source"/package*.json | sha256sum | cut -c -12)
if [ ! -d "$home" ] && ! log=$(keep "$home" node_packages "$source"); then
    echo "http-cache-tests: the suite could not be fetched: $(grep . <<<"$log" | tail -n 1)" >&2
    exit 1
fi
echo "$home/node_modules/http-cache-tests"
