//! The fake, a subscription, the function, and the judge: what each test here stands on.

#![allow(unreachable_pub, reason = "nothing here is an interface")]

use crate::common::Site;
use outrigger_eventgrid_fake::{
    Config, Fake, Pace, Setup,
    config::{CustomTopic, TEST_KEY},
    event::{Event, Schema},
    queue::{Counts, QueueSettings},
};
use outrigger_function::{Function, Program};
use outrigger_testkit::{
    Judgement, Oracle, Outgoing, Process,
    process::{WAIT_MAX, get},
};
use serde_json::value::RawValue;
use std::time::Duration;
use tokio::time::{Instant, sleep};

pub const TOPIC: &str = "orders";
pub const SUBSCRIPTION: &str = "billing";
/// How many seconds of the fake's pass in one.
const SPEED: u32 = 60;

pub struct Rig {
    pub fake: Fake,
    pub function: Function,
    pub site: Site,
    pub oracle: Oracle,
}

impl Rig {
    /// A subscription and a function that takes everything.
    pub fn new() -> Self {
        Self::paced(SPEED)
    }

    /// The same where so many seconds of the fake's pass in one.
    pub fn paced(speed: u32) -> Self {
        let mut config = Config::default();
        let grid = CustomTopic { input_schema: Schema::EventGridSchema, ..CustomTopic::default() };
        config.custom_topics.insert("grid".to_owned(), grid);
        let setup = Setup { config, pace: Pace::Running(speed), ..Setup::default() };
        let fake = Fake::start_with(&setup).expect("a free port");
        fake.put_queue(TOPIC, SUBSCRIPTION, QueueSettings::default());
        let function = Function::start(Program::default());
        let site = site(Site::of(&function), &fake);
        Self { fake, function, site, oracle: Oracle::default() }
    }

    /// Changes the configuration of what is started from now on.
    #[must_use]
    pub fn set(mut self, path: &str, value: &str) -> Self {
        self.site = self.site.set(path, value);
        self
    }

    /// Starts a process that asks for events when this returns.
    pub async fn start(&self) -> Process {
        self.site.start().await
    }

    /// Publishes events; when this returns, each is owed.
    pub fn publish(&self, events: &[Outgoing]) {
        for event in events {
            self.oracle.sending(event);
        }
        publish(&self.fake, TOPIC, events);
        for event in events {
            self.oracle.acknowledged(&event.id);
        }
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

    /// What the subscription has counted.
    pub fn counts(&self) -> Counts {
        self.fake.grid().look(|state| state.topics[TOPIC][SUBSCRIPTION].counts.clone())
    }

    /// Events that wait there and that are locked.
    pub fn left(&self) -> (usize, usize) {
        self.fake.grid().look(|state| state.topics[TOPIC][SUBSCRIPTION].left())
    }

    /// Waits until what the subscription has counted is as wanted.
    pub async fn until(&self, wanted: impl Fn(&Counts) -> bool) -> Counts {
        self.fake
            .wait_for(|state| {
                let counts = &state.topics.get(TOPIC)?.get(SUBSCRIPTION)?.counts;
                wanted(counts).then(|| counts.clone())
            })
            .await
    }

    /// The paths of the requests that hold this.
    pub fn asked(&self, part: &str) -> Vec<String> {
        self.fake.grid().look(|state| {
            let seen = state.seen.iter().filter(|seen| seen.path.contains(part));
            seen.map(|seen| seen.path.clone()).collect()
        })
    }

    /// A metric of the source.
    pub async fn number(&self, name: &str) -> u64 {
        let (_, text) = get(self.site.admin, "/metrics").await.expect("admin answers");
        let start = format!("outrigger_eventgrid_{name}{{");
        let line = text
            .lines()
            .find(|line| line.starts_with(&start))
            .unwrap_or_else(|| panic!("no {name} in {text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Waits until a metric of the source has this value: it is counted once the service has answered.
    pub async fn until_number(&self, name: &str, wanted: u64) {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let number = self.number(name).await;
            if number == wanted {
                return;
            }
            assert!(Instant::now() < deadline, "{name} is {number}, not {wanted}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// A fresh event is delivered, with it all that is owed; the service has every acknowledgement, and the judge is
    /// content.
    pub async fn all_is_well(&self, duplicates_max: usize) -> Judgement {
        self.publish(&[Outgoing::new(&format!("fresh-{}", self.function.stats().ended), None)]);
        self.until_paid().await;
        self.until(|counts| counts.acknowledged + counts.dead_lettered + counts.dropped == counts.published)
            .await;
        let judgement = self.oracle.judge_at(&self.function);
        judgement.assert_clean(duplicates_max);
        judgement
    }
}

/// The settings that read the subscription.
pub fn site(site: Site, fake: &Fake) -> Site {
    std::fs::write(site.path("key"), TEST_KEY).unwrap();
    site.set("eventgrid.endpoint", fake.url())
        .set("eventgrid.key_file", "key")
        .set("eventgrid.timeout", "5s")
        .set("ingress.eventgrid.topic", TOPIC)
        .set("ingress.eventgrid.subscription", SUBSCRIPTION)
        .set("ingress.eventgrid.lock", "1s")
        .set("ingress.eventgrid.wait", "120s")
        .set("ingress.eventgrid.backoff.initial", "20ms")
        .set("ingress.eventgrid.backoff.max", "200ms")
}

/// Publishes to a topic of the namespace, as it is.
pub fn publish(fake: &Fake, topic: &str, events: &[Outgoing]) {
    let event = |event: &Outgoing| {
        let raw = RawValue::from_string(event.json()).unwrap();
        Event::cloud(&raw).unwrap_or_else(|_| panic!("an event"))
    };
    let events = events.iter().map(event).collect();
    let now = fake.grid().clock.now();
    let published = fake.grid().change(|state| state.publish(topic, events, now));
    assert!(published.is_ok(), "the fake takes events");
}

/// So many events, unordered.
pub fn events(prefix: &str, count: usize) -> Vec<Outgoing> {
    (0..count).map(|n| Outgoing::new(&format!("{prefix}-{n:06}"), None)).collect()
}
