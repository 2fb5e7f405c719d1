//! What may happen to a topic: it grows, is compacted, has transactions, is deleted and made again.

use crate::rig::{Rig, binary, events, say};
use outrigger_testkit::{Outgoing, process::WAIT_MAX};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const POLL_INTERVAL: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_topic_that_gains_partitions_is_read_whole() {
    let Some(rig) = Rig::new("a_topic_that_gains_partitions_is_read_whole", 1).await else { return };
    let _process = rig.start().await;
    rig.produce(events("before", 100, 10)).await;
    rig.client.add_partitions(&rig.topic, 4).await.unwrap();
    // Keys move to other partitions then, so that only new ones keep their order.
    let new: Vec<_> =
        (0..100).map(|n| Outgoing::new(&format!("after-{n:03}"), Some(&format!("new-{}", n % 10)))).collect();
    rig.until_paid().await;
    rig.produce(new).await;
    rig.until_paid().await;
    rig.site.until_readyz("kafka: ok; 4 partitions").await;
    rig.all_is_well(0).await;
}

#[tokio::test]
async fn a_compacted_topic_is_read_over_its_gaps_to_its_end() {
    let test = "a_compacted_topic_is_read_over_its_gaps_to_its_end";
    let Some(rig) = Rig::new(test, 1).await else { return };
    let compact = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("max.compaction.lag.ms", "100"),
    ];
    rig.client.alter_topic(test, &compact).await.unwrap();
    let deadline = Instant::now() + WAIT_MAX;
    let mut all = Vec::new();
    loop {
        // Each record after the time closes a segment, and only closed ones are compacted.
        let more = events(&format!("e{}", all.len()), 20, 5);
        rig.produce(more.clone()).await;
        all.extend(more);
        let left = rig.client.read(test).await.unwrap().len();
        if all.len() > 100 && left < all.len() / 2 {
            say(&format!("compacted: {left} of {} records are left", all.len()));
            break;
        }
        assert!(Instant::now() < deadline, "nothing was compacted: {left} are left");
        sleep(POLL_INTERVAL).await;
    }
    // The newest of each key stay; the others may or may not be there.
    for event in &all[..all.len() - 5] {
        rig.ledger.accounted(&event.id);
    }
    let _process = rig.start().await;
    let found = rig.all_is_well(0).await;
    assert!(found.delivered < all.len(), "{found}");
}

#[tokio::test]
async fn aborted_transactions_are_never_delivered_and_the_commit_reaches_the_end_behind_the_markers() {
    let test = "aborted_transactions_are_never_delivered_and_the_commit_reaches_the_end_behind_the_markers";
    let Some(rig) = Rig::new(test, 2).await else { return };
    let rig = rig.set("ingress.kafka.stalled_after", "3s");
    let _process = rig.start().await;
    let transaction = rig.client.transactions(test).await.unwrap();
    for round in 0..3 {
        let events = events(&format!("kept-{round}"), 20, 10);
        for event in &events {
            rig.ledger.oracle.sending(event);
        }
        transaction.begin().unwrap();
        let records = events.iter().map(|event| binary(test, event));
        let places = transaction.produce(records).await.unwrap();
        transaction.commit().await.unwrap();
        rig.ledger.produced(&events, &places);
        transaction.begin().unwrap();
        let records =
            (0..20).map(|n| Outgoing::new(&format!("aborted-{round}-{n}"), Some(&format!("key-{n}"))));
        transaction.produce(records.map(|event| binary(test, &event)).collect::<Vec<_>>()).await.unwrap();
        transaction.abort().await.unwrap();
        rig.until_paid().await;
        // The end is a marker, and no record ever comes from there.
        rig.until_committed().await;
    }
    rig.site.until_readyz("kafka: ok; 2 partitions").await;
    let numbers = rig.site.verb(&["kafka", "status", "--json"]).await.json();
    let lag: u64 =
        numbers["partitions"].as_array().unwrap().iter().map(|it| it["lag_records"].as_u64().unwrap()).sum();
    assert_eq!((lag, &numbers["heals"]), (0, &0.into()), "{numbers}");
    rig.all_is_well(0).await;
}

#[tokio::test]
async fn a_topic_that_is_deleted_is_missed_and_read_again_once_it_is_made_anew() {
    let test = "a_topic_that_is_deleted_is_missed_and_read_again_once_it_is_made_anew";
    let Some(rig) = Rig::new(test, 2).await else { return };
    let mut process = rig.start().await;
    rig.produce(events("before", 50, 5)).await;
    rig.until_paid().await;
    rig.until_committed().await;
    rig.client.delete_topic(test).await.unwrap();
    let (status, readyz) = rig.site.until_readyz("there is no such topic").await;
    assert_eq!(status, 503, "{readyz}");
    assert!(process.is_running());
    let gone = Instant::now();
    rig.client.create_topic(test, 3, &[]).await.unwrap();
    rig.ledger.forget_places();
    let after: Vec<_> =
        (0..50).map(|n| Outgoing::new(&format!("after-{n:02}"), Some(&format!("new-{}", n % 5)))).collect();
    rig.produce(after).await;
    rig.until_paid().await;
    say(&format!("a topic made again is read after {:?}", gone.elapsed()));
    process.ready(rig.site.admin).await;
    rig.all_is_well(0).await;
}
