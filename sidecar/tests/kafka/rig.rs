//! A topic, a group, the function, and the judge: what each test here stands on.
//!
//! What was produced is owed. Beside the function's record, the group's committed offsets are judged: none may lie
//! beyond a record that the function has not answered with a 2xx and nothing accounts for, and none may move back.

#![allow(unreachable_pub, reason = "nothing here is an interface")]

use crate::common::Site;
use outrigger_function::{Function, Outcome, Program};
use outrigger_testkit::{
    Judgement, Oracle, Outgoing, Process,
    kafka::{self, Client, Record},
    process::WAIT_MAX,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    io::{self, Write as _},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep},
};

const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Members that die are missed after a second, so that a restart need not wait longer.
pub const QUICK: &str = "{session.timeout.ms: 1000, heartbeat.interval.ms: 100, max.poll.interval.ms: 6000, \
                         reconnect.backoff.max.ms: 500, topic.metadata.refresh.interval.ms: 500}";

/// A request that gets no answer fails after a second. The group waits longer than any outage here lasts: a member that
/// is missed loses its partitions, and what it settled meanwhile is repeated.
pub const PATIENT: &str = "{socket.timeout.ms: 1000, session.timeout.ms: 30000, heartbeat.interval.ms: 100, \
                       max.poll.interval.ms: 30000, reconnect.backoff.max.ms: 500}";

pub struct Rig {
    pub client: Client,
    pub topic: String,
    pub group: String,
    pub function: Function,
    pub site: Site,
    pub ledger: Arc<Ledger>,
    bootstrap: String,
    looking: tokio::sync::Mutex<()>,
}

/// What was produced, and where it lies.
#[derive(Default)]
pub struct Ledger {
    pub oracle: Oracle,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By partition and offset: the id.
    places: BTreeMap<i32, BTreeMap<i64, String>>,
    accounted: HashSet<String>,
    committed: BTreeMap<i32, i64>,
    wrong: BTreeSet<String>,
    looks: usize,
}

/// Looks at the committed offsets again and again, until it is asked what it saw.
pub struct Watch {
    end: oneshot::Sender<()>,
    looking: JoinHandle<()>,
}

impl Rig {
    /// A rig with a topic of so many partitions on the broker that all tests share; `None` after `test` was skipped.
    pub async fn new(test: &str, partitions: i32) -> Option<Self> {
        let broker = kafka::shared(test).await?;
        Some(Self::at(&broker.client(), &broker.bootstrap(), test, partitions).await)
    }

    /// The same on any broker.
    pub async fn at(client: &Client, bootstrap: &str, name: &str, partitions: i32) -> Self {
        client.create_topic(name, partitions, &[]).await.expect("a new topic");
        Self::without_topic(client, bootstrap, name)
    }

    /// The same without making the topic.
    pub fn without_topic(client: &Client, bootstrap: &str, name: &str) -> Self {
        Self::with_function(client, bootstrap, name, Function::start(Program::default()))
    }

    /// The same with a function that is there.
    pub fn with_function(client: &Client, bootstrap: &str, name: &str, function: Function) -> Self {
        let [topic, group, bootstrap] = [name, name, bootstrap].map(str::to_owned);
        let site = site(&function, &bootstrap, name);
        let (client, ledger, looking) = (client.clone(), Arc::default(), tokio::sync::Mutex::default());
        Self { client, topic, group, function, site, ledger, bootstrap, looking }
    }

    /// The place of another member of the group.
    pub fn sibling(&self) -> Site {
        site(&self.function, &self.bootstrap, &self.topic)
    }

    /// Changes the configuration of what is started from now on.
    #[must_use]
    pub fn set(mut self, path: &str, value: &str) -> Self {
        self.site = self.site.set(path, value);
        self
    }

    /// Starts a process that is in the group when this returns.
    pub async fn start(&self) -> Process {
        self.site.start().await
    }

