//! The function and the other targets, each made of what the configuration says.

use super::{problem, wiring, wrong};
use crate::{
    admit::{Admission, Lanes, Router},
    cmd::Failure,
    config::{self, Config, FUNCTION, TargetPlace},
    dispatch::{Outlet, Parts, Spill, Target},
    registry::{self, Brokers, Function, Homeless, Storage},
    route::Routes,
    telemetry::Metrics,
};
use fastrand::Rng;
use http::Uri;
use outrigger_core::{Call, DeadLetters, Intake, Plugin, Source, TargetId, decide::window::Window};
use outrigger_net::tls::ClientTls;
use std::{sync::Arc, time::Instant};

/// Where events may go.
pub(super) struct Targets {
    pub(super) function: Arc<Target>,
    /// The others, in the order of the configuration; none where no rule leads to any.
    pub(super) others: Vec<(Arc<Target>, config::Target)>,
    /// What takes what finds no room in the lanes of some of those, by their names.
    pub(super) spills: Vec<Arc<Spill>>,
    /// The rules, where there are some.
    routes: Option<Routes>,
}

/// What targets work with.
pub(super) struct Around<'a> {
    pub(super) storage: Option<&'a Storage>,
    pub(super) brokers: &'a Brokers,
    pub(super) dead: Option<Arc<dyn DeadLetters>>,
    /// For which targets copies wait in the journal from before, and how many.
    pub(super) waiting: Vec<(String, u64)>,
    pub(super) plugins: &'a [Arc<dyn Plugin>],
    pub(super) metrics: &'a Arc<Metrics>,
}

impl<'a> Around<'a> {
    /// These, and what the storage tells of copies that wait.
    pub(super) async fn new(
        storage: Option<&'a Storage>,
        brokers: &'a Brokers,
        dead: Option<Arc<dyn DeadLetters>>,
        plugins: &'a [Arc<dyn Plugin>],
        metrics: &'a Arc<Metrics>,
    ) -> Result<Self, Failure> {
        let waiting = match storage {
            Some(storage) => storage.overflow.waiting().await.map_err(|error| problem(&error))?,
            None => Vec::new(),
        };
        Ok(Self { storage, brokers, dead, waiting, plugins, metrics })
    }
}

/// The function as a target, plugins around it, and as what requests pass through to; and the others, plain.
pub(super) fn open(
    config: &Config,
    (url, tls): (&Uri, Option<Arc<ClientTls>>),
    around: &Around<'_>,
    mut rng: Rng,
) -> Result<(Targets, Function), Failure> {
    let storage = around.storage;
    let waits = storage.is_none() || config.ingress.http.as_ref().is_some_and(|http| http.sync);
    let replies = waits || around.brokers.replies.is_some();
    let function = registry::function(&config.function, url, tls, replies, around.plugins).map_err(wrong)?;
    let ledger = || storage.map(|storage| storage.ledger.clone());
    let routes = Routes::new(config);
    let is_one_of_several = routes.is_some();
    let parts = |call: Arc<dyn Call>, rng| Parts {
        call,
        dead: around.dead.clone().unwrap_or_else(|| Arc::new(Homeless)),
        replies: None,
        ledger: around.plugins.iter().find_map(|plugin| plugin.ledger(ledger())),
        shares: ledger().filter(|_| is_one_of_several),
        is_one_of_several,
        observers: around.plugins.iter().filter_map(|plugin| plugin.observe()).collect(),
        metrics: around.metrics.clone(),
        rng,
    };
    let of_function =
        Parts { replies: around.brokers.replies.clone(), ..parts(function.call.clone(), rng.fork()) };
    let target = Target::new(TargetId(FUNCTION.into()), wiring::settings(config), of_function);
    let (mut others, mut spills) = (Vec::new(), Vec::new());
    for named in config.targets.iter().filter(|_| is_one_of_several) {
        let call = call(named, around)?;
        let settings = wiring::target_settings(&config.delivery, named);
        let other = Target::new(TargetId(named.name.as_str().into()), settings, parts(call, rng.fork()));
        other.set_ready(true); // nobody asks it first: its breaker sees to outages
        // What waits from before comes first, also where nothing more is to wait from the next start on.
        let waiting =
            around.waiting.iter().find(|(name, _)| *name == named.name).map_or(0, |(_, count)| *count);
        let lane_max = named.overflows_at.or_else(|| (waiting > 0).then_some(named.concurrency));
        if let (Some(lane_max), Some(storage)) = (lane_max, storage) {
            let bounds = (lane_max, waiting);
            spills.push(Spill::new(other.clone(), storage.overflow.clone(), ledger(), bounds));
        }
        others.push((other, named.clone()));
    }
    for (name, count) in &around.waiting {
        if !others.iter().any(|(other, _)| *other.id().0 == **name) {
            let what = "they stay in the journal until it names it again, and a rule is there";
            tracing::warn!(
                target = name,
                count,
                "events wait for a target that the configuration does not name; {what}"
            );
        }
    }
    Ok((Targets { function: target, others, spills, routes }, function))
}

fn call(target: &config::Target, around: &Around<'_>) -> Result<Arc<dyn Call>, Failure> {
    match (&target.place, around.storage) {
        (TargetPlace::Url(at), _) => return registry::target(target, at).map_err(wrong),
        (TargetPlace::Journal, Some(storage)) => return Ok(storage.archive.clone()),
        _ => {}
    }
    let sink = around.brokers.targets.iter().find(|(name, _)| *name == target.name);
    match sink {
        Some((_, sink)) => Ok(Arc::new(Outlet(sink.clone()))),
        None => Err(Failure::Wrong(format!(
            "targets.{}: this outrigger was built without its adapter",
            target.name
        ))),
    }
}

impl Targets {
    /// All of them, the function first.
    pub(super) fn all(&self) -> Vec<Arc<Target>> {
        std::iter::once(&self.function).chain(self.others.iter().map(|(other, _)| other)).cloned().collect()
    }

    /// The way in to all of them; their clocks run from here on. To be called once.
    pub(super) fn intake(&mut self, config: &Config, around: &Around<'_>) -> Intake {
        let annotators = around.plugins.iter().filter_map(|plugin| plugin.annotate()).collect();
        let (target, router) = (self.function.clone(), self.router(around.metrics));
        let admission = Arc::new(Admission { rules: config.transform.clone(), annotators, target, router });
        for target in self.all() {
            tokio::spawn(target.keep_time());
        }
        Intake::new(Window::new(config.window.events, config.window.bytes), admission)
    }

    /// What brings in copies that wait in the journal.
    pub(super) fn spilled(&self) -> impl Iterator<Item = Arc<dyn Source>> {
        self.spills.iter().map(|spill| spill.clone() as Arc<dyn Source>)
    }

    /// What puts events into their lanes, where there are rules.
    fn router(&mut self, metrics: &Metrics) -> Option<Router> {
        let spill =
            |target: &Arc<Target>| self.spills.iter().find(|spill| spill.name() == &*target.id().0).cloned();
        let lanes = self.all().into_iter().map(|target| Lanes::spilling(target.clone(), spill(&target)));
        let lanes = lanes.collect();
        self.routes.take().map(|routes| Router::new(routes, lanes, metrics))
    }
}

/// Lets the lanes of all finish at once. Gives back how many events were released.
pub(super) async fn drain(targets: &[Arc<Target>], deadline: Instant) -> usize {
    let drained = targets.iter().map(|target| target.drain(deadline));
    futures_util::future::join_all(drained).await.into_iter().sum()
}
