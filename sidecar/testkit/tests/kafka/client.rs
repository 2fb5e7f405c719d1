//! The client on the shared broker: what is written is found, and what was changed is changed.

use std::{collections::BTreeMap, time::Duration};

use outrigger_testkit::{
    kafka::{self, Committed, RDKafkaErrorCode, Record, Stored},
    process::WAIT_MAX,
};

fn texts(records: &[Stored]) -> Vec<String> {
    records.iter().map(Stored::text).collect()
}

#[tokio::test]
async fn a_record_comes_back_with_all_it_had() {
    let Some(kafka) = kafka::shared("a_record_comes_back_with_all_it_had").await else { return };
    let client = kafka.client();
    // Its record is years old, and would be taken away by the broker's first look at what is.
    client.create_topic("whole", 3, &[("retention.ms", "-1")]).await.unwrap();
    let whole =
        Record::new("whole", [0, 159, 146, 150]).key([255, 0]).partition(2).timestamp_ms(1_700_000_000_123);
    let whole = whole.header("h", "1").null_header("h").header("h", "").header("ce_id", "4");
    let placed = client.produce([whole.clone(), Record::tombstone("whole", "k").partition(0)]).await.unwrap();
    assert_eq!(placed, [(2, 0), (0, 0)]);
    let found = client.read("whole").await.unwrap();
    assert_eq!(
        (found.len(), found[0].partition, found[0].key_text(), &found[0].value),
        (2, 0, "k".to_owned(), &None)
    );
    let Stored { partition, offset, timestamp_ms, key, value, headers } = found[1].clone();
    assert_eq!((partition, offset, timestamp_ms), (2, 0, Some(1_700_000_000_123)));
    assert_eq!((key, value, headers), (whole.key, whole.value, whole.headers));
    assert_eq!(found[1].header("ce_id"), Some("4".to_owned()));
}

#[tokio::test]
async fn many_records_keep_their_order_and_their_keys_a_partition() {
    let Some(kafka) = kafka::shared("many_records_keep_their_order_and_their_keys_a_partition").await else {
        return;
    };
    let client = kafka.client();
    client.create_topic("many", 4, &[]).await.unwrap();
    let record = |n: u32| Record::new("many", n.to_string()).key(format!("k{}", n % 7));
    assert_eq!(client.produce((0..20_000).map(record)).await.unwrap().len(), 20_000);
    let mut places: BTreeMap<String, (i32, u32)> = BTreeMap::new();
    let found = client.read("many").await.unwrap();
    assert_eq!(found.len(), 20_000);
    for record in found {
        let n: u32 = record.text().parse().unwrap();
        let (partition, last) = places.entry(record.key_text()).or_insert((record.partition, n));
        assert!(*partition == record.partition && *last <= n, "{record:?}");
        *last = n;
    }
    assert_eq!(places.len(), 7);
}

#[tokio::test]
async fn a_topic_can_grow_and_go() {
    let Some(kafka) = kafka::shared("a_topic_can_grow_and_go").await else { return };
    let client = kafka.client();
    client.create_topic("grows", 1, &[]).await.unwrap();
    assert!(client.create_topic("grows", 1, &[]).await.is_err(), "it is there already");
    client.add_partitions("grows", 3).await.unwrap();
    client.produce([Record::new("grows", "x").partition(2)]).await.unwrap();
    assert_eq!(client.read("grows").await.unwrap().len(), 1);
    client.delete_topic("grows").await.unwrap();
    let code = client.read("grows").await.unwrap_err().rdkafka_error_code();
    assert_eq!(code, Some(RDKafkaErrorCode::UnknownTopicOrPartition));
}

#[tokio::test]
async fn deleted_records_are_gone_and_the_offsets_go_on() {
    let Some(kafka) = kafka::shared("deleted_records_are_gone_and_the_offsets_go_on").await else { return };
    let client = kafka.client();
    client.create_topic("shrinks", 1, &[]).await.unwrap();
    client.produce((0..5).map(|n| Record::new("shrinks", n.to_string()))).await.unwrap();
    client.delete_records("shrinks", 0, 3).await.unwrap();
    assert_eq!(client.offsets("shrinks", 0).await.unwrap(), (3, 5));
    assert_eq!(texts(&client.read("shrinks").await.unwrap()), ["3", "4"]);
}

#[tokio::test]
async fn compaction_leaves_gaps_in_the_offsets() {
    let Some(kafka) = kafka::shared("compaction_leaves_gaps_in_the_offsets").await else { return };
    let client = kafka.client();
    client.create_topic("compact", 1, &[]).await.unwrap();
    client.produce((0..5).map(|n| Record::new("compact", n.to_string()).key("same"))).await.unwrap();
    let soon =
        [("min.cleanable.dirty.ratio", "0.01"), ("segment.ms", "100"), ("max.compaction.lag.ms", "100")];
    client.alter_topic("compact", &[&[("cleanup.policy", "compact")], &soon[..]].concat()).await.unwrap();
    // The cleaner passes by the segment that is written to, and another is begun only by a record.
    let deadline = tokio::time::Instant::now() + WAIT_MAX;
    let mut rolled = 0;
    let found = loop {
        client.produce([Record::new("compact", "roll").key(format!("{rolled}"))]).await.unwrap();
        rolled += 1;
        let found = client.read("compact").await.unwrap();
        if found[0].offset == 4 {
            break found;
        }
        assert!(tokio::time::Instant::now() < deadline, "{found:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!((found[0].text(), found[0].key_text()), ("4".to_owned(), "same".to_owned()));
}

#[tokio::test]
async fn a_group_has_its_offsets_with_their_metadata() {
    let Some(kafka) = kafka::shared("a_group_has_its_offsets_with_their_metadata").await else { return };
    let client = kafka.client();
    client.create_topic("read", 3, &[]).await.unwrap();
    assert_eq!(client.committed("readers", "read").await.unwrap(), BTreeMap::new());
    client.commit("readers", "read", 1, 7, "a text: ü").await.unwrap();
    client.commit("readers", "read", 2, 0, "").await.unwrap();
    let committed = |offset, metadata: &str| Committed { offset, metadata: metadata.to_owned() };
    let found = client.committed("readers", "read").await.unwrap();
    assert_eq!(found, BTreeMap::from([(1, committed(7, "a text: ü")), (2, committed(0, ""))]));
    assert_eq!(client.committed("others", "read").await.unwrap(), BTreeMap::new());
}

#[tokio::test]
async fn only_committed_transactions_are_read() {
    let Some(kafka) = kafka::shared("only_committed_transactions_are_read").await else { return };
    let client = kafka.client();
    client.create_topic("exact", 1, &[]).await.unwrap();
    let transactions = client.transactions("writer").await.unwrap();
    for (value, is_kept) in [("aborted", false), ("committed", true)] {
        transactions.begin().unwrap();
        transactions.produce([Record::new("exact", value)]).await.unwrap();
        if is_kept { transactions.commit().await } else { transactions.abort().await }.unwrap();
    }
    transactions.begin().unwrap();
    transactions.produce([Record::new("exact", "open")]).await.unwrap();
    assert_eq!(texts(&client.read("exact").await.unwrap()), ["committed"]);
    let all = ["aborted", "committed", "open"];
    assert_eq!(texts(&client.read_uncommitted("exact").await.unwrap()), all);
    assert!(transactions.begin().is_err(), "one is open");
    let fencing = client.transactions("writer").await.unwrap();
    assert!(transactions.commit().await.is_err(), "it is fenced off");
    drop(fencing);
    assert_eq!(texts(&client.read("exact").await.unwrap()), ["committed"]);
}
