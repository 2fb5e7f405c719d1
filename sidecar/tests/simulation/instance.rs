//! One sidecar: the real reader, the real way in, real rules, lanes and targets, around what is simulated.

use crate::{
    client::{Member, TOPIC},
    disk::Journal,
    flaws::{Flaw, Gate},
    ledger::Marks,
    rules::rules,
    stage::Place,
};
use outrigger::{
    admit::{Admission, Lanes, Router},
    dispatch::{OnPoison, Parts, Settings, Spill, Target},
};
use outrigger_core::{
    BoxFuture, Call, CallCx, DeadLetter, DeadLetters, DrainTrigger, Error, Event, Intake, Kind, Ledger,
    Observe, Reply, Result, Settlement, Source, TargetId, Timeline,
    decide::{backoff::Backoff, breaker, step::Policy, verdict::Statuses, window::Window},
    drain,
};
use outrigger_kafka::{Ask, Cluster, Config, Kafka};
use outrigger_testkit::sim::{
    function::Act,
    judge::Seen,
    plan::{self, Plan},
    routes::NAMES,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout, timeout_at},
};

/// How long a drain may take.
const DRAIN: Duration = Duration::from_millis(500);

/// A sidecar that runs.
pub(crate) struct Instance {
    /// Its number among all that ever ran.
    pub(crate) incarnation: u32,
    /// Its disk's number.
    pub(crate) disk: usize,
    source: Arc<Kafka<Member>>,
    targets: Vec<Arc<Target>>,
    running: JoinHandle<Result<()>>,
    /// Clocks, and what brings copies in.
    beside: Vec<JoinHandle<()>>,
    /// One for each source, as who waits for the same one is woken in any order.
    stops: Vec<DrainTrigger>,
}

impl Instance {
    /// Starts one.
    pub(crate) fn start(place: &Place, incarnation: u32, disk: usize) -> Self {
        let plan = place.world().plan.clone();
        let journal = Arc::new(Journal { place: place.clone(), incarnation, disk });
        let count = 1 + plan.routes.as_ref().map_or(0, |routes| routes.others.len());
        let targets: Vec<_> = (0..count).map(|number| target(&journal, &plan, number)).collect();
        let spills: Vec<_> = (0..count).map(|number| spill(&journal, &plan, &targets, number)).collect();
        let mut stops = Vec::new();
        let router = plan.routes.as_ref().map(|routes| {
            let lanes = targets.iter().cloned().zip(spills.iter().cloned());
            let lanes = lanes.map(|(target, spill)| Lanes::spilling(target, spill)).collect();
            Router::new(rules(routes, place.flaw), lanes, &place.metrics)
        });
        let target = targets[0].clone();
        let admission =
            Admission { rules: Vec::new(), annotators: Vec::new(), target, router, control: None };
        let gate = Gate::new(place.clone(), admission);
        let intake = Intake::new(Window::new(plan.settings.window_events, usize::MAX), Arc::new(gate));
        let mut beside: Vec<_> =
            targets.iter().map(|target| tokio::spawn(target.clone().keep_time())).collect();
        for spill in spills.into_iter().flatten() {
            let (stop, draining) = drain::channel();
            stops.push(stop);
            let bringing = spill.run(intake.clone(), draining);
            beside.push(tokio::spawn(async { drop(bringing.await) }));
        }
        let connecting = place.clone();
        let connect = Arc::new(move || Member::connect(&connecting, incarnation).map(Arc::new));
        let source = Kafka::with_client(Arc::new(config(&plan.settings)), connect);
        let (stop, draining) = drain::channel();
        stops.push(stop);
        let running = tokio::spawn(source.clone().run(intake, draining));
        Self { incarnation, disk, source, targets, running, beside, stops }
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
        self.beside.iter().for_each(JoinHandle::abort);
        let _ = self.running.await;
        for beside in self.beside {
            let _ = beside.await;
        }
        for target in &self.targets {
            target.drain(Instant::now().into_std()).await;
        }
        place.world().leave_disk(self.incarnation, false);
    }

