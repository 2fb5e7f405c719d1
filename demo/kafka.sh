#!/usr/bin/env bash
# The demo with Kafka: a real broker, three dozen real events from a topic to a function, and what it answers in another
# topic. Ends by itself. `make demo-kafka` builds the two programs first.
set -euo pipefail
cd "$(dirname "$0")/.."
config=(-c demo/kafka.yaml)
work=target/demo-kafka
. demo/lib.sh
brokers=127.0.0.1:29092

kafka=$(scripts/kafka.sh)
jars=$(find "$kafka/libs" -name '*.jar' | LC_ALL=C sort | paste -sd:)
tool() { java -Xmx128m -XX:TieredStopAtLevel=1 -XX:SharedArchiveFile="$kafka/classes.jsa" -cp "$jars" "$@" 2>"$work/tool.log"; }

say "1. A Kafka broker starts ($brokers), with a topic for orders and one for answers"
cat >"$work/server.properties" <<EOF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:29093
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://$brokers,CONTROLLER://127.0.0.1:29093
advertised.listeners=PLAINTEXT://$brokers
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=$work/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
offsets.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
EOF
tool kafka.tools.StorageTool format -t 4L6g3nShT-eMCtK--X86sw -c "$work/server.properties" >"$work/format.log"
# Nobody would type this, so it is not shown.
start broker java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:SharedArchiveFile="$kafka/classes.jsa" \
    -Dlog4j2.level=INFO -cp "$jars" kafka.Kafka "$work/server.properties" >/dev/null
until_it grep -q 'Kafka Server started' "$work/broker.log"
topic() { tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$brokers" --create --topic "$1" --partitions "$2"; }
topic orders 4
topic answers 1

say "2. Outrigger starts a small function and reads the topic for it"
start_outrigger -- "$bin/outrigger-function" --program demo/kafka-program.json
is_joined() { "$outrigger" kafka status "${config[@]}" --json 2>/dev/null | grep -q '"joined":true'; }
until_it is_joined

say "3. Real events of GitHub, Google Cloud and AWS go into the topic, in both CloudEvents modes"
run "$outrigger" send "${config[@]}" --kafka orders --from-lines < <(head -n 18 demo/events.jsonl)
run "$outrigger" send "${config[@]}" --kafka orders --mode structured --from-lines < <(tail -n 18 demo/events.jsonl)

say "4. They run in parallel across keys and in order within one; some are tried twice"
until_it is_delivered 36
run "$outrigger" status "${config[@]}"
all_committed() { ! "$outrigger" kafka status "${config[@]}" --json | grep -q '"lag_records":[1-9]'; }
until_it all_committed
run "$outrigger" kafka status "${config[@]}"

say "5. What the function answered is in the other topic (read by Kafka's own consumer)"
printf '$ kafka-console-consumer --topic answers --from-beginning --max-messages 36 | head -n 3\n'
tool org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "$brokers" --topic answers --from-beginning \
    --max-messages 36 --timeout-ms 20000 --formatter-property print.headers=true >"$work/answers.txt"
head -n 3 "$work/answers.txt"
echo "… $(wc -l <"$work/answers.txt") answers"

say "6. The whole topic once more, without touching the group's offsets"
run "$outrigger" replay "${config[@]}" --kafka orders --from offset:0
until_it is_delivered 72

say "7. SIGTERM: it drains, commits, stops the function and ends with 0"
kill -TERM "$running"
wait "$running"
say "Done. Now your own cluster: see the README, \"Your own Kafka\""
