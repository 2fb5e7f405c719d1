//! A queue subscription of a namespace topic: what is available, what is locked by whom and until when, and what
//! becomes of an event in the end. Pure: it is told the time and does nothing by itself.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    clock::Moment,
    event::{Event, as_published},
    filter::Filter,
};

/// How long after its first lock a lock may still be renewed.
pub const RENEW_WITHIN: Duration = Duration::from_hours(1);

/// The delays that a release may ask for, in seconds.
pub const RELEASE_DELAYS_S: [u64; 5] = [0, 10, 60, 600, 3600];

/// Acknowledged ids that are kept for a test to read; the oldest go first.
const IDS_MAX: usize = 1_000_000;

/// How a queue subscription is set up; the service's names, bounds and defaults.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueSettings {
    /// How long a received event is locked: 60–300 s, default 60.
    pub receive_lock_s: u64,
    /// After so many deliveries it is dead-lettered: 1–10, default 10.
    pub max_delivery_count: u32,
    /// Events live so long: 60 s to 7 days, default 7 days.
    pub time_to_live_s: u64,
    /// Whether a dead letter is kept or dropped. Default: dropped.
    pub dead_letter: bool,
    /// Which events it takes; default all.
    pub filter: Filter,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            receive_lock_s: 60,
            max_delivery_count: 10,
            time_to_live_s: 7 * 24 * 3600,
            dead_letter: false,
            filter: Filter::default(),
        }
    }
}

impl QueueSettings {
    /// Whether the service would take them.
    ///
    /// # Errors
    /// What is out of its bounds.
    pub fn check(&self) -> Result<(), String> {
        if !(60..=300).contains(&self.receive_lock_s) {
            return Err("receive_lock_s must be 60 to 300".to_owned());
        }
        if !(1..=10).contains(&self.max_delivery_count) {
            return Err("max_delivery_count must be 1 to 10".to_owned());
        }
        if !(60..=7 * 24 * 3600).contains(&self.time_to_live_s) {
            return Err("time_to_live_s must be 60 s to 7 days".to_owned());
        }
        self.filter.check()
    }
}

/// What a client may do with a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    /// It is done with the event.
    Acknowledge,
    /// Somebody shall have it again, after this delay.
    Release(Duration),
    /// Nobody can use it.
    Reject,
    /// It needs more time.
    Renew,
}

/// Why nothing could be done with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// It is no lock token.
    BadToken,
    /// It is one, but it holds no lock (any more).
    TokenLost,
}

impl TokenError {
    /// As the service writes it.
    #[must_use]
    pub fn json(self, token: &str) -> Value {
        let (code, message) = match self {
            Self::BadToken => ("BadToken", "The lock token is not formatted correctly."),
            Self::TokenLost => ("TokenLost", "Token has expired."),
        };
        json!({"lockToken": token, "error": {"code": code, "message": message}})
    }
}

/// A received event.
#[derive(Debug, Clone)]
pub struct Received {
    /// By which it is settled.
    pub token: String,
    /// How often it has been received, this time included.
    pub delivery_count: u32,
    /// The event.
    pub event: Arc<Event>,
}

/// A dead letter, as it stands in the file.
#[derive(Debug, Clone, Serialize)]
pub struct DeadLetter {
    /// From when on it lies there.
    #[serde(skip)]
    pub written_at: Moment,
    /// Why it is one.
    #[serde(rename = "deadLetterProperties")]
    pub properties: Value,
    /// The event, as it was published.
    #[serde(serialize_with = "as_published")]
    pub event: Arc<Event>,
}

/// What has happened so far, in events.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    /// Taken from publishers.
    pub published: u64,
    /// Handed out, repeats included.
    pub received: u64,
    /// Acknowledged.
    pub acknowledged: u64,
    /// Released.
    pub released: u64,
    /// Rejected.
    pub rejected: u64,
    /// Locks renewed.
    pub renewed: u64,
    /// Locks that ran out or were taken away.
    pub locks_lost: u64,
    /// Tokens for which the answer was an error.
    pub tokens_refused: u64,
    /// Dead letters.
    pub dead_lettered: u64,
    /// Dead letters that nobody wanted to keep.
    pub dropped: u64,
}

