//! Where partitions begin: by the group's commits, else by the configured start. Blocking.

use crate::{
    StartAt,
    client::{Start, TopicPartition},
    librdkafka::{ASK_TIMEOUT, at},
    trouble::error,
};
use outrigger_core::{Error, Kind, Result};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    topic_partition_list::TopicPartitionListElem,
};
use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

/// How many partitions each topic had when this client first asked for one.
///
/// A partition that is added later has no commit either, and what was written to it before anybody noticed must not be
/// passed over where the others began at their ends.
pub(crate) type Known = Mutex<HashMap<Arc<str>, i32>>;

/// Asks the brokers. What was committed but is gone from the log begins at its oldest record, and is counted.
pub(crate) fn of<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    start: StartAt,
    known: &Known,
) -> Result<Vec<Start>> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition(&partition.topic, partition.partition);
    }
    let committed = consumer
        .committed_offsets(list, ASK_TIMEOUT)
        .map_err(|e| error(&e, "the group's commits cannot be read"))?;
    let by_time = by_time(consumer, &committed, start)?;
    let known = match start {
        StartAt::Latest => counts(consumer, partitions, known)?,
        _ => HashMap::new(),
    };
    let start_of = |place: &TopicPartitionListElem<'_>| {
        let is_added = known.get(place.topic()).is_some_and(|count| place.partition() >= *count);
        if is_added { StartAt::Earliest } else { start }
    };
    committed.elements().iter().map(|place| begin(consumer, place, start_of(place), &by_time)).collect()
}

/// What is [`Known`] of the topics of these partitions.
fn counts<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    known: &Known,
) -> Result<HashMap<Arc<str>, i32>> {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    for TopicPartition { topic, .. } in partitions {
        if known.contains_key(topic) {
            continue;
        }
        let found = consumer
            .fetch_metadata(Some(topic), ASK_TIMEOUT)
            .map_err(|e| error(&e, &format!("the partitions of {topic} cannot be read")))?;
        let count: usize = found.topics().iter().map(|found| found.partitions().len()).sum();
        known.insert(topic.clone(), i32::try_from(count).unwrap_or(i32::MAX));
    }
    Ok(known.clone())
}

fn begin<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    place: &TopicPartitionListElem<'_>,
    start: StartAt,
    by_time: &HashMap<TopicPartition, Offset>,
) -> Result<Start> {
    place.error().map_err(|e| error(&e, "a commit of the group cannot be read"))?;
    let at = at(place.topic(), place.partition());
    let (low, high) = consumer
        .fetch_watermarks(&at.topic, at.partition, ASK_TIMEOUT)
        .map_err(|e| error(&e, &format!("the ends of {at} cannot be read")))?;
    if let Offset::Offset(offset) = place.offset() {
        let missing = if offset > high {
            tracing::error!(
                partition = %at, committed = offset, end = high,
                "the commit lies beyond the partition's end (was the topic made anew?); it is read from its oldest record"
            );
            0
        } else {
            low - offset
        };
        let is_there = (low..=high).contains(&offset);
        // The wrapper panics on metadata that is not UTF-8, which is not ours in any case.
        let metadata = catch_unwind(AssertUnwindSafe(|| place.metadata().to_owned())).unwrap_or_default();
        return Ok(Start {
            at,
            offset: if is_there { offset } else { low },
            metadata: if offset <= high { metadata } else { String::new() },
            fresh: !is_there,
            missing: missing.max(0),
        });
    }
    let offset = match start {
        StartAt::Earliest => low,
        StartAt::Latest => high,
        StartAt::Offset(offset) => offset.clamp(low, high),
        StartAt::Time(_) => match by_time.get(&at) {
            Some(Offset::Offset(offset)) => *offset,
            _ => high,
        },
    };
    Ok(Start { at, offset, metadata: String::new(), fresh: true, missing: 0 })
}

/// The first offsets at or after the configured time, of the partitions without a commit.
fn by_time<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    committed: &TopicPartitionList,
    start: StartAt,
) -> Result<HashMap<TopicPartition, Offset>> {
    let StartAt::Time(ms) = start else { return Ok(HashMap::new()) };
    let mut list = TopicPartitionList::new();
    for place in committed.elements().iter().filter(|place| !matches!(place.offset(), Offset::Offset(_))) {
        let added = list.add_partition_offset(place.topic(), place.partition(), Offset::Offset(ms));
        added.map_err(|_| Error::new(Kind::Invalid, "ingress.kafka.start: a time before 1970"))?;
    }
    if list.count() == 0 {
        return Ok(HashMap::new());
    }
    let found = consumer
        .offsets_for_times(list, ASK_TIMEOUT)
        .map_err(|e| error(&e, "the offsets of the time to start at cannot be read"))?;
    Ok(found.elements().iter().map(|place| (at(place.topic(), place.partition()), place.offset())).collect())
}
