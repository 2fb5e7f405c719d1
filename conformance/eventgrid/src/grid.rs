//! Everything that a fake knows, behind one lock, and the sign that something has changed.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::sync::watch;

use crate::{
    answer::Refusal,
    auth::Access,
    clock::{Clock, Moment, Pace},
    config::{Config, CustomTopic, NamespaceTopic},
    event::{Event, Schema},
    fault::Faults,
    push::Push,
    queue::{Queue, QueueSettings},
};

/// Requests that are kept for a test to read; the oldest go first.
const SEEN_MAX: usize = 100_000;

/// The fake, without its server.
#[derive(Debug)]
pub struct Grid {
    /// Its time.
    pub clock: Clock,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

/// What is behind the lock.
#[derive(Debug)]
pub struct State {
    /// What opens it.
    pub access: Access,
    /// The namespace's topics: their subscriptions by name.
    pub topics: BTreeMap<String, BTreeMap<String, Queue>>,
    /// Custom topics.
    pub custom: BTreeMap<String, Custom>,
    /// What a test has planted.
    pub faults: Faults,
    /// The requests so far.
    pub seen: VecDeque<Seen>,
    dead_letter_delay: Duration,
    events_max: usize,
    queues: u32,
}

/// A custom topic.
#[derive(Debug)]
pub struct Custom {
    /// What publishers must send.
    pub input_schema: Schema,
    /// Events that were published to it.
    pub published: u64,
    /// Its webhooks, by name.
    pub subscriptions: BTreeMap<String, Push>,
}

/// A request that a client made.
#[derive(Debug, Clone, Serialize)]
pub struct Seen {
    /// When.
    pub at: Moment,
    /// Its path and query.
    pub path: String,
    /// What it came in by; without it, it did not come in.
    pub by: Option<&'static str>,
    /// The client, by its `User-Agent`.
    pub agent: String,
    /// How long its body was.
    pub body_len: usize,
    /// How it was answered; 0 where the connection was closed instead.
    pub status: u16,
}

impl Grid {
    /// One as `config` says. Webhooks in it are made by the server, since they take a handshake.
    #[must_use]
    pub fn new(config: &Config, pace: Pace) -> Self {
        let mut state = State {
            access: config.access.clone(),
            topics: BTreeMap::new(),
            custom: BTreeMap::new(),
            faults: Faults::default(),
            seen: VecDeque::new(),
            dead_letter_delay: Duration::from_secs(config.dead_letter_delay_s),
            events_max: config.events_max,
            queues: 0,
        };
        for (name, topic) in &config.topics {
            state.put_topic(name, topic);
        }
        for (name, topic) in &config.custom_topics {
            state.put_custom(name, topic);
        }
        Self { clock: Clock::new(pace), state: Mutex::new(state), changed: watch::Sender::new(()) }
    }

    /// Looks at the state.
    pub fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the state; whoever waits for a change is woken.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.send_modify(|()| {});
        result
    }

    /// Changes the state without waking anyone: for what no one waits for.
    pub fn note<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.lock())
    }

    /// The sign of a change. What happens after this call is not missed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Waits until `wanted` gives something, looked at after each change. Cancel safe.
    pub async fn wait_for<T>(&self, mut wanted: impl FnMut(&State) -> Option<T>) -> T {
        let mut changes = self.changes();
        loop {
            if let Some(found) = self.look(&mut wanted) {
                return found;
            }
            // A grid that is gone cannot be awaited, so this has no error.
            let _ = changes.changed().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Makes a topic of the namespace, in place of what was there.
    pub fn put_topic(&mut self, name: &str, topic: &NamespaceTopic) {
        self.topics.insert(name.to_owned(), BTreeMap::new());
        for (subscription, settings) in &topic.subscriptions {
            self.put_queue(name, subscription, settings.clone());
        }
    }

    /// Makes a queue subscription, in place of what was there; a topic that is not there is made.
    pub fn put_queue(&mut self, topic: &str, name: &str, settings: QueueSettings) {
        self.queues += 1;
        let queue = Queue::new(settings, self.queues, self.dead_letter_delay);
        self.topics.entry(topic.to_owned()).or_default().insert(name.to_owned(), queue);
    }

    /// Makes a custom topic, in place of what was there.
    pub fn put_custom(&mut self, name: &str, topic: &CustomTopic) {
        let custom =
            Custom { input_schema: topic.input_schema, published: 0, subscriptions: BTreeMap::new() };
        self.custom.insert(name.to_owned(), custom);
    }

    /// How long a dead letter takes to its file.
    #[must_use]
    pub fn dead_letter_delay(&self) -> Duration {
        self.dead_letter_delay
    }

    /// The queue subscription of this name.
    ///
    /// # Errors
    /// 404: there is none.
    pub fn queue(&mut self, topic: &str, subscription: &str) -> Result<&mut Queue, Refusal> {
        let topic_of = self.topics.get_mut(topic).ok_or_else(|| no_topic(topic))?;
        let none = || Refusal::not_found(format!("Event subscription '{subscription}' does not exist."));
        topic_of.get_mut(subscription).ok_or_else(none)
    }

    /// Puts events into every subscription of a namespace topic that wants them.
    ///
    /// # Errors
    /// 404: no such topic. 429: the fake is full.
    pub fn publish(&mut self, topic: &str, events: Vec<Event>, now: Moment) -> Result<(), Refusal> {
        let held: usize = self.topics.values().flat_map(BTreeMap::values).map(|queue| queue.left().0).sum();
        let subscriptions = self.topics.get_mut(topic).ok_or_else(|| no_topic(topic))?;
        if held + events.len() * subscriptions.len() > self.events_max {
            let status = http::StatusCode::TOO_MANY_REQUESTS;
            let message = format!("The fake holds {held} events, and {} is its bound.", self.events_max);
            return Err(Refusal { status, code: "TooManyRequests", message });
        }
        for event in events.into_iter().map(Arc::new) {
            for queue in subscriptions.values_mut() {
                queue.publish(event.clone(), now);
            }
        }
        Ok(())
    }

    /// Enters a request.
    pub fn saw(&mut self, seen: Seen) {
        if self.seen.len() >= SEEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back(seen);
    }
}

/// 404 for a topic.
pub(crate) fn no_topic(topic: &str) -> Refusal {
    Refusal::not_found(format!("Topic '{topic}' does not exist."))
}
