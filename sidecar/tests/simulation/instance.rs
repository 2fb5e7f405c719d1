//! One sidecar: the real reader, the real way in, real lanes and a real target, around what is simulated.

use crate::{
    client::{Member, TOPIC},
    flaws::{Flaw, Gate},
    ledger::Marks,
    stage::Place,
};
use outrigger::{
    admit::Admission,
    dispatch::{OnPoison, Parts, Settings, Target},
};
use outrigger_core::{
    BoxFuture, Call, CallCx, DeadLetter, DeadLetters, DrainTrigger, Error, Event, Intake, Kind, Observe,
    Reply, Result, Settlement, Source, TargetId, Timeline,
    decide::{backoff::Backoff, breaker, step::Policy, verdict::Statuses, window::Window},
    drain,
};
use outrigger_kafka::{Ask, Cluster, Config, Kafka};
use outrigger_testkit::sim::{function::Act, judge::Seen, plan};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

/// How long a drain may take.
const DRAIN: Duration = Duration::from_millis(500);

/// A sidecar that runs.
pub(crate) struct Instance {
    /// Its number among all that ever ran.
    pub(crate) incarnation: u32,
    source: Arc<Kafka<Member>>,
    target: Arc<Target>,
    running: JoinHandle<Result<()>>,
    clock: JoinHandle<()>,
    stop: DrainTrigger,
}

impl Instance {
    /// Starts one.
    pub(crate) fn start(place: &Place, incarnation: u32) -> Self {
        let (settings, seed) = {
            let world = place.world();
            (world.plan.settings, world.plan.seed)
        };
        let target = target(place, incarnation, &settings, seed);
        target.set_ready(true);
        let admission = Admission {
            rules: Vec::new(),
            annotators: Vec::new(),
            target: target.clone(),
            router: None,
            control: None,
        };
        let gate = Gate::new(place.clone(), admission);
        let intake = Intake::new(Window::new(settings.window_events, usize::MAX), Arc::new(gate));
        let connecting = place.clone();
        let connect = Arc::new(move || Member::connect(&connecting, incarnation).map(Arc::new));
        let source = Kafka::with_client(Arc::new(config(&settings)), connect);
        let (stop, draining) = drain::channel();
        let running = tokio::spawn(source.clone().run(intake, draining));
        let clock = tokio::spawn(target.clone().keep_time());
        Self { incarnation, source, target, running, clock, stop }
    }

    /// Whether its source ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        self.running.is_finished()
    }

    /// Clients that it made anew.
    pub(crate) fn heals(&self) -> u64 {
        self.source.status().heals
    }

    /// Asks the source for something, as its owner may.
    pub(crate) fn ask(&self, ask: Ask) {
        let source = self.source.clone();
        tokio::spawn(async move { drop(source.ask(ask, TOPIC, None).await) });
    }

    /// It dies: nothing of it goes on.
    pub(crate) async fn die(self, place: &Place) {
        place.world().crash(self.incarnation);
        self.running.abort();
        self.clock.abort();
        let _ = self.running.await;
        self.target.drain(Instant::now().into_std()).await;
    }

    /// It drains, as the application does: sources, lanes, leftovers, the broker.
    ///
    /// # Errors
    /// When the last commit failed, or the source did not end.
    pub(crate) async fn drain(self, place: &Place) -> Result<()> {
        place.world().draining.insert(self.incarnation);
        self.stop.start();
        let deadline = Instant::now() + DRAIN;
        let _ = timeout(DRAIN, self.stop.ended()).await;
        self.target.drain(deadline.into_std()).await;
        let closed = timeout(Duration::from_secs(10), self.source.close()).await;
        self.clock.abort();
        self.running.abort();
        closed.unwrap_or_else(|_| Err(Error::new(Kind::TimedOut, "the source does not close")))
    }
}

fn config(settings: &plan::Settings) -> Config {
    let cluster = Cluster {
        brokers: vec!["simulated:1".to_owned()],
        client_id: "simulation".to_owned(),
        tls: None,
        sasl: None,
        properties: BTreeMap::new(),
    };
    Config {
        metadata_bytes_max: settings.metadata_bytes_max,
        partition_events_max: settings.partition_events_max,
        commit_every: Duration::from_millis(settings.commit_every_ms),
        revoke_timeout: Duration::from_millis(settings.revoke_timeout_ms),
        stalled_after: Duration::from_millis(settings.stalled_after_ms),
        pause_after: Duration::from_millis(150),
        leave_timeout: Duration::from_secs(1),
        seek_again: Duration::from_millis(500),
        ..Config::new(cluster, "group", &[TOPIC])
    }
}

