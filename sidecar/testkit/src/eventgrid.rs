//! An Event Grid for tests: the fake of `conformance/eventgrid`, and a client that publishes and knows what became of it.
//!
//! ```no_run
//! # use outrigger_testkit::{Outgoing, eventgrid::EventGrid};
//! # async fn events_are_acknowledged() {
//! let grid = EventGrid::start();
//! let billing = grid.subscription("orders", "billing");
//! billing.publish(&[Outgoing::new("1", None)]).await;
//! // … start something that reads grid.url() with EventGrid::KEY …
//! billing.until(|counts| counts.acknowledged == 1).await;
//! assert_eq!(billing.acknowledged(), ["1"]);
//! assert_eq!(billing.left(), (0, 0));
//! # }
//! ```
//!
//! It runs in this process on a thread of its own, so that no test of it needs anything else. Faults are planted in,
//! and time is moved on, the [`Fake`] itself: [`EventGrid::fake`].

use outrigger_eventgrid_fake::{Config, config::TEST_KEY};
use serde_json::Value;

pub use outrigger_eventgrid_fake::{
    Fake, Fault, Op, Pace, PushSettings, QueueSettings, Setup, Standing, queue::Counts,
};

use crate::producer::{Outgoing, Producer};

/// Events in one publish; the service takes so many.
const BATCH: usize = 1000;
/// Bytes in one publish. The service takes a megabyte; the rest is for brackets and commas.
const BATCH_BYTES: usize = 1_000_000;

/// A running fake. It ends when it is dropped.
#[derive(Debug)]
pub struct EventGrid {
    fake: Fake,
}

impl EventGrid {
    /// The access key that it takes.
    pub const KEY: &'static str = TEST_KEY;

    /// One in real time, without topics.
    ///
    /// # Panics
    /// No socket or thread can be had.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(Setup::default())
    }

    /// One on whose clock so many seconds pass in one: with 60 a lock of a minute ends after a second.
    ///
    /// # Panics
    /// As [`EventGrid::start`].
    #[must_use]
    pub fn fast(speed: u32) -> Self {
        Self::start_with(Setup { pace: Pace::Running(speed), ..Setup::default() })
    }

    /// One as `setup` says, but without topics of a namespace.
    ///
    /// # Panics
    /// As [`EventGrid::start`], or certificates cannot be read.
    #[must_use]
    pub fn start_with(setup: Setup) -> Self {
        let config = Config { topics: std::collections::BTreeMap::new(), ..setup.config };
        let fake = Fake::start_with(&Setup { config, ..setup }).expect("the fake of Event Grid starts");
        Self { fake }
    }

    /// The fake itself.
    #[must_use]
    pub fn fake(&self) -> &Fake {
        &self.fake
    }

    /// Its endpoint, without a path.
    #[must_use]
    pub fn url(&self) -> &str {
        self.fake.url()
    }

    /// Makes a queue subscription with the service's defaults, and its topic where that is not there.
    #[must_use]
    pub fn subscription(&self, topic: &str, name: &str) -> Subscription<'_> {
        self.subscription_with(topic, name, QueueSettings::default())
    }

    /// As [`EventGrid::subscription`], with settings.
    ///
    /// # Panics
    /// They are out of the service's bounds.
    #[must_use]
    pub fn subscription_with(&self, topic: &str, name: &str, settings: QueueSettings) -> Subscription<'_> {
        self.fake.put_queue(topic, name, settings);
        Subscription { grid: self, topic: topic.to_owned(), name: name.to_owned() }
    }
}

/// A queue subscription of a namespace, and what a test does with it.
#[derive(Debug, Clone)]
pub struct Subscription<'a> {
    grid: &'a EventGrid,
    topic: String,
    name: String,
}

impl Subscription<'_> {
    /// Publishes events to its topic over HTTP, as batches of the size that the service takes. When it returns, all are
    /// with the fake. Dropping it may leave a part of them published.
    ///
    /// # Panics
    /// The fake refuses them; with what it said.
    pub async fn publish(&self, events: &[Outgoing]) {
        let url = format!("{}/topics/{}:publish?api-version=2024-06-01", self.grid.url(), self.topic);
        let key = format!("SharedAccessKey {}", EventGrid::KEY);
        let producer = Producer::new(&url).with_header("authorization", &key);
        for batch in batches(events) {
            let answer = producer.send_batch(batch).await.expect("the fake answers");
            let said = String::from_utf8_lossy(answer.body());
            assert_eq!(answer.status(), 200, "the fake refused events of {}: {said}", self.topic);
        }
    }

    /// What has happened so far.
    ///
    /// # Panics
    /// It was taken away.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.grid.fake.grid().look(|state| state.topics[&self.topic][&self.name].counts.clone())
    }

    /// Events that have not ended: waiting, and locked.
    ///
    /// # Panics
    /// It was taken away.
    #[must_use]
    pub fn left(&self) -> (usize, usize) {
        self.grid.fake.grid().look(|state| state.topics[&self.topic][&self.name].left())
    }

    /// Receives that wait for events now.
    ///
    /// # Panics
    /// It was taken away.
    #[must_use]
    pub fn receiving(&self) -> u32 {
        self.grid.fake.grid().look(|state| state.topics[&self.topic][&self.name].receiving)
    }

    /// The ids that were acknowledged, in that order.
    ///
    /// # Panics
    /// It was taken away.
    #[must_use]
    pub fn acknowledged(&self) -> Vec<String> {
        self.grid.fake.grid().look(|state| {
            let ids = state.topics[&self.topic][&self.name].acknowledged();
            ids.iter().map(ToString::to_string).collect()
        })
    }

    /// The dead-letter file as it is now. A dead letter comes into it five minutes after its end, by the fake's clock.
    ///
    /// # Panics
    /// It was taken away.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<Value> {
        let grid = self.grid.fake.grid();
        let now = grid.clock.now();
        grid.look(|state| {
            let letters = state.topics[&self.topic][&self.name].dead_letters(now);
            letters.into_iter().map(|letter| serde_json::to_value(letter).unwrap_or_default()).collect()
        })
    }

    /// Waits until what has happened is as wanted, woken by each change. Cancel safe.
    ///
    /// # Panics
    /// After a minute of real time.
    pub async fn until(&self, mut wanted: impl FnMut(&Counts) -> bool) -> Counts {
        self.grid
            .fake
            .wait_for(|state| {
                let counts = &state.topics.get(&self.topic)?.get(&self.name)?.counts;
                wanted(counts).then(|| counts.clone())
            })
            .await
    }
}

/// Parts that the service takes at once. An event that is too long for it is a part of its own.
fn batches(events: &[Outgoing]) -> Vec<&[Outgoing]> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, event) in events.iter().enumerate() {
        let length = event.json().len() + 1;
        if index > start && (index - start == BATCH || bytes + length > BATCH_BYTES) {
            batches.push(&events[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += length;
    }
    if start < events.len() {
        batches.push(&events[start..]);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_as_long_as_the_service_takes_them_and_lose_nothing() {
        let mut events: Vec<_> = (0..2001).map(|n| Outgoing::new(&n.to_string(), None)).collect();
        let sizes = |events: &[Outgoing]| batches(events).iter().map(|part| part.len()).collect::<Vec<_>>();
        assert_eq!(sizes(&events), [1000, 1000, 1]);
        assert_eq!(sizes(&[]), [0; 0]);
        events.truncate(3);
        for event in &mut events {
            event.data = bytes::Bytes::from(vec![b'1'; 600_000]);
        }
        assert_eq!(sizes(&events), [1, 1, 1]);
    }
}
