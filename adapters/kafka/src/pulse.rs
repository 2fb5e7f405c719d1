//! What happens beside the records: the watchdog, damage, what its owner asks, and the numbers.

use crate::{
    board::{Ask, Command, PartitionStatus},
    client::{Client, Damage, Stats, Tail, TopicPartition},
    desk::Slot,
    source::Reader,
    turn::Step,
};
use std::time::Duration;
use tokio::time::Instant;

/// How long a client that cannot be made waits for the next try.
const CONNECT_AGAIN: Duration = Duration::from_secs(5);

impl<C: Client> Reader<C> {
    pub(crate) fn stats(&mut self, stats: Stats) {
        for (at, end) in &stats.ends {
            if let Some(slot) = self.desk.slot_mut(&at.topic, at.partition) {
                slot.end = Some(*end);
                slot.is_read = false;
            }
        }
        for at in &stats.read {
            if let Some(slot) = self.desk.slot_mut(&at.topic, at.partition) {
                slot.is_read = true;
            }
        }
        // What is refused is told once. Partitions that are still here may be about to go because of it.
        let told_long_ago = self.watch.told_at.elapsed() >= self.config.stats_every;
        let settled = told_long_ago && matches!(self.step, Step::Idle) && self.turns.is_empty();
        let holds = settled && self.desk.assigned() > 0;
        let serves = stats.brokers_up > 0 && (self.watch.outage || holds);
        if serves && self.desk.slots().all(|slot| slot.corrupt.is_none()) {
            self.board.trouble(None);
        }
        self.board.brokers_down(stats.brokers_down.clone());
        self.watch.last_stats = stats;
        let tails: Vec<Tail> = self.desk.slots_mut().filter_map(Slot::idle_tail).collect();
        if !tails.is_empty() && self.tails.is_none() {
            self.tails = Some(self.client.find_empty(tails));
        }
    }

    /// No record is left up to these ends. Without this the lag of a topic with transactions would never be zero, and
    /// the watchdog would take its silence for a client that has stopped.
    pub(crate) fn pass_over(&mut self, tails: Vec<Tail>) {
        self.tails = None;
        for Tail { at, from, end } in tails {
            let slot = self.desk.slot_mut(&at.topic, at.partition);
            if let Some(slot) = slot.filter(|slot| slot.read_to() == from && slot.assigned.is_live()) {
                slot.assigned.skip_to(end);
            }
        }
    }

    /// A batch of records is damaged: its partition stops until somebody skips it.
    ///
    /// A client that cannot tell which partition it is may go on behind the batch as if nothing had been there. So
    /// nothing more is taken from it, and what it had fetched ahead is dropped by the pause, until that is found out.
    pub(crate) fn corrupt(&mut self, place: Option<(TopicPartition, i64)>, message: &str) {
        tracing::error!(source = %self.config.name, "{message}");
        if let Some((at, from)) = place {
            return self.searched(vec![Damage { at, from, until: None }]);
        }
        let live = self.desk.slots().filter(|slot| slot.corrupt.is_none() && slot.assigned.is_live());
        let suspects: Vec<_> = live.map(|slot| (slot.assigned.at.clone(), slot.read_to())).collect();
        if self.search.is_none() && !suspects.is_empty() {
            self.search = Some(self.client.find_damage(suspects));
            self.repause();
        }
    }

    /// The partitions that were found to be damaged stop, and the others go on.
    pub(crate) fn searched(&mut self, found: Vec<Damage>) {
        self.search = None;
        if found.is_empty() {
            tracing::warn!(source = %self.config.name, "no damage was found where reading goes on");
            // The client may stand before a damage that was skipped.
            for slot in self.desk.slots().filter(|slot| slot.corrupt.is_none() && slot.assigned.is_live()) {
                self.client.seek(&slot.assigned.at, slot.read_to());
            }
        }
        for damage in found {
            let Some(slot) = self.desk.slot_mut(&damage.at.topic, damage.at.partition) else { continue };
            tracing::error!(
                partition = %damage.at, from = damage.from, until = damage.until,
                "a partition is damaged and stops; mend the broker, or skip it by `outrigger kafka skip`"
            );
            slot.corrupt = Some(damage);
        }
        self.repause();
        self.publish();
    }

    /// Notices a source that silently stopped: records are there, nothing is in their way, and none come. Or a commit has no
    /// end, without which partitions are never given up.
    pub(crate) fn watch(&mut self, now: Instant) {
        if let Some(at) = self.watch.again_at {
            if now >= at {
                self.heal("there is no working client");
            }
            return;
        }
        let is_late = |at| now - at >= self.config.stalled_after;
        if self.watch.last_stats.brokers_up > 0 && self.watch.commit_at.is_some_and(is_late) {
            return self.heal("a commit was not answered for too long");
        }
        let moved = self.desk.received != self.watch.received;
        let owed = |slot: &Slot| {
            let fetches = !slot.paused && !slot.is_read;
            fetches && slot.end.is_some_and(|end| end > slot.assigned.look().position)
        };
        let idle = matches!(self.step, Step::Idle) && self.desk.held.is_empty();
        let stats = &self.watch.last_stats;
        let unjoined = self.desk.assigned() == 0 && stats.brokers_up > 0 && !stats.is_joined();
        let expects = idle && (self.desk.slots().any(owed) || unjoined);
        if moved || !expects || !self.desk.open {
            self.watch.received = self.desk.received;
            self.watch.alive_at = now;
        } else if now - self.watch.alive_at >= self.config.stalled_after {
            self.heal("nothing came in for too long although records are there");
        }
    }

