//! What is in hand: every message from its coming until Pub/Sub has been told what became of it.
//!
//! Google's client bounds nothing by itself, and asks the server to. So the bound is here, over all streams: while it is
//! reached, no stream is read. What a stream has decoded by then (one answer of the server) and what is on its way in
//! the connection's window comes on top.

use crate::{
    Config, Order,
    decode::{self, Message, Place},
    keys::{KeyName, Keys},
    settle::Lease,
    status::{Counts, Status, lock},
};
use outrigger_core::{Delivery, Event, Key, Malformed, Origin, Position, Receipt, Timeline};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, Weak},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{runtime::Handle, sync::Notify, time::Instant};

/// See the module. `L` is Google's handler but in tests.
pub(crate) struct Desk<L> {
    pub(crate) config: Arc<Config>,
    places: Vec<Place>,
    state: Mutex<State<L>>,
    /// Rung when there is room again, or nothing is in hand any more.
    freed: Notify,
    /// Rung when deliveries wait for the window.
    pub(crate) arrived: Notify,
    /// Rung when something in hand is not wanted any more.
    pub(crate) stale: Notify,
    pub(crate) counts: Counts,
    pub(crate) runtime: Handle,
    me: Weak<Self>,
}

pub(crate) struct State<L> {
    open: HashMap<u64, Entry<L>>,
    waiting: VecDeque<Delivery>,
    keys: Keys,
    next: u64,
    events: usize,
    bytes: usize,
}

/// A message that is not settled.
pub(crate) struct Entry<L> {
    pub(crate) lease: L,
    pub(crate) key: Option<KeyName>,
    pub(crate) id: Arc<str>,
    pub(crate) bytes: usize,
    since: Instant,
}

impl<L: Lease> Desk<L> {
    pub(crate) fn new(config: Arc<Config>, places: Vec<Place>, runtime: Handle) -> Arc<Self> {
        let state = State {
            open: HashMap::new(),
            waiting: VecDeque::new(),
            keys: Keys::default(),
            next: 0,
            events: 0,
            bytes: 0,
        };
        Arc::new_cyclic(|me| Self {
            config,
            places,
            state: Mutex::new(state),
            freed: Notify::new(),
            arrived: Notify::new(),
            stale: Notify::new(),
            counts: Counts::default(),
            runtime,
            me: me.clone(),
        })
    }

    /// A message of the subscription with this number has come. It waits for the window from now on, or goes back at
    /// once because an earlier one of its key did.
    pub(crate) fn take(self: &Arc<Self>, at: usize, message: &Message, deliveries: Option<i32>, lease: L) {
        Counts::one(&self.counts.received);
        let before = deliveries.map_or(0, |count| u32::try_from(count - 1).unwrap_or(0));
        if before > 0 {
            Counts::one(&self.counts.redelivered);
        }
        let id: Arc<str> = message.id.as_str().into();
        let key = self.ordering_key(at, message);
        let bytes = message.size();
        let token = {
            let mut state = lock(&self.state);
            let token = state.next;
            state.next += 1;
            if let Some(key) = &key
                && !state.keys.come(key, token, &id, Instant::now())
            {
                drop(state);
                Counts::one(&self.counts.nacks);
                Counts::one(&self.counts.tails);
                return lease.nack();
            }
            state.events += 1;
            state.bytes += bytes;
            state.open.insert(token, Entry { lease, key, id, bytes, since: Instant::now() });
            token
        };
        let delivery = self.delivery(at, message, before, Receipt::new(self.clone(), token));
        lock(&self.state).waiting.push_back(delivery);
        self.arrived.notify_one();
    }

    fn ordering_key(&self, at: usize, message: &Message) -> Option<KeyName> {
        let keyed = matches!(self.config.order, Order::Key(_)) && !message.ordering_key.is_empty();
        keyed.then(|| Arc::new((at, message.ordering_key.clone())))
    }

    fn delivery(&self, at: usize, message: &Message, attempts: u32, receipt: Receipt) -> Delivery {
        let place = &self.places[at];
        let size = message.size();
        let item = if size > self.config.message_bytes_max {
            let most = self.config.message_bytes_max;
            let why = format!("the message has {size} bytes; ingress.pubsub.message_bytes_max allows {most}");
            Err(decode::malformed(message, &why))
        } else {
            decode::decode(message, place)
        };
        let key = match &self.config.order {
            Order::None => None,
            Order::Key(_) if !message.ordering_key.is_empty() => {
                Some(Key::new(&place.subscription, message.ordering_key.as_bytes()))
            }
            Order::Key(attributes) => attribute(&item, attributes, &place.subscription),
        };
        let is_own = item.as_ref().is_ok_and(|event| event.ty() != decode::MESSAGE_PUBLISHED);
        Delivery {
            key,
            origin: Origin {
                source: self.config.name.clone(),
                position: Position::Text([&place.subscription, "/", &message.id].concat()),
                headers: if is_own { decode::hop(message) } else { decode::kept(message, self.config.hop) },
            },
            received_ms: unix_ms(),
            attempts,
            once: None,
            timeline: Timeline::off(),
            receipt,
            item,
        }
    }

