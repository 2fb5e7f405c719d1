#!/usr/bin/env bash
# Prints the path of the OpenTelemetry collector that tests run against: sidecar/testkit/otelcol, which takes OTLP and
# writes what it got into a file. The one kept in the user's cache folder, by version and source, or one that Go builds
# into it once (from Go's module proxy: three minutes on two cores).
# With --find it builds nothing. Fails with one line where it is not there, or could not be built.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh

source=sidecar/testkit/otelcol
version=$(sed -n 's|.*go.opentelemetry.io/collector/receiver/otlpreceiver v\([^ ]*\).*|\1|p' "$source/go.mod")
wanted=$(sed -n 's|^go ||p' "$source/go.mod")
built=$(cat "$source"/go.mod "$source"/go.sum "$source"/*.go | sha256sum | cut -c1-12)
program=$(cache_dir)/otelcol-$version-$built/otelcol

if [ -x "$program" ]; then echo "$program" && exit; fi
if ! command -v go >/dev/null; then
    echo "otelcol: go is absent: apt-get install golang-go, or your system's" >&2
    exit 1
fi
if [ "${1:-}" = --find ]; then
    echo "otelcol: $program is absent: run scripts/otelcol.sh" >&2
    exit 1
fi

mkdir -p "$(cache_dir)"
work=$(mktemp -d "$(cache_dir)/otelcol.XXXXXX")
trap 'rm -rf "$work"' EXIT
if ! go=$(fitting_go "$wanted" "$work"); then
    echo "otelcol: it needs Go $wanted, and this machine has $(go version) and could not fetch that one" >&2
    exit 1
fi
if ! log=$(cd "$source" && unset GOROOT && CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS="-buildvcs=false -mod=readonly" \
    "$go" build -trimpath -ldflags '-s -w' -o "$work/otelcol" . 2>&1); then
    echo "otelcol: it could not be built: $(head -n 1 <<<"$log")" >&2
    exit 1
fi
mkdir -p "$(dirname "$program")"
# Whoever else was faster has built the same; one that runs is never written to.
mv "$work/otelcol" "$program"
echo "$program"
