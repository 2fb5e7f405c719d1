#!/usr/bin/env bash
# Prints the folder of the real Kafka that tests run against: jars, and an archive of their loaded classes.
# The one kept in the user's cache folder, by version, or one that Maven fetches into it once (55 MB, seconds).
# Fails with one line where java or mvn is absent, or where nothing could be fetched.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh

pom=scripts/kafka.pom.xml
version=$(sed -n 's|.*<artifactId>kafka_2.13</artifactId><version>\(.*\)</version>.*|\1|p' "$pom")
home=$(cache_dir)/kafka-$version

# A broker of its own for the moment, so that the classes which a start loads can be kept. With them the tests' brokers
# start in half the time; without them they start as well, so nothing here fails the script.
#   keep_classes HOME
keep_classes() {
    local jars archive=$1/classes.jsa new=$1/classes.jsa.$$ work controller broker java
    jars=$(find "$1/libs" -name '*.jar' | LC_ALL=C sort | paste -sd:)
    work=$(mktemp -d)
    controller=$((20000 + RANDOM % 12000)) broker=$((20000 + RANDOM % 12000))
    cat >"$work/server.properties" <<EOF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$broker,CONTROLLER://127.0.0.1:$controller
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$work/data
EOF
    java -Xmx128m -cp "$jars" kafka.tools.StorageTool format -t 4L6g3nShT-eMCtK--X86sw \
        -c "$work/server.properties" >"$work/log" 2>&1
    java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ArchiveClassesAtExit="$new" \
        -Dlog4j2.level=INFO -cp "$jars" kafka.Kafka "$work/server.properties" >>"$work/log" 2>&1 &
    java=$!
    for _ in $(seq 600); do
        grep -q 'Kafka Server started' "$work/log" && break
        kill -0 "$java" 2>/dev/null || break
        sleep 0.1
    done
    kill "$java" 2>/dev/null
    wait "$java"
    if [ -s "$new" ]; then mv "$new" "$archive"; else rm -f "$new"; fi
    rm -rf "$work"
}

packages="default-jre-headless maven"
needs kafka "$packages" java || exit 1
if [ ! -d "$home/libs" ]; then
    needs kafka "$packages" mvn || exit 1
    if ! log=$(keep "$home" maven_jars "$pom"); then
        echo "kafka: Maven could not fetch Kafka $version: $(grep -m 1 ERROR <<<"$log")" >&2
        exit 1
    fi
fi
# The archive names the jars by their path, so it can be made only where they stay.
if [ ! -e "$home/classes.jsa" ]; then keep_classes "$home" >&2; fi
echo "$home"
