#!/usr/bin/env bash
# Prints the path of the OpenTelemetry collector that tests run against: sidecar/testkit/otelcol, which takes OTLP and
# writes what it got into a file. The one kept in the user's cache folder, by version and source, or one that Go builds
# into it once (from Go's module proxy: three minutes on two cores).
# With --find it builds nothing. Fails with one line where it is not there, or could not be built.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh

go_program otelcol go.opentelemetry.io/collector/receiver/otlpreceiver "$@"
