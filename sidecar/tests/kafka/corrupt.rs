//! A batch whose bytes have changed on the broker's disk: its partition stops there and says so, until its owner
//! lets it go on behind the batch or has mended it.

use crate::rig::{PATIENT, Rig, binary};
use outrigger_testkit::{Outgoing, kafka, kafka::Settings};
use std::{fs, path::Path};

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

#[tokio::test]
async fn a_damaged_batch_stops_its_partition_alone_until_it_is_skipped_or_mended() {
    let test = "a_damaged_batch_stops_its_partition_alone_until_it_is_skipped_or_mended";
    let Some(broker) = kafka::broker_with(test, Settings::default()).await else { return };
    let client = broker.client().set("linger.ms", "50");
    let rig = Rig::at(&client, &broker.bootstrap(), test, 4).await.set("kafka.properties", PATIENT);
    let of = |partition: i32, from: usize, to: usize| -> Vec<Outgoing> {
        let event = |n: usize| {
            Outgoing::new(&format!("p{partition}-{n:02}"), Some(&format!("key-{partition}-{}", n % 3)))
        };
        (from..to).map(event).collect()
    };
    // Each call is a batch in each partition: three of five records.
    for from in [0, 5, 10] {
        for partition in 0..4 {
            let events = of(partition, from, from + 5);
            let records = events.iter().map(|event| binary(test, event).partition(partition)).collect();
            rig.produce_as(events, records).await;
        }
    }
    broker.stop().await;
    // In the middle, at the end, and in the middle again; 3 stays sound.
    for (partition, offset) in [(0, 5), (1, 10), (2, 5)] {
        flip(&broker.segment(test, partition), offset);
    }
    broker.start_again().await;
    for id in [of(0, 5, 10), of(1, 10, 15)].concat() {
        rig.ledger.accounted(&id.id);
    }

    let mut process = rig.site.launch().start().unwrap();
    rig.function.wait_for(|stats| stats.ended == 5 + 10 + 5 + 15).await;
    let (status, text) =
        rig.site.until_readyz(&format!("[-] kafka: {test}/0 is damaged at offset 5: mend")).await;
    assert_eq!(status, 503, "{text}");
    let numbers = rig.site.verb(&["kafka", "status", "--json"]).await.json();
    for (partition, offset) in [(0, 5), (1, 10), (2, 5)] {
        let line =
            numbers["partitions"].as_array().unwrap().iter().find(|it| it["partition"] == partition).unwrap();
        let damaged = format!("damaged at offset {offset}");
        assert!(line["paused"].as_str().is_some_and(|why| why.starts_with(&damaged)), "{numbers}");
    }
    // It is so after a restart, and nothing was committed behind it.
    assert!(process.stop().await.success());
    assert_eq!(rig.look().await.unwrap(), [(0, 5), (1, 10), (2, 5), (3, 15)].into());
    let mut process = rig.site.launch().start().unwrap();
    rig.site.until_readyz(&format!("{test}/0 is damaged at offset 5")).await;
    assert_eq!(rig.function.stats().received, 35, "nothing came twice, and nothing behind the damage");

    // Skipped, the rest of the partition comes, and what is new.
    for partition in [0, 1] {
        rig.site.until_readyz(&format!("{test}/{partition} is damaged")).await;
        let said = rig.site.verb(&["kafka", "skip", &format!("{test}/{partition}")]).await;
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    rig.function.wait_for(|stats| stats.ended == 40).await;
    rig.site.until_readyz(&format!("{test}/2 is damaged")).await;

    // Mended, all of it comes.
    broker.stop().await;
    flip(&broker.segment(test, 2), 5);
    broker.start_again().await;
    rig.site.until_readyz(&format!("{test}/2 is damaged")).await;
    let said = rig.site.verb(&["kafka", "resume", &format!("{test}/2")]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    process.ready(rig.site.admin).await;
    for partition in 0..4 {
        let events = of(partition, 15, 20);
        let records = events.iter().map(|event| binary(test, event).partition(partition)).collect();
        rig.produce_as(events, records).await;
    }
    rig.all_is_well(0).await;
}
