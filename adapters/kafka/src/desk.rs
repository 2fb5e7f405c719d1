//! The reader's desk: the partitions that are ours, and every record's way from the client into the path.
//!
//! A record that finds no room is kept, never thrown back: those of a full window in `held`, those of a partition
//! that is stopped in its own `aside`. Both hold no more than the client had fetched ahead.

use crate::{
    Config,
    client::{Damage, Headers, Start, Tail, TopicPartition},
    decode::Record,
    deliver::{self, Place, Read},
    partition::{Assigned, Phase, Taken},
};
use bytes::Bytes;
use outrigger_core::{Delivery, Intake, Receipt};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use tokio::time::Instant;

/// A record that was read, and waits for its partition.
struct Waiting {
    offset: i64,
    stamp_ms: i64,
    read: Read<Bytes>,
}

/// One partition of ours.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is true or not by itself, and none rules another out"
)]
pub(crate) struct Slot {
    pub(crate) assigned: Arc<Assigned>,
    aside: VecDeque<Waiting>,
    /// Whether the client was told to fetch no more.
    pub(crate) paused: bool,
    /// Somebody paused it over the socket.
    pub(crate) by_owner: bool,
    /// Where it is damaged.
    pub(crate) corrupt: Option<Damage>,
    /// Where it goes on, once what was read before is handed on.
    skip_to: Option<i64>,
    /// The end of the partition, when last heard.
    pub(crate) end: Option<i64>,
    /// Where it was read to and its end, when last heard, while nothing came.
    idle: Option<(i64, i64)>,
    /// Whether the client had fetched everything up to there.
    pub(crate) is_read: bool,
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

    fn delivery(
        &self,
        config: &Config,
        scope: &str,
        offset: i64,
        read: Read<impl AsRef<[u8]>>,
        now_ms: u64,
    ) -> Delivery {
        let place = Place { scope, name: &self.assigned.name, offset };
        let receipt = Receipt::new(self.assigned.clone(), deliver::token(offset));
        deliver::delivery(config, &place, read, now_ms, receipt)
    }

    /// The offset after the last record that was read, handed on or not.
    pub(crate) fn read_to(&self) -> i64 {
        let handed_on = self.assigned.look().position;
        self.aside.back().map_or(handed_on, |last| handed_on.max(last.offset + 1))
    }

    /// What lies before the end, if nothing of it came since the end was last heard: there may be no record in it.
    pub(crate) fn idle_tail(&mut self) -> Option<Tail> {
        let (from, end) = (self.read_to(), self.end?);
        let fetched = !self.paused && self.assigned.is_live() && end > from;
        let before = std::mem::replace(&mut self.idle, fetched.then_some((from, end)));
        let at = self.assigned.at.clone();
        (fetched && before == self.idle).then_some(Tail { at, from, end })
    }

    /// Goes on at `to`, which lies behind all that was read: once that is handed on, so that none of it is passed
    /// over.
    pub(crate) fn skip(&mut self, to: i64) {
        (self.corrupt, self.skip_to) = (None, Some(to));
    }

    /// The skip that is due.
    pub(crate) fn take_skip(&mut self) -> Option<i64> {
        if self.aside.is_empty() { self.skip_to.take() } else { None }
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
            .or_insert_with(|| Topic { scope: deliver::scope(&start.at.topic), slots: Vec::new() });
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
            skip_to: None,
            idle: None,
            end: None,
            is_read: false,
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
        let read = deliver::read(record, &self.config);
        if taken == Taken::On {
            let delivery = slot.delivery(&self.config, &topic.scope, record.offset, read, self.now_ms);
            hand_on(&self.intake, &mut self.held, delivery);
            return;
        }
        let key = read.key.map(|key| Bytes::copy_from_slice(&key));
        let read = Read { item: read.item, key, hop: read.hop };
        slot.aside.push_back(Waiting { offset: record.offset, stamp_ms, read });
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
                        let Waiting { offset, read, .. } = waiting;
                        let delivery = slot.delivery(config, &topic.scope, offset, read, now_ms);
                        hand_on(intake, held, delivery);
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
