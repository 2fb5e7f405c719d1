//! A batch whose bytes have changed on the broker's disk: its partition stops there and says so, until its owner
//! lets it go on behind the batch or has mended it.

use crate::rig::{PATIENT, Rig, binary};
use outrigger_testkit::{Outgoing, kafka, kafka::Settings, process::WAIT_MAX};
use serde_json::Value;
use std::{fs, path::Path};
use tokio::time::Instant;

/// Offset, place and length of each batch of a segment (the head of a batch: offset, and the length behind it).
fn batches(log: &[u8]) -> Vec<(i64, usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(head) = log.get(at..at + 12).filter(|head| head[8..] != [0; 4]) {
        let offset = i64::from_be_bytes(head[..8].try_into().unwrap());
        let length = 12 + usize::try_from(u32::from_be_bytes(head[8..].try_into().unwrap())).unwrap();
        found.push((offset, at, length));
        at += length;
    }
    found
}

/// Changes the last byte of the batch that begins at `offset`. Done twice, it is as it was.
fn flip(segment: &Path, offset: i64) {
    let mut log = fs::read(segment).unwrap();
    let (_, at, length) =
        batches(&log).into_iter().find(|(base, ..)| *base == offset).expect("a batch begins there");
    log[at + length - 1] ^= 0xff;
    fs::write(segment, log).unwrap();
}

/// The events `from..to` of a partition.
fn events(partition: i32, from: usize, to: usize) -> Vec<Outgoing> {
    let key = |n: usize| format!("key-{partition}-{}", n % 3);
    (from..to).map(|n| Outgoing::new(&format!("p{partition}-{n:02}"), Some(&key(n)))).collect()
}

/// Produces five events of each partition, each five as a batch.
async fn produce_five(rig: &Rig, from: usize) {
    for partition in 0..4 {
        let events = events(partition, from, from + 5);
        let records = events.iter().map(|event| binary(&rig.topic, event).partition(partition)).collect();
        rig.produce_as(events, records).await;
    }
}

/// Waits until these partitions, and no others, are damaged at these offsets.
async fn until_damaged(rig: &Rig, expected: &[(i32, i64)]) {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        let numbers = rig.site.verb(&["kafka", "status", "--json"]).await;
        let partitions = numbers.code.map(|_| numbers.stdout.clone()).unwrap_or_default();
        let found: Value = serde_json::from_str(&partitions).unwrap_or_default();
        let damaged = found["partitions"].as_array().into_iter().flatten().filter_map(|it| {
            let offset =
                it["paused"].as_str()?.strip_prefix("damaged at offset ")?.split(':').next()?.parse().ok()?;
            Some((i32::try_from(it["partition"].as_i64()?).ok()?, offset))
        });
        let damaged: Vec<(i32, i64)> = damaged.collect();
        if damaged == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{damaged:?} instead of {expected:?}: {numbers:?}");
    }
}

async fn done(rig: &Rig, verb: &str, partition: i32) {
    let said = rig.site.verb(&["kafka", verb, &format!("{}/{partition}", rig.topic)]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[tokio::test]
async fn a_damaged_batch_stops_its_partition_alone_until_it_is_skipped_or_mended() {
    let test = "a_damaged_batch_stops_its_partition_alone_until_it_is_skipped_or_mended";
    let Some(broker) = kafka::broker_with(test, Settings::default()).await else { return };
    let client = broker.client().set("linger.ms", "50");
    let rig = Rig::at(&client, &broker.bootstrap(), test, 4).await.set("kafka.properties", PATIENT);
    for from in [0, 5, 10] {
        produce_five(&rig, from).await;
    }
    broker.stop().await;
    // In the middle, at the end, and in the middle again; 3 stays sound.
    let damaged = [(0, 5), (1, 10), (2, 5)];
    for (partition, offset) in damaged {
        flip(&broker.segment(test, partition), offset);
    }
    broker.start_again().await;
    for event in [events(0, 5, 10), events(1, 10, 15)].concat() {
        rig.ledger.accounted(&event.id);
    }

    let mut process = rig.site.launch().start().unwrap();
    rig.function.wait_for(|stats| stats.ended == 5 + 10 + 5 + 15).await;
    let (status, readyz) =
        rig.site.until_readyz(&format!("[-] kafka: {test}/0 is damaged at offset 5: mend")).await;
    assert_eq!(status, 503, "{readyz}");
    until_damaged(&rig, &damaged).await;
    // It is so after a restart, and nothing was committed behind it.
    assert!(process.stop().await.success());
    assert_eq!(rig.look().await.unwrap(), [(0, 5), (1, 10), (2, 5), (3, 15)].into());
    let mut process = rig.site.launch().start().unwrap();
    until_damaged(&rig, &damaged).await;
    assert_eq!(rig.function.stats().received, 35, "nothing came twice, and nothing behind the damage");

    // Skipped, the rest of the partition comes, and what is new.
    done(&rig, "skip", 0).await;
    done(&rig, "skip", 1).await;
    rig.function.wait_for(|stats| stats.ended == 40).await;
    until_damaged(&rig, &damaged[2..]).await;
    let audited = rig.site.verb(&["events", "audit", "--json"]).await.json();
    let told = |number: usize| {
        (audited["entries"][number]["verb"].clone(), audited["entries"][number]["what"].clone())
    };
    assert_eq!(told(0), ("kafka skip".into(), format!("topic={test}&partition=1").into()), "{audited}");

    // Mended, all of it comes.
    broker.stop().await;
    flip(&broker.segment(test, 2), 5);
    broker.start_again().await;
    until_damaged(&rig, &damaged[2..]).await;
    done(&rig, "resume", 2).await;
    process.ready(rig.site.admin).await;
    produce_five(&rig, 15).await;
    rig.all_is_well(0).await;
}