    /// Makes the client anew. What is in hand of the old one settles nothing: it comes again.
    pub(crate) fn heal(&mut self, why: &str) {
        tracing::error!(source = %self.config.name, why, "the Kafka client is made anew");
        self.board.healed();
        self.watch.alive_at = Instant::now();
        let all: Vec<TopicPartition> = self.desk.slots().map(|slot| slot.assigned.at.clone()).collect();
        for at in &all {
            self.desk.remove(at);
        }
        self.intake.sweep();
        self.turns.clear();
        self.step = Step::Idle;
        (self.committing, self.search, self.tails) = (None, None, None);
        self.watch.commit_at = None;
        (self.held_since, self.window_paused) = (None, false);
        self.watch.last_stats = Stats::default();
        if self.watch.again_at.is_none() {
            tokio::spawn(self.client.leave());
        }
        match (self.connect)() {
            Ok(client) => {
                self.client = client;
                self.watch.again_at = None;
            }
            Err(error) => {
                tracing::error!(source = %self.config.name, %error, "there is no Kafka client; it is tried again");
                self.board.trouble(Some(error.to_string()));
                self.watch.again_at = Some(Instant::now() + CONNECT_AGAIN);
            }
        }
    }

    pub(crate) fn obey(&mut self, command: Command) {
        let Command { ask, topic, partition, answer } = command;
        let chosen = |at: &TopicPartition| {
            *at.topic == *topic && partition.is_none_or(|number| number == at.partition)
        };
        let ours: Vec<TopicPartition> =
            self.desk.slots().map(|slot| slot.assigned.at.clone()).filter(chosen).collect();
        let which = || partition.map_or_else(|| topic.clone(), |number| format!("{topic}/{number}"));
        let is_damaged = |at: &&TopicPartition| self.desk.slot(at).is_some_and(|slot| slot.corrupt.is_some());
        let meant: Vec<TopicPartition> = match ask {
            Ask::Skip { to: None } => ours.iter().filter(is_damaged).cloned().collect(),
            _ => ours.clone(),
        };
        let done = match (ours.is_empty(), meant.is_empty()) {
            (true, _) => Err(format!("{} is not assigned to this instance", which())),
            (_, true) => Err(format!("{} is not damaged: name the offset to go on from", which())),
            _ => meant.iter().try_for_each(|at| self.obey_for(&ask, at)).map(|()| meant),
        };
        self.hand_on_aside();
        self.publish();
        let _ = answer.send(done); // whoever asked may be gone; it is done all the same
    }

    fn obey_for(&mut self, ask: &Ask, at: &TopicPartition) -> Result<(), String> {
        let Some(slot) = self.desk.slot_mut(&at.topic, at.partition) else { return Ok(()) };
        match ask {
            Ask::Pause => slot.by_owner = true,
            // What was damaged may be mended.
            Ask::Resume => (slot.by_owner, slot.corrupt) = (false, None),
            Ask::Skip { to } => {
                let position = slot.read_to();
                let behind = slot.corrupt.as_ref().and_then(|damage| damage.until);
                let to = to.or(behind).ok_or_else(|| {
                    format!("where the damage of {at} ends is not known: name the offset to go on from")
                })?;
                if to <= position {
                    return Err(format!("{at} is at {position} already; skip goes forward only"));
                }
                tracing::warn!(partition = %at, from = position, to, "records are skipped by the owner");
                slot.skip(to);
            }
        }
        Ok(())
    }

    /// Shows the numbers.
    pub(crate) fn publish(&self) {
        let now = Instant::now();
        let now_ms = i64::try_from(self.desk.now_ms).unwrap_or(i64::MAX);
        let ms = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let line = |slot: &Slot| {
            let look = slot.assigned.look();
            let behind = slot.end.unwrap_or(look.position).max(look.position) - look.next;
            let age_ms = look.oldest_ms.filter(|stamp| *stamp > 0).map_or(0, |stamp| now_ms - stamp);
            PartitionStatus {
                topic: slot.assigned.at.topic.to_string(),
                partition: slot.assigned.at.partition,
                next: look.next,
                position: look.position,
                lag_records: u64::try_from(behind).unwrap_or(0),
                lag_seconds: u64::try_from(age_ms / 1_000).unwrap_or(0),
                in_flight: look.open,
                paused: Self::why_paused(slot),
                commit_age_ms: look.due_since.map_or(0, |since| ms(now - since)),
            }
        };
        self.board.partitions(self.desk.slots().map(line).collect());
    }

    fn why_paused(slot: &Slot) -> Option<String> {
        if let Some(Damage { at, from, .. }) = &slot.corrupt {
            return Some(format!(
                "damaged at offset {from}: mend the broker and `outrigger kafka resume {at}`, or \
                 `outrigger kafka skip {at}`"
            ));
        }
        if slot.by_owner {
            return Some("by its owner".to_owned());
        }
        if !slot.assigned.is_live() {
            return Some("it is given up".to_owned());
        }
        if slot.wants_pause() {
            return Some("too many of its records are in hand: a key is parked or backs off".to_owned());
        }
        slot.paused.then(|| "the window is full".to_owned())
    }
}
