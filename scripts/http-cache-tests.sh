#!/usr/bin/env bash
# Prints the folder of the public test suite of HTTP caches (conformance/http-cache), which judges the answers that are kept.
# The one kept in the user's cache folder, by what is in it, or one that npm fetches into it once (seconds). Fails with one
# line where Node or npm is absent, or where nothing could be fetched.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh

source=conformance/http-cache
for tool in node npm; do
    if command -v "$tool" >/dev/null; then continue; fi
    echo "http-cache-tests: $tool is absent: apt-get install nodejs npm, or your system's" >&2
    exit 1
done

home=$(cache_dir)/http-cache-tests-$(cat "$source"/package*.json | sha256sum | cut -c -12)
if [ ! -d "$home" ]; then
    mkdir -p "$(dirname "$home")"
    work=$(mktemp -d "$home.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    if ! log=$(cp "$source"/package*.json "$work" &&
        npm ci --prefix "$work" --ignore-scripts --no-audit --no-fund --silent 2>&1); then
        echo "http-cache-tests: the suite could not be fetched: $(grep . <<<"$log" | tail -n 1)" >&2
        exit 1
    fi
    chmod 755 "$work"
    # Whoever else was faster has fetched the same; one that is there is never replaced under a running test.
    mv -T "$work" "$home" 2>/dev/null || [ -d "$home" ] || exit 1
fi
echo "$home/node_modules/http-cache-tests"