fn target(place: &Place, incarnation: u32, settings: &plan::Settings, seed: u64) -> Arc<Target> {
    let rules = Settings {
        policy: Policy {
            attempts_max: settings.attempts_max,
            deadline: Duration::from_hours(1),
            backoff: Backoff { initial: Duration::from_millis(20), max: Duration::from_millis(300) },
        },
        statuses: Statuses::default(),
        on_poison: OnPoison::Skip,
        concurrency: settings.concurrency,
        per_second: None,
        hops_max: 16,
        retry_budget: (0.5, 50.0, 20.0),
        breaker: breaker::Settings {
            failures: settings.breaker_failures,
            open: Duration::from_millis(100),
            open_max: Duration::from_millis(800),
        },
    };
    let far =
        Far { place: place.clone(), incarnation, timeout: Duration::from_millis(settings.call_timeout_ms) };
    let far = Arc::new(far);
    let is_deduplicated = place.shelf.is_some();
    let parts = Parts {
        call: far.clone(),
        dead: far.clone(),
        replies: None,
        ledger: place.shelf.as_ref().map(|shelf| Marks::new(shelf, seed ^ u64::from(incarnation)) as _),
        shares: None,
        is_one_of_several: false,
        observers: is_deduplicated.then(|| far.clone() as Arc<dyn Observe>).into_iter().collect(),
        metrics: place.metrics.clone(),
        rng: fastrand::Rng::with_seed(seed ^ u64::from(incarnation) << 32),
    };
    Target::new(TargetId("function".into()), rules, parts)
}

/// The function and the home of dead letters, as one incarnation reaches them.
struct Far {
    place: Place,
    incarnation: u32,
    timeout: Duration,
}

/// A call that is dropped was abandoned.
struct Open<'a> {
    far: &'a Far,
    number: u64,
    at: (i32, i64),
    seen: Seen,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.far.place.world().answered(self.number, self.at, self.seen);
    }
}

/// With deduplication, what is acknowledged may have been settled without a call.
impl Observe for Far {
    fn finished(&self, event: &Event, settlement: &Settlement, _: &Timeline) {
        if let Settlement::Ack(_) = settlement {
            let at = where_from(event.data().map(|data| &**data).unwrap_or_default());
            self.place.world().known(self.incarnation, at);
        }
    }
}

impl Call for Far {
    fn call<'a>(&'a self, events: &'a [Event], _cx: &'a CallCx) -> BoxFuture<'a, Result<Vec<Reply>>> {
        Box::pin(async move {
            let at = where_from(events[0].data().map(|data| &**data).unwrap_or_default());
            let (number, latency, act) = self.place.world().call(self.incarnation, at);
            let mut open = Open { far: self, number, at, seen: Seen::Abandoned };
            if act == Act::Hang {
                sleep(self.timeout).await;
            } else {
                sleep(Duration::from_millis(latency)).await;
            }
            let (seen, answer) = match act {
                Act::Answer(status @ 200..=299) => {
                    (Seen::Status(status), Ok(vec![Reply { status, ..Reply::default() }]))
                }
                Act::Answer(status) => (Seen::Status(status), Err(Error::status(status, None, ""))),
                Act::Reset => (Seen::Cut, Err(Error::new(Kind::Interrupted, "reset"))),
                Act::Hang => (Seen::Cut, Err(Error::new(Kind::TimedOut, "no answer"))),
                Act::Refuse if self.place.flaw == Some(Flaw::CountsOutages) => {
                    (Seen::Unsent, Err(Error::status(500, None, "refused")))
                }
                Act::Refuse => (Seen::Unsent, Err(Error::new(Kind::Unreachable, "refused"))),
            };
            open.seen = seen;
            drop(open);
            answer
        })
    }
}

impl DeadLetters for Far {
    fn put<'a>(&'a self, letter: &'a DeadLetter) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let data = match &letter.item {
                Ok(event) => event.data().map(|data| &**data).unwrap_or_default(),
                Err(malformed) => &malformed.raw,
            };
            let wait = self.place.world().rng.u64(1..20);
            sleep(Duration::from_millis(wait)).await;
            if self.place.flaw == Some(Flaw::DropsDeadLetters) {
                return Ok(());
            }
            let code = letter.reason.code.name();
            let kept = self.place.world().bury(self.incarnation, where_from(data), code, letter.attempts);
            if kept { Ok(()) } else { Err(Error::new(Kind::Full, "there is no room for dead letters")) }
        })
    }
}

/// The record that the data came from: each holds its own place.
fn where_from(data: &[u8]) -> (i32, i64) {
    let text = std::str::from_utf8(data).unwrap_or_default();
    let (partition, offset) = text.split_once('/').unwrap_or_default();
    (partition.parse().unwrap_or(-1), offset.parse().unwrap_or(-1))
}