#[derive(Debug)]
struct Item {
    seq: u64,
    event: Arc<Event>,
    published_at: Moment,
    received_at: Option<Moment>,
    delivery_count: u32,
}

#[derive(Debug)]
struct Locked {
    item: Item,
    until: Moment,
    since: Moment,
}

/// The state of one subscription.
#[derive(Debug)]
pub struct Queue {
    /// How it is set up.
    pub settings: QueueSettings,
    /// What has happened.
    pub counts: Counts,
    /// Receives that wait for events now.
    pub receiving: u32,
    number: u32,
    dead_letter_delay: Duration,
    next: u64,
    waiting: BTreeMap<(Moment, u64), Item>,
    locked: HashMap<u64, Locked>,
    lapses: BTreeSet<(Moment, u64)>,
    acknowledged: Vec<Box<str>>,
    dead_letters: Vec<DeadLetter>,
}

impl Queue {
    /// An empty one. `number` is in its tokens, so that those of another subscription are none of its own.
    #[must_use]
    pub fn new(settings: QueueSettings, number: u32, dead_letter_delay: Duration) -> Self {
        Self {
            settings,
            counts: Counts::default(),
            receiving: 0,
            number,
            dead_letter_delay,
            next: 0,
            waiting: BTreeMap::new(),
            locked: HashMap::new(),
            lapses: BTreeSet::new(),
            acknowledged: Vec::new(),
            dead_letters: Vec::new(),
        }
    }

    /// Takes an event, if the filter wants it.
    pub fn publish(&mut self, event: Arc<Event>, now: Moment) {
        if !self.settings.filter.wants(&event) {
            return;
        }
        self.next += 1;
        self.counts.published += 1;
        let item = Item { seq: self.next, event, published_at: now, received_at: None, delivery_count: 0 };
        self.waiting.insert((now, item.seq), item);
    }

    /// Locks and hands out up to `max` of what is available.
    pub fn receive(&mut self, max: usize, now: Moment) -> Vec<Received> {
        self.lapse(now);
        let mut received = Vec::new();
        while received.len() < max {
            let Some(entry) = self.waiting.first_entry().filter(|entry| entry.key().0 <= now) else { break };
            let mut item = entry.remove();
            if now.since(item.published_at) >= Duration::from_secs(self.settings.time_to_live_s) {
                self.bury(item, "Time to live was exceeded.", now);
                continue;
            }
            item.delivery_count += 1;
            item.received_at = Some(now);
            self.next += 1;
            let id = self.next;
            let until = now.plus(Duration::from_secs(self.settings.receive_lock_s));
            let (event, delivery_count) = (item.event.clone(), item.delivery_count);
            received.push(Received { token: self.token(id), delivery_count, event });
            self.locked.insert(id, Locked { item, until, since: now });
            self.lapses.insert((until, id));
        }
        self.counts.received += received.len() as u64;
        received
    }

    /// Does with one lock what its holder asks.
    ///
    /// # Errors
    /// The token is none, or holds no lock.
    pub fn settle(&mut self, token: &str, how: Settle, now: Moment) -> Result<(), TokenError> {
        self.lapse(now);
        let settled = self.lock_of(token, how, now);
        if settled.is_err() {
            self.counts.tokens_refused += 1;
        }
        let (id, mut lock) = settled?;
        self.lapses.remove(&(lock.until, id));
        match how {
            Settle::Acknowledge => {
                self.counts.acknowledged += 1;
                if self.acknowledged.len() >= IDS_MAX {
                    self.acknowledged.drain(..IDS_MAX / 2);
                }
                self.acknowledged.push(lock.item.event.id.as_str().into());
            }
            Settle::Release(delay) => {
                self.counts.released += 1;
                self.give_back(lock.item, now.plus(delay), now);
            }
            Settle::Reject => {
                self.counts.rejected += 1;
                self.bury(lock.item, "Event was rejected.", now);
            }
            Settle::Renew => {
                self.counts.renewed += 1;
                lock.until = now.plus(Duration::from_secs(self.settings.receive_lock_s));
                self.lapses.insert((lock.until, id));
                self.locked.insert(id, lock);
            }
        }
        Ok(())
    }

