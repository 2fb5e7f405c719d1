//! The range of a replay, and what it is in offsets.

use crate::{StartAt, client::Headers, decode::Record, librdkafka::ASK_TIMEOUT, trouble::error};
use outrigger_core::{Error, Kind, Result};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{Consumer, ConsumerContext},
    error::KafkaError,
    metadata::MetadataPartition,
};
use std::collections::{BTreeMap, BTreeSet};

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The topic.
    pub topic: String,
    /// One of its partitions; none is all.
    pub partition: Option<i32>,
    /// The first record.
    pub from: StartAt,
    /// The first record that is not read any more; none is the end as it is at the start.
    pub to: Option<StartAt>,
}

/// First and last offset (exclusive) of each partition that is read.
pub(super) type Ends = BTreeMap<i32, (i64, i64)>;

/// The range in offsets. Blocking.
pub(super) fn ends<C: ConsumerContext>(consumer: &impl Consumer<C>, range: &Range) -> Result<Ends> {
    let topic = &range.topic;
    let known = consumer
        .fetch_metadata(Some(topic), ASK_TIMEOUT)
        .map_err(|e| error(&e, &format!("the partitions of {topic} cannot be read")))?;
    let partitions =
        known.topics().iter().flat_map(|topic| topic.partitions().iter().map(MetadataPartition::id));
    let wanted: Vec<i32> = partitions.filter(|id| range.partition.is_none_or(|only| only == *id)).collect();
    if wanted.is_empty() {
        let which = range.partition.map_or_else(|| topic.clone(), |number| format!("{topic}/{number}"));
        return Err(Error::new(
            Kind::Invalid,
            format!("kafka: there is no {which}; create it, or mend its name"),
        ));
    }
    let mut ends = Ends::new();
    for number in wanted {
        let (low, high) = consumer
            .fetch_watermarks(topic, number, ASK_TIMEOUT)
            .map_err(|e| error(&e, &format!("the ends of {topic}/{number} cannot be read")))?;
        let at = |place: StartAt| offset_of(consumer, topic, number, place, (low, high));
        let from = at(range.from)?;
        let to = range.to.map_or(Ok(high), at)?;
        ends.insert(number, (from, to));
    }
    Ok(ends)
}

fn offset_of<C: ConsumerContext>(
    consumer: &impl Consumer<C>,
    topic: &str,
    number: i32,
    place: StartAt,
    (low, high): (i64, i64),
) -> Result<i64> {
    let ms = match place {
        StartAt::Earliest => return Ok(low),
        StartAt::Latest => return Ok(high),
        StartAt::Offset(offset) => return Ok(offset.clamp(low, high)),
        StartAt::Time(ms) => ms,
    };
    let wrong =
        |e: &KafkaError| error(e, &format!("the offset of a time in {topic}/{number} cannot be read"));
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, number, Offset::Offset(ms)).map_err(|e| wrong(&e))?;
    let found = consumer.offsets_for_times(list, ASK_TIMEOUT).map_err(|e| wrong(&e))?;
    Ok(match found.elements().first().map(rdkafka::topic_partition_list::TopicPartitionListElem::offset) {
        Some(Offset::Offset(offset)) => offset.clamp(low, high),
        _ => high,
    })
}

/// Whether the record lies in the range. The last one, or one behind it, ends its partition.
pub(super) fn is_in(record: &Record<'_, Headers<'_>>, ends: &mut Ends) -> bool {
    let Some((_, to)) = ends.get(&record.partition).copied() else { return false };
    if record.offset + 1 >= to {
        ends.remove(&record.partition);
    }
    record.offset < to
}

/// From the first to the last of these, in each partition.
pub(super) fn around(only: &BTreeSet<(i32, i64)>) -> Ends {
    let mut ends = Ends::new();
    for (number, offset) in only {
        ends.entry(*number).or_insert((*offset, 0)).1 = offset + 1; // they are in their order
    }
    ends
}
