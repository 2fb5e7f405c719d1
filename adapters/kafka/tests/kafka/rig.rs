//! What the tests share: brokers, waiting for what has no event, and a path that does as it is told.

#![allow(dead_code, reason = "a rig: each group of tests uses its part of it")]

use outrigger_core::{
    Admit, BoxFuture, Delivery, DrainTrigger, Intake, Position, Result, Settlement, Source,
    decide::window::Window, drain,
};
use outrigger_kafka::{Cluster, Config, Kafka, Status};
use outrigger_testkit::{
    kafka::{self, Broker},
    process::WAIT_MAX,
};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

/// A broker that one test at a time may stop, freeze and cut off. It runs again whenever a test gets it.
pub(crate) type Harmed = tokio::sync::MutexGuard<'static, Option<Broker>>;

/// The broker that may be harmed, or `None` after the skip of `test`.
pub(crate) async fn harmed(test: &str) -> Option<(Harmed, Broker)> {
    static HARMED: tokio::sync::Mutex<Option<Broker>> = tokio::sync::Mutex::const_new(None);
    let mut held = HARMED.lock().await;
    if held.is_none() {
        *held = Some(kafka::broker(test).await?);
    }
    let broker = held.clone()?;
    if broker.pid().is_none() {
        broker.start_again().await;
    }
    Some((held, broker))
}

/// A cluster that begins at `bootstrap`, with librdkafka's properties.
pub(crate) fn cluster(bootstrap: &str, properties: &[(&str, &str)]) -> Cluster {
    let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    // A broker that comes back is noticed at once, so that tests of it are quick.
    let quick = [("reconnect.backoff.max.ms".to_owned(), "200".to_owned())];
    Cluster {
        brokers: vec![bootstrap.to_owned()],
        client_id: "test".to_owned(),
        tls: None,
        sasl: None,
        properties: quick.into_iter().chain(properties).collect(),
    }
}

/// Looks until there is something to see; `what` names it where there never is.
pub(crate) async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "never seen: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// A source whose numbers are fresh and whose group notices quickly.
pub(crate) fn source(broker: &Broker, group: &str, topics: &[&str]) -> Config {
    let quick = [("heartbeat.interval.ms", "300"), ("topic.metadata.refresh.interval.ms", "500")];
    let mut config = Config::new(cluster(&broker.bootstrap(), &quick), group, topics);
    config.stats_every = Duration::from_millis(200);
    config.commit_every = Duration::from_millis(50);
    config
}

/// A record as it reached the path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Seen {
    /// `topic/partition`.
    pub(crate) partition: String,
    pub(crate) offset: i64,
}

impl Seen {
    pub(crate) fn of(delivery: &Delivery) -> Self {
        let Position::Offset(partition, offset) = &delivery.origin.position else { panic!("no position") };
        Self { partition: partition.to_string(), offset: *offset }
    }
}

/// The path behind the way in: it keeps what comes until a test settles it, or settles everything at once.
#[derive(Default)]
pub(crate) struct Path {
    kept: Mutex<VecDeque<Delivery>>,
    came: Notify,
    /// Everything that was acked at once, in its order.
    acked: Mutex<Vec<Seen>>,
    pushed: AtomicUsize,
    acks: bool,
    /// Says that enough is ready from the first delivery on, until a test changes that.
    sated: AtomicBool,
    hunger: Notify,
}

impl Admit for Path {
    fn admit(&self, delivery: Delivery) {
        self.pushed.fetch_add(1, Ordering::Relaxed);
        if self.acks {
            lock(&self.acked).push(Seen::of(&delivery));
            delivery.receipt.settle(Settlement::Ack(None));
            return;
        }
        lock(&self.kept).push_back(delivery);
        self.came.notify_one();
    }

    fn is_sated(&self) -> bool {
        self.sated.load(Ordering::Relaxed) && self.pushed.load(Ordering::Relaxed) > 0
    }

    fn hungry(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.hunger.notified())
    }

    fn sweep(&self) {
        lock(&self.kept).retain(|delivery| delivery.receipt.wanted());
    }
}

