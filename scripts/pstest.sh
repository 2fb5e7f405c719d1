#!/usr/bin/env bash
# Prints the path of the Pub/Sub server that tests run against: sidecar/testkit/pstest, which is Google's in-memory
# server and one of our own. The one kept in the user's cache folder, by version and source, or one that Go builds
# into it once (from Go's module proxy: 65 MB, a minute or three).
# With --find it builds nothing. Fails with one line where it is not there, or could not be built.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh

source=sidecar/testkit/pstest
version=$(sed -n 's|.*cloud.google.com/go/pubsub/v2 v\([^ ]*\).*|\1|p' "$source/go.mod")
wanted=$(sed -n 's|^go ||p' "$source/go.mod")
built=$(cat "$source"/go.mod "$source"/go.sum "$source"/*.go | sha256sum | cut -c1-12)
program=$(cache_dir)/pstest-$version-$built/pstest

if [ -x "$program" ]; then echo "$program" && exit; fi
if ! command -v go >/dev/null; then
    echo "pstest: go is absent: apt-get install golang-go, or your system's" >&2
    exit 1
fi
if [ "${1:-}" = --find ]; then
    echo "pstest: $program is absent: run scripts/pstest.sh" >&2
    exit 1
fi

mkdir -p "$(cache_dir)"
work=$(mktemp -d "$(cache_dir)/pstest.XXXXXX")
trap 'rm -rf "$work"' EXIT
if ! go=$(fitting_go "$wanted" "$work"); then
    echo "pstest: it needs Go $wanted, and this machine has $(go version) and could not fetch that one" >&2
    exit 1
fi
if ! log=$(cd "$source" && unset GOROOT && CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-buildvcs=false \
    "$go" build -trimpath -ldflags '-s -w' -o "$work/pstest" . 2>&1); then
    echo "pstest: it could not be built: $(head -n 1 <<<"$log")" >&2
    exit 1
fi
mkdir -p "$(dirname "$program")"
# Whoever else was faster has built the same; one that runs is never written to.
mv "$work/pstest" "$program"
echo "$program"
