//! A webhook subscription: what is due, what is in flight, and what becomes of it. Pure: it is told the time and the
//! outcome of each attempt, and does nothing by itself.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    clock::Moment,
    event::{Event, Schema},
    filter::Filter,
    retry::{self, Outcome, Verdict},
};

/// Attempts that are kept for a test to read; the oldest go first.
const ATTEMPTS_MAX: usize = 100_000;

/// How a webhook subscription is set up; the service's names, bounds and defaults.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PushSettings {
    /// The webhook's URL, with whatever secret its query has. https, or http on loopback.
    pub endpoint: String,
    /// What is delivered. Default: what the topic takes.
    #[serde(default)]
    pub delivery_schema: Option<Schema>,
    /// Events in one request, 1–5000. Default 1, which is no batching.
    #[serde(default = "one")]
    pub max_events_per_batch: usize,
    /// A request is not filled beyond this, 1–1024 KB. Default 64. One event may be longer.
    #[serde(default = "kb")]
    pub preferred_batch_kb: usize,
    /// 1–30, default 30.
    #[serde(default = "thirty")]
    pub max_delivery_attempts: u32,
    /// 1–1440, default 1440.
    #[serde(default = "day")]
    pub time_to_live_min: u64,
    /// Whether a dead letter is kept or dropped. Default: dropped.
    #[serde(default)]
    pub dead_letter: bool,
    /// Up to ten headers of one's own, 4096 bytes each.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The token that the service would have got from Microsoft Entra ID for this subscription.
    #[serde(default)]
    pub bearer: Option<String>,
    /// Which events it takes; default all.
    #[serde(default)]
    pub filter: Filter,
}

const fn one() -> usize {
    1
}
const fn kb() -> usize {
    64
}
const fn thirty() -> u32 {
    30
}
const fn day() -> u64 {
    1440
}

impl PushSettings {
    /// All defaults, to this URL.
    #[must_use]
    pub fn to(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            delivery_schema: None,
            max_events_per_batch: one(),
            preferred_batch_kb: kb(),
            max_delivery_attempts: thirty(),
            time_to_live_min: day(),
            dead_letter: false,
            headers: BTreeMap::new(),
            bearer: None,
            filter: Filter::default(),
        }
    }

    /// Whether the service would take them, for a topic that takes `input`.
    ///
    /// # Errors
    /// What is out of its bounds.
    pub fn check(&self, input: Schema) -> Result<(), String> {
        let uri: http::Uri = self.endpoint.parse().map_err(|error| format!("endpoint: {error}"))?;
        let loopback = matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]"));
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if loopback => {}
            _ => return Err("endpoint: a webhook must be https (or http on loopback)".to_owned()),
        }
        if input == Schema::CloudEventSchemaV1_0 && self.delivery_schema == Some(Schema::EventGridSchema) {
            return Err("delivery_schema: CloudEvents cannot be delivered in Event Grid's schema".to_owned());
        }
        let bounds = [
            ("max_events_per_batch", self.max_events_per_batch, 1, 5000),
            ("preferred_batch_kb", self.preferred_batch_kb, 1, 1024),
            ("max_delivery_attempts", self.max_delivery_attempts as usize, 1, 30),
            ("time_to_live_min", usize::try_from(self.time_to_live_min).unwrap_or(usize::MAX), 1, 1440),
        ];
        for (name, value, least, most) in bounds {
            if !(least..=most).contains(&value) {
                return Err(format!("{name} must be {least} to {most}"));
            }
        }
        if self.headers.len() > 10 || self.headers.values().any(|value| value.len() > 4096) {
            return Err("headers: at most ten, of at most 4096 bytes each".to_owned());
        }
        self.filter.check()
    }
}

/// How far a subscription is on its way to deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Standing {
    /// The webhook has been asked.
    Validating,
    /// It took the question and did not answer it: its URL must be fetched until then.
    AwaitingManualAction(Moment),
    /// Events are delivered.
    Active,
    /// The handshake failed. The subscription must be made anew.
    Failed(String),
}

/// One request to the webhook.
#[derive(Debug, Clone)]
pub struct Batch {
    /// By which its outcome is told.
    pub id: u64,
    /// What is delivered.
    pub events: Vec<Arc<Event>>,
    /// Earlier attempts of its first event.
    pub earlier: u32,
}

/// An attempt that has ended.
#[derive(Debug, Clone, Serialize)]
pub struct Attempt {
    /// When it ended.
    pub at: Moment,
    /// The ids of its events.
    pub ids: Vec<String>,
    /// Earlier attempts of its first event.
    pub earlier: u32,
    /// The status, if there was an answer.
    pub status: Option<u16>,
    /// Azure's name for what happened.
    pub outcome: &'static str,
}

/// What has happened so far, in events.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PushCounts {
    /// Taken from publishers.
    pub published: u64,
    /// Taken by the webhook.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
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
    attempts: u32,
    last: Option<(Outcome, Moment)>,
}

/// The state of one subscription.
#[derive(Debug)]
pub struct Push {
    /// How it is set up.
    pub settings: PushSettings,
    /// Whether events are delivered.
    pub standing: Standing,
    /// The code of its handshake.
    pub code: String,
    /// How often the handshake was not answered in time.
    pub unanswered: u32,
    /// What has happened.
    pub counts: PushCounts,
    schema: Schema,
    dead_letter_delay: Duration,
    next: u64,
    waiting: BTreeMap<(Moment, u64), Item>,
    in_flight: HashMap<u64, Vec<Item>>,
    attempts: Vec<Attempt>,
    dead_letters: Vec<(Moment, Value)>,
}

