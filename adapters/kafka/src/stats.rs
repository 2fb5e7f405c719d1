//! librdkafka's statistics, of which little is wanted.

use crate::{client::Stats, librdkafka::at};
use serde::Deserialize;
use std::collections::HashMap;

#[derive(Deserialize)]
struct Text {
    #[serde(default)]
    brokers: HashMap<String, Broker>,
    #[serde(default)]
    topics: HashMap<String, Topic>,
    cgrp: Option<Group>,
}

#[derive(Deserialize)]
struct Broker {
    nodename: String,
    nodeid: i64,
    state: String,
}

#[derive(Deserialize)]
struct Topic {
    #[serde(default)]
    partitions: HashMap<String, Partition>,
}

#[derive(Deserialize)]
struct Partition {
    #[serde(rename = "partition")]
    number: i32,
    /// What a reader of committed transactions may see; without transactions the same as `hi_offset`.
    ls_offset: i64,
    hi_offset: i64,
    /// The offset to be fetched next. It passes what holds no record.
    #[serde(default)]
    next_offset: i64,
    /// Records that are fetched and not handed over.
    #[serde(default)]
    fetchq_cnt: u64,
}

#[derive(Deserialize)]
struct Group {
    join_state: String,
    rebalance_cnt: u64,
}

/// Reads the statistics; `None` where they are not what we know.
pub(crate) fn read(text: &[u8]) -> Option<Stats> {
    let text: Text = serde_json::from_slice(text).ok()?;
    let (mut ends, mut read) = (Vec::new(), Vec::new());
    for (name, topic) in &text.topics {
        for partition in topic.partitions.values() {
            let end = if partition.ls_offset >= 0 { partition.ls_offset } else { partition.hi_offset };
            if partition.number >= 0 && end >= 0 {
                ends.push((at(name, partition.number), end));
                if partition.next_offset >= end && partition.fetchq_cnt == 0 {
                    read.push(at(name, partition.number));
                }
            }
        }
    }
    // Brokers without a number are the ones of the configuration, whose connections are only for the first question.
    let down = |broker: &&Broker| broker.nodeid >= 0 && !matches!(broker.state.as_str(), "UP" | "INIT");
    let brokers_down = text.brokers.values().filter(down).map(|broker| broker.nodename.clone()).collect();
    let brokers_up = text.brokers.values().filter(|broker| broker.state == "UP").count();
    let (join_state, rebalances) =
        text.cgrp.map(|group| (group.join_state, group.rebalance_cnt)).unwrap_or_default();
    Some(Stats { ends, read, brokers_up, brokers_down, rebalances, join_state })
}
