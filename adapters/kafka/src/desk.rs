//! The reader's desk: the partitions that are ours, and every record's way from the client into the path.
//!
//! A record that finds no room is kept, never thrown back: those of a full window in `held`, those of a partition
//! that is stopped in its own `aside`. Both hold no more than the client had fetched ahead.

use crate::{
    Config, Order,
    client::{Headers, Start, TopicPartition},
    decode::{self, Record},
    partition::{Assigned, Phase, Taken},
};
use bytes::Bytes;
use outrigger_core::{Delivery, Event, Intake, Key, Malformed, Origin, Position, Receipt, Timeline};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use tokio::time::Instant;

/// A record that was read, and waits for its partition.
struct Waiting {
    offset: i64,
    stamp_ms: i64,
    item: Result<Event, Malformed>,
    key: Option<Bytes>,
}

/// One partition of ours.
pub(crate) struct Slot {
    pub(crate) assigned: Arc<Assigned>,
    aside: VecDeque<Waiting>,
    /// Whether the client was told to fetch no more.
    pub(crate) paused: bool,
    /// Somebody paused it over the socket.
    pub(crate) by_owner: bool,
    /// Where it is damaged.
    pub(crate) corrupt: Option<i64>,
    /// The end of the partition, when last heard.
    pub(crate) end: Option<i64>,
    /// The client has fetched everything below: what is not handed over holds no record.
    pub(crate) read_to: i64,
    /// Where its commit stood when it last moved, and when that was.
    moved: (i64, Instant),
    /// Whether its oldest record holds it up: a key that is parked or backs off.
    stuck: bool,
    /// When a seek to what was released was sent.
    pub(crate) seek_at: Option<Instant>,
}

impl Slot {
    /// The most of its records in hand: one partition alone may fill the window, several leave room for the
    /// others, and one that is held up leaves more.
    fn open_max(&self, config: &Config, alone: bool) -> usize {
        match (alone, self.stuck) {
            (true, _) => usize::MAX,
            (false, false) => config.partition_events_max.saturating_mul(3),
            (false, true) => config.partition_events_max,
        }
    }

    fn is_stopped(&self) -> bool {
        self.by_owner || self.corrupt.is_some()
    }

    /// Whether it must not be fetched from.
    pub(crate) fn wants_pause(&self) -> bool {
        self.is_stopped() || !self.aside.is_empty()
    }
}

struct Topic {
    /// The scope of its ordering keys.
    scope: String,
    slots: Vec<Option<Slot>>,
}

/// See the module.
pub(crate) struct Desk {
    config: Arc<Config>,
    intake: Intake,
    topics: BTreeMap<Arc<str>, Topic>,
    /// Records that found the window full, in their order.
    pub(crate) held: VecDeque<Delivery>,
    /// Whether records are taken at all.
    pub(crate) open: bool,
    /// The wall clock, once for a batch.
    pub(crate) now_ms: u64,
    /// Records that came in.
    pub(crate) received: u64,
    /// Partitions that must be paused before the next batch.
    pub(crate) overflowing: Vec<TopicPartition>,
    assigned: usize,
}

impl Desk {
    pub(crate) fn new(config: Arc<Config>, intake: Intake) -> Self {
        Self {
            config,
            intake,
            topics: BTreeMap::new(),
            held: VecDeque::new(),
            open: true,
            now_ms: 0,
            received: 0,
            overflowing: Vec::new(),
            assigned: 0,
        }
    }

    /// A partition becomes ours.
    pub(crate) fn add(&mut self, start: &Start, assigned: Arc<Assigned>) {
        let topic = self
            .topics
            .entry(start.at.topic.clone())
            .or_insert_with(|| Topic { scope: format!("kafka/{}", start.at.topic), slots: Vec::new() });
        let number = usize::try_from(start.at.partition).unwrap_or(0);
        if topic.slots.len() <= number {
            topic.slots.resize_with(number + 1, || None);
        }
        let slot = Slot {
            assigned,
            aside: VecDeque::new(),
            paused: false,
            by_owner: false,
            corrupt: None,
            end: None,
            read_to: start.offset,
            moved: (start.offset, Instant::now()),
            stuck: false,
            seek_at: None,
        };
        if topic.slots[number].replace(slot).is_none() {
            self.assigned += 1;
        }
    }