    /// The first delivery that waits for the window.
    pub(crate) fn next_waiting(&self) -> Option<Delivery> {
        lock(&self.state).waiting.pop_front()
    }

    /// One that the window had no room for waits again, before the others.
    pub(crate) fn waits_again(&self, delivery: Delivery) {
        lock(&self.state).waiting.push_front(delivery);
    }

    /// Lets go of what waits and is not wanted any more.
    pub(crate) fn sweep(&self) {
        let waiting = std::mem::take(&mut lock(&self.state).waiting);
        let (wanted, gone): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|delivery| delivery.receipt.wanted());
        lock(&self.state).waiting.extend(wanted); // nobody takes of it meanwhile: that is the same task's work
        drop(gone);
    }

    /// Lets go of what waits: it goes back.
    pub(crate) fn let_go(&self) {
        let waiting = std::mem::take(&mut lock(&self.state).waiting);
        drop(waiting); // not under the lock: each is settled
    }

    /// Waits until another message may come. Cancel safe.
    pub(crate) async fn room(&self) {
        self.until(|state| self.fits(state)).await;
    }

    /// Whether another message may come now.
    pub(crate) fn has_room(&self) -> bool {
        self.fits(&lock(&self.state))
    }

    fn fits(&self, state: &State<L>) -> bool {
        state.events < self.config.events_max && state.bytes < self.config.bytes_max
    }

    /// Waits until nothing is in hand. Cancel safe.
    pub(crate) async fn empty(&self) {
        self.until(|state| state.events == 0).await;
    }

    async fn until(&self, suffices: impl Fn(&State<L>) -> bool) {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable(); // before looking, so that nothing freed in between is missed
            if suffices(&lock(&self.state)) {
                return;
            }
            freed.await;
        }
    }

    /// Takes a message out of what is open, as done or as going back (after that wait). Its place is still taken.
    pub(crate) fn close(&self, token: u64, back: Option<Duration>) -> Option<Entry<L>> {
        let mut state = lock(&self.state);
        let entry = state.open.remove(&token)?;
        let Some(key) = &entry.key else { return Some(entry) };
        match back {
            None => state.keys.done(key, token),
            Some(after) => {
                let was_wanted = state.keys.wanted(key, token);
                let has_tail = state.keys.gone(key, token, &entry.id, Instant::now() + after);
                drop(state);
                if !was_wanted {
                    Counts::one(&self.counts.tails);
                }
                if has_tail {
                    self.stale.notify_one();
                }
            }
        }
        Some(entry)
    }

    /// Itself, for what goes on after a settlement. Receipts hold it, so it is there while one is settled.
    pub(crate) fn shared(&self) -> Arc<Self> {
        self.me.upgrade().expect("a receipt holds the desk that it is settled at")
    }

    /// Gives a place back.
    pub(crate) fn free(&self, bytes: usize) {
        let mut state = lock(&self.state);
        state.events -= 1;
        state.bytes -= bytes;
        drop(state);
        self.freed.notify_waiters();
    }

    /// Whether a message may still run: no earlier one of its key went back, and it was not in hand for too long.
    pub(crate) fn is_wanted(&self, token: u64) -> bool {
        let state = lock(&self.state);
        state.open.get(&token).is_some_and(|entry| {
            entry.since.elapsed() <= self.config.lease_max
                && entry.key.as_ref().is_none_or(|key| state.keys.wanted(key, token))
        })
    }

    /// Whether its lease is not extended any more.
    pub(crate) fn is_expired(&self, entry: &Entry<L>) -> bool {
        entry.since.elapsed() > self.config.lease_max
    }

    /// Looks for what has become too old, and forgets keys at rest.
    pub(crate) fn tick(&self) {
        let mut state = lock(&self.state);
        state.keys.tidy(Instant::now());
        let old = state.open.values().any(|entry| self.is_expired(entry));
        drop(state);
        if old {
            self.stale.notify_one();
        }
    }

    /// Writes its numbers into `status`.
    pub(crate) fn show(&self, status: &mut Status) {
        let state = lock(&self.state);
        status.in_hand = state.events;
        status.in_hand_bytes = state.bytes;
        status.waiting = state.waiting.len();
        status.is_full = !self.fits(&state);
        status.keys = state.keys.len();
        drop(state);
        self.counts.show(status);
    }
}

fn attribute(item: &Result<Event, Malformed>, names: &[String], scope: &str) -> Option<Key> {
    let event = item.as_ref().ok()?;
    let text = names.iter().find_map(|name| event.text(name))?;
    Some(Key::new(scope, text.as_bytes()))
}

/// The wall clock, for people.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