impl Push {
    /// One that has not been validated. `input` is what its topic takes.
    #[must_use]
    pub fn new(settings: PushSettings, input: Schema, code: String, dead_letter_delay: Duration) -> Self {
        Self {
            schema: settings.delivery_schema.unwrap_or(input),
            settings,
            standing: Standing::Validating,
            code,
            unanswered: 0,
            counts: PushCounts::default(),
            dead_letter_delay,
            next: 0,
            waiting: BTreeMap::new(),
            in_flight: HashMap::new(),
            attempts: Vec::new(),
            dead_letters: Vec::new(),
        }
    }

    /// What is delivered.
    #[must_use]
    pub fn schema(&self) -> Schema {
        self.schema
    }

    /// Takes an event, if it is active and its filter wants it.
    pub fn publish(&mut self, event: Arc<Event>, now: Moment) {
        if self.standing != Standing::Active || !self.settings.filter.wants(&event) {
            return;
        }
        self.next += 1;
        self.counts.published += 1;
        let item = Item { seq: self.next, event, published_at: now, attempts: 0, last: None };
        self.waiting.insert((now, item.seq), item);
    }

    /// The next request that is due, which is in flight from now on.
    pub fn take_due(&mut self, now: Moment) -> Option<Batch> {
        let mut items: Vec<Item> = Vec::new();
        let mut bytes = 0;
        while items.len() < self.settings.max_events_per_batch {
            let Some(entry) = self.waiting.first_entry().filter(|entry| entry.key().0 <= now) else { break };
            bytes += entry.get().event.raw.get().len();
            if !items.is_empty() && bytes > self.settings.preferred_batch_kb * 1024 {
                break;
            }
            let item = entry.remove();
            if now.since(item.published_at) >= Duration::from_mins(self.settings.time_to_live_min) {
                // Looked at only when an attempt is due, as the service does.
                self.bury(&item, "TimeToLiveExceeded", now);
                continue;
            }
            items.push(item);
        }
        let earlier = items.first()?.attempts;
        self.next += 1;
        let events = items.iter().map(|item| item.event.clone()).collect();
        self.in_flight.insert(self.next, items);
        Some(Batch { id: self.next, events, earlier })
    }

    /// Says how a request ended: all of its events share that.
    pub fn ended(&mut self, id: u64, outcome: Outcome, now: Moment) {
        let Some(items) = self.in_flight.remove(&id) else { return };
        let ids = items.iter().map(|item| item.event.id.clone()).collect();
        let earlier = items.first().map_or(0, |item| item.attempts);
        let status = if let Outcome::Status(status) = outcome { Some(status) } else { None };
        if self.attempts.len() >= ATTEMPTS_MAX {
            self.attempts.drain(..ATTEMPTS_MAX / 2);
        }
        self.attempts.push(Attempt { at: now, ids, earlier, status, outcome: retry::name(outcome) });
        for mut item in items {
            item.attempts += 1;
            item.last = Some((outcome, now));
            match retry::verdict(outcome) {
                Verdict::Delivered => self.counts.delivered += 1,
                Verdict::Refused => {
                    self.counts.failed += 1;
                    self.bury(&item, &retry::reason(outcome), now);
                }
                Verdict::Retry(_) if item.attempts >= self.settings.max_delivery_attempts => {
                    self.counts.failed += 1;
                    self.bury(&item, "MaxDeliveryAttemptsExceeded", now);
                }
                Verdict::Retry(least) => {
                    self.counts.failed += 1;
                    let due = now.plus(retry::step(item.attempts).max(least));
                    self.waiting.insert((due, item.seq), item);
                }
            }
        }
    }

    /// When the next attempt is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Moment> {
        self.waiting.first_key_value().map(|((due, _), _)| *due)
    }

    /// Events that have not ended: waiting, and in flight.
    #[must_use]
    pub fn left(&self) -> (usize, usize) {
        (self.waiting.len(), self.in_flight.values().map(Vec::len).sum())
    }

    /// The attempts so far; the newest 100,000.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// The dead-letter file as it is at `now`.
    #[must_use]
    pub fn dead_letters(&self, now: Moment) -> Vec<&Value> {
        self.dead_letters.iter().filter(|(written_at, _)| *written_at <= now).map(|(_, json)| json).collect()
    }

    fn bury(&mut self, item: &Item, reason: &str, now: Moment) {
        if !self.settings.dead_letter {
            self.counts.dropped += 1;
            return;
        }
        self.counts.dead_lettered += 1;
        let outcome = item.last.map(|(outcome, _)| retry::name(outcome));
        let status = item.last.and_then(|(outcome, _)| match outcome {
            Outcome::Status(status) => Some(status),
            _ => None,
        });
        let cloud = self.schema == Schema::CloudEventSchemaV1_0;
        let mut json = if cloud { item.event.to_cloud() } else { item.event.value.clone() };
        let properties = [
            ("deadLetterReason", json!(reason)),
            ("deliveryAttempts", json!(item.attempts)),
            ("lastDeliveryOutcome", json!(outcome)),
            ("lastHttpStatusCode", json!(status)),
            ("publishTime", json!(item.published_at)),
            ("lastDeliveryAttemptTime", json!(item.last.map(|(_, at)| at))),
        ];
        for (name, value) in properties.into_iter().filter(|(_, value)| !value.is_null()) {
            let name = if cloud { name.to_lowercase() } else { name.to_owned() };
            json[name] = value;
        }
        self.dead_letters.push((now.plus(self.dead_letter_delay), json));
    }
}