    /// It drains, as the application does: sources, lanes, leftovers, the broker.
    ///
    /// # Errors
    /// When the last commit failed, or the source did not end.
    pub(crate) async fn drain(self, place: &Place) -> Result<()> {
        place.world().draining.insert(self.incarnation);
        self.stops.iter().for_each(DrainTrigger::start);
        let deadline = Instant::now() + DRAIN;
        for stop in &self.stops {
            let _ = timeout_at(deadline, stop.ended()).await;
        }
        for drained in self.targets.iter().map(|target| target.drain(deadline.into_std())) {
            drained.await; // all have the same deadline, and nothing new comes
        }
        {
            let mut world = place.world();
            let now = world.now;
            world.lanes_ended.insert(self.incarnation, now);
        }
        let closed = timeout(Duration::from_secs(10), self.source.close()).await;
        self.beside.iter().for_each(JoinHandle::abort);
        self.running.abort();
        place.world().leave_disk(self.incarnation, true);
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

/// What brings copies to a target that overflows.
fn spill(journal: &Arc<Journal>, plan: &Plan, targets: &[Arc<Target>], number: usize) -> Option<Arc<Spill>> {
    let lane_max = Some(plan.lane_max(number)).filter(|lane_max| *lane_max > 0)?;
    let flaw = journal.place.flaw;
    let lane_max = if flaw == Some(Flaw::TakesAllCopies) { usize::MAX } else { lane_max };
    let waiting = journal.place.world().waiting(journal.incarnation, number);
    Some(Spill::new(targets[number].clone(), journal.clone(), Some(journal.clone()), (lane_max, waiting)))
}

fn target(journal: &Arc<Journal>, plan: &Plan, number: usize) -> Arc<Target> {
    let settings = &plan.settings;
    let rules = Settings {
        policy: Policy {
            attempts_max: settings.attempts_max,
            deadline: Duration::from_hours(1),
            backoff: Backoff { initial: Duration::from_millis(20), max: Duration::from_millis(300) },
        },
        statuses: Statuses::default(),
        on_poison: OnPoison::Skip,
        concurrency: plan.concurrency(number),
        per_second: None,
        hops_max: 16,
        retry_budget: (0.5, 50.0, 20.0),
        breaker: breaker::Settings {
            failures: settings.breaker_failures,
            open: Duration::from_millis(100),
            open_max: Duration::from_millis(800),
        },
    };
    let timeout = Duration::from_millis(settings.call_timeout_ms);
    let (place, incarnation) = (journal.place.clone(), journal.incarnation);
    let (metrics, shelf) = (place.metrics.clone(), place.shelf.clone());
    let far = Arc::new(Far { place, incarnation, target: number, timeout });
    let has_rules = plan.routes.is_some();
    let shares: Arc<dyn Ledger> = journal.clone();
    let dice = plan.seed ^ u64::from(incarnation) << 32 ^ (number as u64) << 56;
    let parts = Parts {
        call: far.clone(),
        dead: far.clone(),
        replies: None,
        ledger: shelf
            .as_ref()
            .map(|shelf| Marks::new(shelf, plan.seed ^ u64::from(journal.incarnation)) as _),
        shares: has_rules.then_some(shares),
        is_one_of_several: has_rules,
        observers: shelf.map(|_| far.clone() as Arc<dyn Observe>).into_iter().collect(),
        metrics,
        rng: fastrand::Rng::with_seed(dice),
    };
    let target = Target::new(TargetId(NAMES[number].into()), rules, parts);
    target.set_ready(true);
    target
}

/// A target and the home of its dead letters, as one incarnation reaches them.
struct Far {
    place: Place,
    incarnation: u32,
    target: usize,
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
        let Far { incarnation, target, .. } = *self.far;
        self.far.place.world().answered(self.number, (incarnation, target, self.at), self.seen);
    }
}

/// With deduplication, what is acknowledged may have been settled without a call.
impl Observe for Far {
    fn finished(&self, event: Option<&Event>, settlement: &Settlement, _: &Timeline) {
        if let (Settlement::Ack(_), Some(event)) = (settlement, event) {
            let at = where_from(event.data().map(|data| &**data).unwrap_or_default());
            self.place.world().known(self.incarnation, at);
        }
    }
}

impl Call for Far {
    fn call<'a>(&'a self, events: &'a [Event], _cx: &'a CallCx) -> BoxFuture<'a, Result<Vec<Reply>>> {
        Box::pin(async move {
            let at = where_from(events[0].data().map(|data| &**data).unwrap_or_default());
            let (number, latency, act) = self.place.world().call(self.incarnation, self.target, at);
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
            let of_it = (self.incarnation, self.target, where_from(data));
            let kept = self.place.world().bury(of_it, (code, letter.attempts));
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
