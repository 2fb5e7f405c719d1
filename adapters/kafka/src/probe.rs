//! What one partition has where it is read from: damage, or nothing up to its end. Blocking.
//!
//! librdkafka passes over the markers of transactions, and what was aborted, without a word: whether anything comes
//! before the end is not to be heard from the client that reads for the group.
//!
//! And it reports a batch whose checksum does not hold without a place. Then it goes on in the same answer of the
//! broker, at a wrong byte, so that what comes next may be passed over or be no record at all.
//!
//! So a partition is read by a client that has nothing else, and of that only what comes first counts.

use crate::{
    Config,
    client::{Damage, Tail, TopicPartition},
    librdkafka::{ASK_TIMEOUT, log},
    login::Login,
    trouble::is_damage,
};
use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use std::{
    error::Error as StdError,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// What an aborted transaction wrote is sound, too, and shows where a damage ends.
const UNCOMMITTED: &str = "read_uncommitted";
/// How long one partition's next record may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// What comes first of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    /// A record.
    Record,
    /// The end of the partition, as it is when it is reached.
    End,
    /// A batch that cannot be read, by its first offset; -1 where that was not told.
    Damage(i64),
}

/// The partitions that are damaged right where they are read from. What cannot be asked counts as sound: the damage is
/// met again then.
pub(crate) fn find_damage(config: &Config, suspects: Vec<(TopicPartition, i64)>) -> Vec<Damage> {
    let deadline = Instant::now() + ASK_TIMEOUT;
    let look = |(at, from): (TopicPartition, i64)| {
        if Instant::now() >= deadline {
            return None;
        }
        let damage = match first(config, &at, from, UNCOMMITTED) {
            Ok(First::Damage(batch)) => Some(batch),
            Ok(First::Record | First::End) => None,
            Err(error) => {
                tracing::warn!(partition = %at, %error, "kafka: it could not be seen whether a partition is damaged");
                None
            }
        };
        damage.map(|batch| {
            let until = end(config, &at, (from, batch), deadline);
            Damage { until: until.ok().flatten(), at, from }
        })
    };
    suspects.into_iter().filter_map(look).collect()
}

/// Of these partitions, each with an offset and an end that was heard of, those that have nothing for a reader between
/// the two. An end that was heard of only moves on, so what is found to be empty up to today's is so up to that.
pub(crate) fn find_empty(config: &Config, tails: Vec<Tail>) -> Vec<Tail> {
    let deadline = Instant::now() + ASK_TIMEOUT;
    // As the group reads, unless the configuration says otherwise.
    let given = config.cluster.properties.get("isolation.level");
    let isolation = given.map_or("read_committed", String::as_str);
    let is_empty = |tail: &Tail| {
        let found = (Instant::now() < deadline).then(|| first(config, &tail.at, tail.from, isolation));
        matches!(found, Some(Ok(First::End)))
    };
    tails.into_iter().filter(is_empty).collect()
}

/// The first offset behind the batch `batch`, which is met at `from`; `None` where that takes longer than `deadline`.
fn end(
    config: &Config,
    at: &TopicPartition,
    (from, batch): (i64, i64),
    deadline: Instant,
) -> KafkaResult<Option<i64>> {
    let (_, end) =
        reader(config, at, from, UNCOMMITTED)?.fetch_watermarks(&at.topic, at.partition, ASK_TIMEOUT)?;
    let (mut inside, mut outside, mut step) = (from, end, 1);
    // In growing steps first, as a batch is short and a partition may be long; then by halves.
    while outside - inside > 1 {
        if Instant::now() >= deadline {
            return Ok(None);
        }
        let half = inside + (outside - inside) / 2;
        let next = if outside == end { half.min(inside + step) } else { half };
        if first(config, at, next, UNCOMMITTED)? == First::Damage(batch) {
            inside = next;
        } else {
            outside = next;
        }
        step *= 2;
    }
    Ok(Some(outside))
}

/// What comes first from `from` on.
fn first(config: &Config, at: &TopicPartition, from: i64, isolation: &str) -> KafkaResult<First> {
    let reader = reader(config, at, from, isolation)?;
    let deadline = Instant::now() + LOOK_TIMEOUT;
    while let Some(patience) = deadline.checked_duration_since(Instant::now()) {
        match reader.poll(patience) {
            Some(Ok(_)) => return Ok(First::Record),
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(First::End),
            Some(Err(error)) if is_damage(&error) => {
                return Ok(First::Damage(reader.context().batch.load(Relaxed)));
            }
            Some(Err(_)) | None => {} // a broker that does not answer: it is tried again by itself
        }
    }
    Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut))
}

/// A client that reads one partition and belongs to no group.
fn reader(
    config: &Config,
    at: &TopicPartition,
    from: i64,
    isolation: &str,
) -> KafkaResult<BaseConsumer<Ears>> {
    let entered = config.consumer();
    let (mut settings, login) = entered.map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
    settings.set("isolation.level", isolation).set("enable.partition.eof", "true");
    settings.set("fetch.wait.max.ms", "10").set("statistics.interval.ms", "0");
    let ears = Ears { login, batch: AtomicI64::new(-1) };
    let consumer: BaseConsumer<Ears> = settings.create_with_context(ears)?;
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition_offset(&at.topic, at.partition, Offset::Offset(from))?;
    consumer.assign(&list)?;
    Ok(consumer)
}

/// Hears of which batch librdkafka speaks.
struct Ears {
    login: Arc<Login>,
    batch: AtomicI64,
}

impl ClientContext for Ears {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, failed: KafkaError, reason: &str) {
        if is_damage(&failed)
            && let Some(batch) = batch_of(reason)
        {
            self.batch.store(batch, Relaxed);
        }
    }

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn StdError>> {
        self.login.token()
    }
}

impl ConsumerContext for Ears {}

/// The first offset of the batch in one of librdkafka's sentences about it.
fn batch_of(reason: &str) -> Option<i64> {
    let behind = reason.split_once(" at offset ").or_else(|| reason.split_once(" at "))?.1;
    let digits = behind.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_batch_is_read_from_each_sentence_of_librdkafka() {
        for (reason, batch) in [
            (
                "MessageSet at offset 5 (864 bytes) failed CRC32C check (original 0x1 != calculated 0x2)",
                Some(5),
            ),
            (
                "Decompression (codec 0x3) of message at 12 of 99 bytes failed: Local: Bad compression",
                Some(12),
            ),
            ("Unsupported Message(Set) MagicByte 7 at offset 3, skipping", Some(3)),
            ("something else", None),
        ] {
            assert_eq!(batch_of(reason), batch, "{reason}");
        }
    }
}
