//! Whatever a producer wrote reaches the path, and no record stops its partition.

use crate::{
    raw,
    rig::{Member, ack, offsets, source},
    source::{committed, fill},
};
use outrigger_core::Delivery;
use outrigger_testkit::kafka::{self, Record};
use std::time::Duration;

/// Large enough to be more than one fetch, and more than may be read.
const LARGE: usize = 3 << 20;

fn odd(topic: &str) -> Vec<Record> {
    vec![
        Record::tombstone(topic, "gone"),
        Record::new(topic, "headers")
            .header("h", "1")
            .null_header("h")
            .header("h", vec![0xff, 0])
            .header("", "x"),
        Record::new(topic, "empty key").key(""),
        Record::new(topic, ""),
        Record::new(topic, "binary key").key(vec![0, 0xff, 0xfe]),
        Record::new(topic, vec![b'x'; LARGE]).key("large"),
        Record::new(topic, "no id").header("ce_specversion", "1.0").header("ce_type", "t"),
        Record::new(topic, "bad id").header("ce_specversion", "1.0").header("ce_id", vec![0xff]),
        Record::new(topic, "{").header("content-type", "application/cloudevents+json"),
        Record { headers: (0..40).map(|n| (format!("h{n}"), None)).collect(), ..Record::new(topic, "many") },
    ]
}

fn text(delivery: &Delivery, name: &str) -> Option<String> {
    delivery.item.as_ref().unwrap().text(name).map(std::borrow::Cow::into_owned)
}

#[tokio::test]
async fn no_record_stops_its_partition_and_each_keeps_its_bytes() {
    let Some(broker) = kafka::shared("no_record_stops_its_partition_and_each_keeps_its_bytes").await else {
        return;
    };
    let (client, topic) = (broker.client().set("message.max.bytes", "9000000"), "records-odd");
    client.create_topic(topic, 1, &[("max.message.bytes", "9000000")]).await.unwrap();
    client.produce(odd(topic).into_iter().map(|record| record.partition(0))).await.unwrap();
    raw::produce(broker, topic, b"a name", (&[b'n', 0xff, b'e'], b"its value")).await;
    raw::produce(broker, topic, b"a name of ours", (b"ce_\xff", b"its value")).await;
    fill(&client, topic, 0, 1).await;

    let mut config = source(broker, topic, &[topic]);
    config.record_bytes_max = 1 << 20;
    let member = Member::start(config, 1_000);
    let taken = member.take(13).await;
    assert!(offsets(&taken).into_iter().eq(0..13), "{:?}", offsets(&taken));

    assert_eq!(text(&taken[0], "kafkatombstone").as_deref(), Some("true"));
    assert_eq!(taken[0].item.as_ref().unwrap().data(), None);
    let headers = text(&taken[1], "kafkaheaders").unwrap();
    assert_eq!(headers, r#"[["h","1"],["h",null],["h",{"base64":"/wA="}],["","x"]]"#);
    assert_eq!(taken[2].key.as_ref().unwrap().as_bytes(), b"kafka/records-odd\0");
    assert_eq!(taken[3].item.as_ref().unwrap().data().map(bytes::Bytes::len), Some(0));
    assert_eq!(taken[3].key, None);
    assert!(taken[4].key.as_ref().unwrap().as_bytes().ends_with(&[0, 0, 0xff, 0xfe]));
    let large = taken[5].item.as_ref().unwrap_err();
    assert!(large.raw.len() == LARGE && large.why.contains("record_bytes_max"), "{}", large.why);
    for (at, raw) in [(6, "no id"), (7, "bad id"), (8, "{")] {
        let malformed = taken[at].item.as_ref().unwrap_err();
        assert_eq!(&*malformed.raw, raw.as_bytes());
    }
    assert!(taken[9].item.is_ok());
    for (at, value) in [(10, "a name"), (11, "a name of ours"), (12, "0")] {
        let event = taken[at].item.as_ref().unwrap();
        assert_eq!(&**event.data().unwrap(), value.as_bytes());
    }
    ack(taken);
    committed(&client, topic, topic, 13).await;
    member.leave().await.unwrap();
}

#[tokio::test]
async fn a_full_window_holds_records_back_in_their_order_and_stays_in_the_group() {
    let test = "a_full_window_holds_records_back_in_their_order_and_stays_in_the_group";
    let Some(broker) = kafka::shared(test).await else { return };
    let (client, topic) = (broker.client(), "records-full");
    client.create_topic(topic, 1, &[]).await.unwrap();
    fill(&client, topic, 0, 200).await;
    let mut config = source(broker, topic, &[topic]);
    let limits = [("max.poll.interval.ms", "6000"), ("session.timeout.ms", "6000")];
    let limits = limits.map(|(name, value)| (name.to_owned(), value.to_owned()));
    config.cluster.properties.extend(limits);
    let member = Member::start(config, 10);
    let mut taken = member.take(10).await;
    let window_is_full = |status: &outrigger_kafka::Status| {
        status.partitions.iter().any(|it| it.paused.as_deref() == Some("the window is full"))
    };
    let before = member.shows("a pause", window_is_full).await;
    // That nothing happens has no event: the group would have missed it after six seconds.
    tokio::time::sleep(Duration::from_millis(7_500)).await;
    let after = member.kafka.status();
    assert_eq!((after.rebalances, after.heals, member.pushed()), (before.rebalances, 0, 10));
    assert_eq!(after.commits_failed, 0);

    let mut seen = offsets(&taken);
    while seen.len() < 200 {
        ack(taken);
        taken = member.take(10).await;
        seen.extend(offsets(&taken));
    }
    assert!(seen.into_iter().eq(0..200));
    ack(taken);
    committed(&client, topic, topic, 200).await;
    assert_eq!(member.kafka.status().rebalances, before.rebalances);
    member.leave().await.unwrap();
}

#[tokio::test]
async fn aborted_records_never_come_and_their_silence_is_not_taken_for_a_client_that_stopped() {
    let test = "aborted_records_never_come_and_their_silence_is_not_taken_for_a_client_that_stopped";
    let Some(broker) = kafka::shared(test).await else { return };
    let (client, topic) = (broker.client(), "records-aborted");
    client.create_topic(topic, 1, &[]).await.unwrap();
    let transactions = client.transactions(topic).await.unwrap();
    for (round, is_committed) in [false, true, false].into_iter().enumerate() {
        transactions.begin().unwrap();
        let record = |n: usize| Record::new(topic, format!("{round}/{n}")).partition(0);
        transactions.produce((0..5).map(record)).await.unwrap();
        if is_committed { transactions.commit().await.unwrap() } else { transactions.abort().await.unwrap() }
    }
    let mut config = source(broker, topic, &[topic]);
    config.stalled_after = Duration::from_millis(600);
    let member = Member::start(config, 1_000);
    let taken = member.take(5).await;
    assert!(offsets(&taken).into_iter().eq(6..11), "{:?}", offsets(&taken));
    ack(taken);
    let (_, end) = client.offsets(topic, 0).await.unwrap();
    committed(&client, topic, topic, end).await;
    member.shows("no lag", |status| status.partitions[0].lag_records == 0).await;
    fill(&client, topic, 0, 1).await;
    ack(member.take(1).await);
    committed(&client, topic, topic, end + 1).await;
    assert_eq!((member.pushed(), member.kafka.status().heals), (6, 0));
    member.leave().await.unwrap();
}