    /// A partition is no longer ours, and nothing of it counts any more.
    pub(crate) fn remove(&mut self, at: &TopicPartition) {
        self.forget_waiting(at);
        let number = usize::try_from(at.partition).unwrap_or(usize::MAX);
        let Some(topic) = self.topics.get_mut(&at.topic) else { return };
        if let Some(slot) = topic.slots.get_mut(number).and_then(Option::take) {
            slot.assigned.set_phase(Phase::Gone);
            self.assigned -= 1;
        }
        if topic.slots.iter().all(Option::is_none) {
            self.topics.remove(&at.topic);
        }
    }

    /// Nothing of the partition that has not reached a lane goes on.
    pub(crate) fn forget_waiting(&mut self, at: &TopicPartition) {
        if let Some(slot) = self.slot_mut(&at.topic, at.partition) {
            slot.aside.clear();
        }
        self.held.retain(|delivery| delivery.receipt.wanted()); // the others are released
    }

    /// Nothing that has not reached a lane goes on. All of it: what waits for its partition stands behind what
    /// waits for the window, and would pass it.
    pub(crate) fn let_go(&mut self) {
        self.slots_mut().for_each(|slot| slot.aside.clear());
        self.held.clear();
    }

    pub(crate) fn slot(&self, at: &TopicPartition) -> Option<&Slot> {
        let number = usize::try_from(at.partition).ok()?;
        self.topics.get(&at.topic)?.slots.get(number)?.as_ref()
    }

    pub(crate) fn slot_mut(&mut self, topic: &str, partition: i32) -> Option<&mut Slot> {
        self.topics.get_mut(topic)?.slots.get_mut(usize::try_from(partition).ok()?)?.as_mut()
    }

    /// Every partition of ours.
    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.topics.values().flat_map(|topic| topic.slots.iter().flatten())
    }

    pub(crate) fn slots_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.topics.values_mut().flat_map(|topic| topic.slots.iter_mut().flatten())
    }

    /// How many partitions are ours.
    pub(crate) fn assigned(&self) -> usize {
        self.assigned
    }

    /// A record came in.
    pub(crate) fn take(&mut self, record: &Record<'_, Headers<'_>>) {
        self.received += 1;
        if !self.open {
            return; // it is not committed, so it comes again
        }
        let alone = self.assigned == 1;
        let Some(topic) = self.topics.get_mut(record.topic) else { return };
        let number = usize::try_from(record.partition).unwrap_or(usize::MAX);
        let Some(Some(slot)) = topic.slots.get_mut(number) else { return };
        let waits = slot.wants_pause();
        let stamp_ms = record.timestamp_ms.unwrap_or(0);
        let open_max = slot.open_max(&self.config, alone);
        let taken = if waits { Taken::Full } else { slot.assigned.take(record.offset, stamp_ms, open_max) };
        if taken == Taken::Pass {
            return;
        }
        let (item, key) = read(record, &self.config);
        if taken == Taken::On {
            let delivery = delivery(
                &self.config,
                &topic.scope,
                slot,
                (record.offset, item, key.as_deref()),
                self.now_ms,
            );
            hand_on(&self.intake, &mut self.held, delivery);
            return;
        }
        let key = key.map(|key| Bytes::copy_from_slice(&key));
        slot.aside.push_back(Waiting { offset: record.offset, stamp_ms, item, key });
        if !slot.paused {
            self.overflowing.push(slot.assigned.at.clone());
        }
    }

    /// Hands on what found the window full. True when nothing is held any more.
    pub(crate) fn hand_on_held(&mut self) -> bool {
        while let Some(delivery) = self.held.pop_front() {
            if let Err(back) = self.intake.try_push(delivery) {
                self.held.push_front(back);
                return false;
            }
        }
        true
    }

    /// Hands on what waits for its partition, as far as there is room.
    pub(crate) fn hand_on_aside(&mut self) {
        let alone = self.assigned == 1;
        let (config, intake, held, now_ms) = (&self.config, &self.intake, &mut self.held, self.now_ms);
        for topic in self.topics.values_mut() {
            for slot in topic.slots.iter_mut().flatten().filter(|slot| !slot.is_stopped()) {
                while held.is_empty()
                    && let Some(first) = slot.aside.front()
                {
                    let taken =
                        slot.assigned.take(first.offset, first.stamp_ms, slot.open_max(config, alone));
                    if taken == Taken::Full {
                        break;
                    }
                    let Some(waiting) = slot.aside.pop_front() else { break };
                    if taken == Taken::On {
                        let key = waiting.key.as_deref();
                        let parts = (waiting.offset, waiting.item, key);
                        hand_on(intake, held, delivery(config, &topic.scope, slot, parts, now_ms));
                    }
                }
            }
        }
    }

    /// Notes which partitions are held up by their oldest record.
    pub(crate) fn notice_stuck(&mut self, now: Instant) {
        let patience = self.config.pause_after;
        for slot in self.slots_mut() {
            let look = slot.assigned.look();
            if look.next != slot.moved.0 || look.open == 0 {
                slot.moved = (look.next, now);
            }
            slot.stuck = now - slot.moved.1 >= patience;
        }
    }
}