    /// Takes every lock away, as a service that moves a partition does.
    pub fn lose_locks(&mut self, now: Moment) {
        self.lapses.clear();
        let mut lost: Vec<_> = self.locked.drain().collect();
        lost.sort_by_key(|(id, _)| *id);
        for (_, lock) in lost {
            self.counts.locks_lost += 1;
            self.give_back(lock.item, now, now);
        }
    }

    /// When something changes by itself next: a lock runs out, or a released event is available again.
    #[must_use]
    pub fn next_due(&self, now: Moment) -> Option<Moment> {
        let lapse = self.lapses.first().map(|(until, _)| *until);
        let available = self.waiting.first_key_value().map(|((from, _), _)| *from).filter(|from| *from > now);
        lapse.into_iter().chain(available).min()
    }

    /// Events that have not ended: waiting, and locked.
    #[must_use]
    pub fn left(&self) -> (usize, usize) {
        (self.waiting.len(), self.locked.len())
    }

    /// The ids that were acknowledged, in that order; the newest million.
    #[must_use]
    pub fn acknowledged(&self) -> &[Box<str>] {
        &self.acknowledged
    }

    /// The dead-letter file as it is at `now`.
    #[must_use]
    pub fn dead_letters(&self, now: Moment) -> Vec<&DeadLetter> {
        self.dead_letters.iter().filter(|letter| letter.written_at <= now).collect()
    }

    /// Gives back what was locked until `now` or before.
    pub fn lapse(&mut self, now: Moment) {
        while let Some((until, id)) = self.lapses.first().copied().filter(|(until, _)| *until <= now) {
            self.lapses.pop_first();
            if let Some(lock) = self.locked.remove(&id) {
                self.counts.locks_lost += 1;
                self.give_back(lock.item, until, now);
            }
        }
    }

    fn lock_of(&mut self, token: &str, how: Settle, now: Moment) -> Result<(u64, Locked), TokenError> {
        let bytes = BASE64_STANDARD.decode(token).map_err(|_| TokenError::BadToken)?;
        let bytes: [u8; 12] = bytes.try_into().map_err(|_| TokenError::BadToken)?;
        let (number, id) = bytes.split_at(4);
        if number != self.number.to_be_bytes() {
            return Err(TokenError::TokenLost);
        }
        let id = u64::from_be_bytes(id.try_into().map_err(|_| TokenError::BadToken)?);
        let lock = self.locked.get(&id).ok_or(TokenError::TokenLost)?;
        if how == Settle::Renew && now.since(lock.since) > RENEW_WITHIN {
            return Err(TokenError::TokenLost);
        }
        self.locked.remove(&id).map(|lock| (id, lock)).ok_or(TokenError::TokenLost)
    }

    fn token(&self, id: u64) -> String {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&self.number.to_be_bytes());
        bytes[4..].copy_from_slice(&id.to_be_bytes());
        BASE64_STANDARD.encode(bytes)
    }

    fn give_back(&mut self, item: Item, from: Moment, now: Moment) {
        if item.delivery_count >= self.settings.max_delivery_count {
            self.bury(item, "Maximum delivery attempts was exceeded.", now);
        } else {
            self.waiting.insert((from, item.seq), item);
        }
    }

    fn bury(&mut self, item: Item, reason: &str, now: Moment) {
        if !self.settings.dead_letter {
            self.counts.dropped += 1;
            return;
        }
        self.counts.dead_lettered += 1;
        let result = if reason.starts_with("Event was rejected") {
            "Event was rejected."
        } else {
            "Event was not acknowledged nor rejected."
        };
        let properties = json!({
            "deadletterreason": reason,
            "deliveryattempts": item.delivery_count,
            "deliveryresult": result,
            "publishutc": item.published_at,
            "deliveryattemptutc": item.received_at,
        });
        let written_at = now.plus(self.dead_letter_delay);
        self.dead_letters.push(DeadLetter { written_at, properties, event: item.event });
    }
}
