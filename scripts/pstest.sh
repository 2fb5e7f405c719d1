#!/usr/bin/env bash
# Prints the path of the Pub/Sub server that tests run against: sidecar/testkit/pstest, which is Google's in-memory
# server and one of our own. The one kept in the user's cache folder, by version and source, or one that Go builds
# into it once (from Go's module proxy: 65 MB, a minute or three).
# With --find it builds nothing. Fails with one line where it is not there, or could not be built.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh

go_program pstest cloud.google.com/go/pubsub/v2 "$@"
