//! A topic, a subscription, the function, and the judge: what each test here stands on.

#![allow(unreachable_pub, reason = "nothing here is an interface")]

use crate::common::Site;
use outrigger_function::{Function, Program};
use outrigger_testkit::{
    Judgement, Oracle, Outgoing, Process,
    process::WAIT_MAX,
    pubsub::{self, Message, PROJECT, Server, Told},
};
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};
use tokio::time::{Instant, sleep};

const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// The topic of the events and the subscription of it, in every test: each has a server of its own.
pub const TOPIC: &str = "orders";
pub const SUBSCRIPTION: &str = "sidecar";

pub struct Rig {
    pub server: Server,
    pub function: Function,
    pub site: Site,
    pub oracle: Oracle,
    fresh: AtomicUsize,
}

impl Rig {
    /// Google's in-memory server, with an ordered subscription; `None` after `test` was skipped.
    pub async fn google(test: &str) -> Option<Self> {
        Some(Self::at(pubsub::google(test)?, json!({"enableMessageOrdering": true})).await)
    }

    /// The fake, with an ordered subscription that has these further fields.
    pub async fn fake(test: &str, mut beside: Value) -> Option<Self> {
        let server = pubsub::fake(test)?;
        beside["enableMessageOrdering"] = json!(true);
        Some(Self::at(server, beside).await)
    }

    async fn at(server: Server, subscription: Value) -> Self {
        for topic in [TOPIC, "replies", "dead"] {
            server.topic(topic).await;
        }
        server.subscription(SUBSCRIPTION, TOPIC, subscription).await;
        Self::without_topic(server)
    }

    /// The same with nothing made on the server.
    pub fn without_topic(server: Server) -> Self {
        let function = Function::start(Program::default());
        let endpoint = format!("\"http://{}\"", server.address());
        let site = Site::of(&function)
            .set("pubsub.project", PROJECT)
            .set("pubsub.endpoint", &endpoint)
            .set("ingress.pubsub.subscription", SUBSCRIPTION)
            .set("ingress.pubsub.probe_every", "200ms")
            .set("ingress.pubsub.retry_max", "500ms");
        Self { server, function, site, oracle: Oracle::default(), fresh: AtomicUsize::new(0) }
    }

    /// Changes the configuration of what is started from now on.
    #[must_use]
    pub fn set(mut self, path: &str, value: &str) -> Self {
        self.site = self.site.set(path, value);
        self
    }

    /// Starts a process that is ready when this returns.
    pub async fn start(&self) -> Process {
        self.site.start().await
    }

    /// Publishes events in the binary mode, by key. When this returns, each is owed.
    pub async fn publish(&self, events: &[Outgoing]) -> Vec<String> {
        let messages: Vec<Message> = events.iter().map(Message::binary).collect();
        self.publish_as(events, &messages).await
    }

    /// Publishes events as these messages of theirs.
    pub async fn publish_as(&self, events: &[Outgoing], messages: &[Message]) -> Vec<String> {
        for event in events {
            self.oracle.sending(event);
        }
        let ids = self.server.publish(TOPIC, messages).await;
        for event in events {
            self.oracle.acknowledged(&event.id);
        }
        ids
    }

    /// Waits until all that is owed was answered with a 2xx.
    pub async fn until_paid(&self) {
        loop {
            let ended = self.function.stats().ended;
            if self.oracle.owed(&self.function.log()).is_empty() {
                return;
            }
            self.function.wait_for(|stats| stats.ended != ended).await;
        }
    }

    /// Waits until the messages of the topic are as wanted.
    pub async fn until(&self, topic: &str, what: &str, wanted: impl Fn(&[Told]) -> bool) -> Vec<Told> {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let told = self.server.messages(topic).await;
            if wanted(&told) {
                return told;
            }
            assert!(Instant::now() < deadline, "{what} did not come: {told:#?}");
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until every message was acknowledged.
    pub async fn until_acked(&self) -> Vec<Told> {
        self.until(TOPIC, "every ack", |told| told.iter().all(|message| message.acks > 0)).await
    }

    /// A fresh event is delivered, with it all that is owed, all is acknowledged, and the judge is content.
    pub async fn all_is_well(&self, duplicates_max: usize) -> Judgement {
        let number = self.fresh.fetch_add(1, Relaxed);
        self.publish(&[Outgoing::new(&format!("fresh-{number}"), Some("fresh"))]).await;
        self.until_paid().await;
        self.until_acked().await;
        let judgement = self.oracle.judge_at(&self.function);
        judgement.assert_clean(duplicates_max);
        judgement
    }

    /// Waits until a metric has that value or a higher one.
    pub async fn until_metric(&self, name: &str, least: f64) {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let value = self.site.metric(name).await;
            if value >= least {
                return;
            }
            assert!(Instant::now() < deadline, "{name} is {value}, not {least}");
            sleep(POLL_INTERVAL).await;
        }
    }
}

/// So many events over so many keys, which take turns.
pub fn events(prefix: &str, count: usize, keys: usize) -> Vec<Outgoing> {
    let event = |n: usize| Outgoing::new(&format!("{prefix}-{n:06}"), Some(&format!("key-{}", n % keys)));
    (0..count).map(event).collect()
}
