#!/usr/bin/env bash
# Prints the path of the real Redis or Valkey that tests run against: the first of this machine's servers.
# Fails with one line where there is none.
set -uo pipefail

for server in redis-server valkey-server; do
    if command -v "$server"; then exit; fi
done
echo "redis: redis-server is absent: apt-get install redis-server (or valkey-server), or your system's" >&2
exit 1