impl Path {
    /// One that acks what comes as it comes.
    pub(crate) fn acking() -> Self {
        Self { acks: true, ..Self::default() }
    }

    /// One that always has enough that may run.
    pub(crate) fn sated() -> Self {
        Self { sated: AtomicBool::new(true), ..Self::default() }
    }

    /// It has too little from here on.
    pub(crate) fn hungers(&self) {
        self.sated.store(false, Ordering::Relaxed);
        self.hunger.notify_one();
    }

    /// The next delivery, which is the test's to settle.
    pub(crate) async fn next(&self) -> Delivery {
        loop {
            if let Some(delivery) = lock(&self.kept).pop_front() {
                return delivery;
            }
            self.came.notified().await;
        }
    }

    /// The next `count` deliveries.
    pub(crate) async fn take(&self, count: usize) -> Vec<Delivery> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            taken.push(self.next().await);
        }
        taken
    }

    /// What was acked as it came.
    pub(crate) fn acked(&self) -> Vec<Seen> {
        lock(&self.acked).clone()
    }
}

/// A member of a group: a source that runs, and the path behind it.
pub(crate) struct Member {
    pub(crate) kafka: Arc<Kafka>,
    pub(crate) path: Arc<Path>,
    trigger: DrainTrigger,
    run: JoinHandle<Result<()>>,
}

impl Member {
    /// A member whose deliveries wait for the test; at most `window` of them.
    pub(crate) fn start(config: Config, window: usize) -> Self {
        Self::with(config, window, Path::default())
    }

    /// A member whose deliveries are acked as they come.
    pub(crate) fn acking(config: Config) -> Self {
        Self::with(config, 1_000, Path::acking())
    }

    /// A member whose path does as it is told.
    pub(crate) fn with(config: Config, window: usize, path: Path) -> Self {
        let (kafka, path) = (Kafka::new(config), Arc::new(path));
        let (trigger, drain) = drain::channel();
        let intake = Intake::new(Window::new(window, usize::MAX), path.clone());
        let run = tokio::spawn(kafka.clone().run(intake, drain));
        Self { kafka, path, trigger, run }
    }

    /// The next delivery, which is the test's to settle.
    pub(crate) async fn next(&self) -> Delivery {
        let waited = timeout(WAIT_MAX, self.path.next()).await;
        waited.unwrap_or_else(|_| panic!("nothing came; {:#?}", self.kafka.status()))
    }

    /// The next `count` deliveries.
    pub(crate) async fn take(&self, count: usize) -> Vec<Delivery> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            taken.push(self.next().await);
        }
        taken
    }

    /// How many deliveries came so far.
    pub(crate) fn pushed(&self) -> usize {
        self.path.pushed.load(Ordering::Relaxed)
    }

    /// What was acked as it came.
    pub(crate) fn acked(&self) -> Vec<Seen> {
        self.path.acked()
    }

    /// Waits until the numbers are as `look` wants them.
    pub(crate) async fn shows(&self, what: &str, look: impl Fn(&Status) -> bool) -> Status {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let status = self.kafka.status();
            if look(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "never seen: {what}; {status:#?}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until so many partitions are assigned.
    pub(crate) async fn has(&self, partitions: usize) {
        self.shows(&format!("{partitions} partitions"), |status| status.partitions.len() == partitions).await;
    }

    /// Drains, as the sidecar does.
    pub(crate) async fn leave(self) -> Result<()> {
        self.trigger.start();
        self.trigger.ended().await;
        self.kafka.close().await?;
        self.run.await.unwrap()
    }

    /// Ends it where it stands: nothing more is committed.
    pub(crate) async fn crash(self) {
        self.run.abort();
        let _ = self.run.await;
    }
}

/// Acks each.
pub(crate) fn ack(deliveries: impl IntoIterator<Item = Delivery>) {
    for delivery in deliveries {
        delivery.receipt.settle(Settlement::Ack(None));
    }
}

/// The offsets of deliveries, in their order.
pub(crate) fn offsets(deliveries: &[Delivery]) -> Vec<i64> {
    deliveries.iter().map(|delivery| Seen::of(delivery).offset).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