    /// Produces events as records in binary mode, by key. When this returns, each is owed.
    pub async fn produce(&self, events: Vec<Outgoing>) {
        let records = events.iter().map(|event| binary(&self.topic, event)).collect();
        self.produce_as(events, records).await;
    }

    /// Produces events as these records of theirs.
    pub async fn produce_as(&self, events: Vec<Outgoing>, records: Vec<Record>) {
        for event in &events {
            self.ledger.oracle.sending(event);
        }
        let places = self.client.produce(records).await.expect("the broker takes records");
        self.ledger.produced(&events, &places);
    }

    /// Waits until all that is owed was answered with a 2xx.
    pub async fn until_paid(&self) {
        loop {
            let ended = self.function.stats().ended;
            if self.ledger.oracle.owed(&self.function.log()).is_empty() {
                return;
            }
            self.function.wait_for(|stats| stats.ended != ended).await;
        }
    }

    /// Waits until the group has committed the end of every partition: the lag is zero.
    pub async fn until_committed(&self) -> BTreeMap<i32, i64> {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let committed = self.look().await.expect("the group can be seen");
            let mut ends = BTreeMap::new();
            for partition in committed.keys() {
                let (_, end) =
                    self.client.offsets(&self.topic, *partition).await.expect("the partition is there");
                ends.insert(*partition, end);
            }
            if !ends.is_empty() && committed == ends {
                return committed;
            }
            assert!(Instant::now() < deadline, "{}: committed {committed:?} of {ends:?}", self.group);
            sleep(POLL_INTERVAL).await;
        }
    }

    /// One look at the committed offsets, which are judged. One at a time: of two answers that came in another order than
    /// they were given, the later one would have moved back.
    pub async fn look(&self) -> Result<BTreeMap<i32, i64>, String> {
        let _looking = self.looking.lock().await;
        look(&self.client, &self.group, &self.topic).await.inspect(|committed| {
            self.ledger.look(committed, &settled(&self.function));
        })
    }

    /// Looks at the committed offsets from now on, in the background.
    pub fn watch(self: &Arc<Self>) -> Watch {
        let (end, mut ended) = oneshot::channel();
        let rig = self.clone();
        let looking = tokio::spawn(async move {
            while ended.try_recv().is_err() {
                let _ = rig.look().await; // a broker that is down says nothing, which is no fault of ours
                tokio::task::yield_now().await;
            }
        });
        Watch { end, looking }
    }

    /// A fresh event is delivered, with it all that is owed, the group commits the ends, and the judge is content.
    pub async fn all_is_well(&self, duplicates_max: usize) -> Judgement {
        self.produce(vec![Outgoing::new(&format!("fresh-{}", self.ledger.places()), Some("fresh"))]).await;
        self.until_paid().await;
        self.until_committed().await;
        self.judge(duplicates_max)
    }

    /// What the judge says now; it must be content.
    pub fn judge(&self, duplicates_max: usize) -> Judgement {
        let judgement = self.ledger.oracle.judge_at(&self.function);
        judgement.assert_clean(duplicates_max);
        self.ledger.assert_clean();
        judgement
    }
}

impl Watch {
    /// Ends the looking, once it has looked a last time.
    pub async fn end(self) {
        let _ = self.end.send(());
        self.looking.await.expect("looking does not fail");
    }
}

impl Ledger {
    /// These events lie at these places, and are owed.
    pub fn produced(&self, events: &[Outgoing], places: &[(i32, i64)]) {
        let mut state = self.lock();
        for (event, (partition, offset)) in events.iter().zip(places) {
            state.places.entry(*partition).or_default().insert(*offset, event.id.clone());
            self.oracle.acknowledged(&event.id);
        }
    }

    /// This event is or will be a dead letter, or is skipped: nobody else waits for it.
    pub fn accounted(&self, id: &str) {
        self.oracle.accounted(id);
        self.lock().accounted.insert(id.to_owned());
    }

    /// The topic is a new one of the same name: offsets begin again.
    pub fn forget_places(&self) {
        let mut state = self.lock();
        state.places.clear();
        state.committed.clear();
    }

