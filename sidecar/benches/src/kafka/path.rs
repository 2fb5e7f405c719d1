//! Ours without a function: the real source, decode, window, lanes and settlement, and a call that answers at once.

use anyhow::{Context as _, Result};
use outrigger::{
    admit::Admission,
    dispatch::{OnPoison, Parts, Settings, Target},
    registry::Homeless,
    telemetry::Metrics,
};
use outrigger_core::{
    BoxFuture, Call, CallCx, Event, Intake, Reply, Source as _, TargetId,
    decide::{backoff::Backoff, breaker, step::Policy, verdict::Statuses, window::Window},
    drain,
};
use outrigger_kafka::{Cluster, Config, Kafka};
use std::{
    collections::BTreeMap,
    future::ready,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::Notify;

use super::{Clock, Measured, Place, peer, topics::Topic};

/// What the peer is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The broker
    brokers: String,
    /// The topic
    topic: String,
    /// The group, which has read nothing yet
    group: String,
    /// How many records to read
    records: u64,
}

/// The function that is none.
struct AtOnce {
    called: AtomicU64,
    records: u64,
    first: OnceLock<Clock>,
    all: Notify,
}

impl Call for AtOnce {
    fn call<'a>(
        &'a self,
        _: &'a [Event],
        _: &'a CallCx,
    ) -> BoxFuture<'a, outrigger_core::Result<Vec<Reply>>> {
        let called = self.called.fetch_add(1, Relaxed) + 1;
        if called == 1
            && let Ok(clock) = Clock::start()
        {
            let _ = self.first.set(clock); // it is set once, by the first call
        }
        if called == self.records {
            self.all.notify_one();
        }
        Box::pin(ready(Ok(vec![Reply { status: 204, ..Reply::default() }])))
    }
}

/// Reads `topic` in a process of its own, and gives back what that cost.
pub(super) async fn consume(place: &Place, topic: Topic) -> Result<Measured> {
    let (brokers, group) = (place.brokers.clone(), place.group());
    peer(vec!["kafka-path".to_owned(), brokers, topic.name.to_owned(), group, topic.events.to_string()]).await
}

/// Reads, settles and commits all of it, and prints what it cost.
pub(crate) async fn run(options: Options) -> Result<()> {
    let call = Arc::new(AtOnce {
        called: AtomicU64::new(0),
        records: options.records,
        first: OnceLock::new(),
        all: Notify::new(),
    });
    let target = target(call.clone());
    let admission = Arc::new(Admission {
        rules: Vec::new(),
        annotators: Vec::new(),
        target: target.clone(),
        router: None,
        control: None,
    });
    let intake = Intake::new(Window::new(1_024, 32 << 20), admission);
    tokio::spawn(target.clone().keep_time());
    target.set_ready(true);

    let cluster = Cluster {
        brokers: vec![options.brokers],
        client_id: "bench".to_owned(),
        tls: None,
        sasl: None,
        properties: BTreeMap::new(),
    };
    let kafka = Kafka::new(Config::new(cluster, &options.group, &[&options.topic]));
    let (stop, drain) = drain::channel();
    let source = tokio::spawn(kafka.clone().run(intake, drain));
    call.all.notified().await;
    let clock = call.first.get().context("nothing was called")?;
    clock.stop(options.records)?;
    stop.start();
    kafka.close().await?;
    source.await??;
    let committed: i64 = kafka.status().partitions.iter().map(|partition| partition.next).sum();
    anyhow::ensure!(committed >= 0, "offsets are never negative");
    Ok(())
}

fn target(call: Arc<AtOnce>) -> Arc<Target> {
    let settings = Settings {
        policy: Policy {
            attempts_max: 5,
            deadline: Duration::from_hours(1),
            backoff: Backoff { initial: Duration::from_millis(200), max: Duration::from_mins(1) },
        },
        statuses: Statuses::default(),
        on_poison: OnPoison::Skip,
        concurrency: 64,
        per_second: None,
        hops_max: 16,
        retry_budget: (0.2, 10.0, 100.0),
        breaker: breaker::Settings {
            failures: 10,
            open: Duration::from_secs(1),
            open_max: Duration::from_secs(30),
        },
    };
    let parts = Parts {
        call,
        dead: Arc::new(Homeless),
        replies: None,
        ledger: None,
        shares: None,
        is_one_of_several: false,
        observers: Vec::new(),
        metrics: Arc::new(
            Metrics::new().unwrap_or_else(|error| unreachable!("two metrics of one name: {error}")),
        ),
        rng: fastrand::Rng::with_seed(1),
    };
    Target::new(TargetId("function".into()), settings, parts)
}