fn hand_on(intake: &Intake, held: &mut VecDeque<Delivery>, delivery: Delivery) {
    if !held.is_empty() {
        held.push_back(delivery);
    } else if let Err(back) = intake.try_push(delivery) {
        held.push_back(back);
    }
}

/// The event of a record, and its ordering key.
fn read<'a>(
    record: &Record<'a, Headers<'a>>,
    config: &Config,
) -> (Result<Event, Malformed>, Option<std::borrow::Cow<'a, [u8]>>) {
    let headers: usize =
        record.headers.clone().map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len)).sum();
    let bytes = headers + record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
    let item = if bytes > config.record_bytes_max {
        let why = format!(
            "the record has {bytes} bytes; ingress.kafka.record_bytes_max allows {}",
            config.record_bytes_max
        );
        Err(decode::malformed(record, &why))
    } else {
        decode::decode(record, &config.plain)
    };
    let key = match &config.order {
        Order::Key(attributes) => record.key.map(Into::into).or_else(|| attribute(&item, attributes)),
        Order::Partition => Some(record.partition.to_be_bytes().to_vec().into()),
        Order::None => None,
    };
    (item, key)
}

fn attribute<'a>(item: &Result<Event, Malformed>, names: &[String]) -> Option<std::borrow::Cow<'a, [u8]>> {
    let event = item.as_ref().ok()?;
    let text = names.iter().find_map(|name| event.text(name))?;
    Some(text.into_owned().into_bytes().into())
}

fn delivery(
    config: &Config,
    scope: &str,
    slot: &Slot,
    (offset, item, key): (i64, Result<Event, Malformed>, Option<&[u8]>),
    now_ms: u64,
) -> Delivery {
    let position = Position::Offset(slot.assigned.name.clone(), offset);
    Delivery {
        item,
        key: key.map(|key| Key::new(scope, key)),
        origin: Origin { source: config.name.clone(), position, headers: Vec::new() },
        received_ms: now_ms,
        attempts: 0,
        once: None,
        timeline: Timeline::off(),
        receipt: Receipt::new(slot.assigned.clone(), u64::try_from(offset).unwrap_or(0)),
    }
}