    /// How many records were produced.
    pub fn places(&self) -> usize {
        self.lock().places.values().map(BTreeMap::len).sum()
    }

    /// How often the committed offsets were looked at.
    pub fn looks(&self) -> usize {
        self.lock().looks
    }

    /// Fails the test where a committed offset passed a record that was not settled, or moved back.
    pub fn assert_clean(&self) {
        let state = self.lock();
        assert!(state.wrong.is_empty(), "committed offsets: {:#?}", state.wrong);
    }

    fn look(&self, committed: &BTreeMap<i32, i64>, settled: &HashSet<String>) {
        let mut state = self.lock();
        let mut wrong = Vec::new();
        for (partition, offset) in committed {
            let before = state.committed.insert(*partition, *offset).unwrap_or(0);
            if *offset < before {
                wrong.push(format!("{partition} moved back from {before} to {offset}"));
            }
            let below = state
                .places
                .get(partition)
                .into_iter()
                .flat_map(|places| places.range(before.min(*offset)..*offset));
            for (at, id) in below.filter(|(_, id)| !settled.contains(*id) && !state.accounted.contains(*id)) {
                wrong.push(format!("{partition}: {offset} was committed, and {id} at {at} is not settled"));
            }
        }
        state.looks += 1;
        state.wrong.extend(wrong);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A configuration that reads the topic `name` in the group of that name.
fn site(function: &Function, bootstrap: &str, name: &str) -> Site {
    let brokers = format!("[\"{}\"]", bootstrap.replace(',', "\", \""));
    Site::of(function)
        .set("kafka.brokers", &brokers)
        .set("kafka.properties", QUICK)
        .set("ingress.kafka.topics", &format!("[{name}]"))
        .set("ingress.kafka.group", name)
        .set("ingress.kafka.stats_every", "200ms")
}

/// The committed offsets of `group`, by partition.
pub async fn look(client: &Client, group: &str, topic: &str) -> Result<BTreeMap<i32, i64>, String> {
    let committed = client.committed(group, topic).await.map_err(|error| error.to_string())?;
    Ok(committed.into_iter().map(|(partition, committed)| (partition, committed.offset)).collect())
}

/// The events that the function answered with a 2xx.
pub fn settled(function: &Function) -> HashSet<String> {
    let log = function.log().into_iter();
    let answered =
        log.filter(|record| record.outcome == Outcome::Answered && matches!(record.status, Some(200..=299)));
    answered.filter_map(|record| record.id.map(Into::into)).collect()
}

/// So many events over so many keys, which take turns.
pub fn events(prefix: &str, count: usize, keys: usize) -> Vec<Outgoing> {
    let event = |n: usize| Outgoing::new(&format!("{prefix}-{n:06}"), Some(&format!("key-{}", n % keys)));
    (0..count).map(event).collect()
}

/// The record of an event in binary mode (Kafka binding 3.2).
pub fn binary(topic: &str, event: &Outgoing) -> Record {
    let record = Record::new(topic, event.data.clone());
    let record =
        event.attributes().fold(record, |record, (name, text)| record.header(&format!("ce_{name}"), text));
    let record =
        event.content_type.iter().fold(record, |record, ty| record.header("content-type", ty.as_str()));
    keyed(record, event)
}

/// The record of an event in structured mode (Kafka binding 3.3).
pub fn structured(topic: &str, event: &Outgoing) -> Record {
    let record = Record::new(topic, event.json());
    keyed(record.header("content-type", "application/cloudevents+json; charset=utf-8"), event)
}

fn keyed(record: Record, event: &Outgoing) -> Record {
    match &event.key {
        Some(key) => record.key(key.as_str()),
        None => record,
    }
}

/// Prints a line, also for a test that passes: the harness shows no captured output then.
pub fn say(what: &str) {
    let _ = io::stderr().write_all(format!("kafka: {what}\n").as_bytes()); // only for people
}
