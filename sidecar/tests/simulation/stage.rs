//! One run: the scenario of a seed from its first record to the last commit.

use crate::{flaws::Flaw, instance::Instance, ledger::Shelf};
use outrigger::{dispatch::Copy, telemetry::Metrics};
use outrigger_core::Kind;
use outrigger_kafka::Ask;
use outrigger_testkit::sim::{Commits, Fault, Plan, World, group::Notice};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// How often the stage looks.
const STEP_MS: u64 = 25;
/// From when on nothing new goes wrong, and how long everything may take then.
const CALM_MS: u64 = 6_000;
const QUIET_MS: u64 = 120_000;

/// Where everything is, from anywhere.
#[derive(Clone)]
pub(crate) struct Place {
    world: Arc<Mutex<World>>,
    begin: Instant,
    /// What is planted.
    pub(crate) flaw: Option<Flaw>,
    /// Counters, which nobody reads.
    pub(crate) metrics: Arc<Metrics>,
    /// The marks, where the run has deduplication.
    pub(crate) shelf: Option<Shelf>,
    /// Copies on the disks, as the sidecar wrote them, by disk and number.
    shelves: Arc<Mutex<BTreeMap<(usize, u64), Copy>>>,
}

impl Place {
    /// The world at this moment.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.now = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or_default();
        world
    }

    /// What is on the disks.
    pub(crate) fn shelves(&self) -> MutexGuard<'_, BTreeMap<(usize, u64), Copy>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The instant that a time of the world is.
    pub(crate) fn at(&self, ms: u64) -> Instant {
        self.begin + Duration::from_millis(ms)
    }
}

/// What came of a run.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What did not hold.
    pub(crate) violations: Vec<String>,
    /// What happened, if it was recorded.
    pub(crate) trace: Vec<String>,
    /// Calls, dead letters and deliveries beyond the first.
    pub(crate) counts: (u64, u64, u64),
}

/// Something that the stage does at its time.
enum Deed {
    Fault(Fault),
    /// One begins on this disk.
    Back(usize),
    Resume(u32),
}

/// Runs a scenario. The same one, with the same flaw, always runs the same way.
pub(crate) fn run(plan: Plan, flaw: Option<Flaw>, metrics: &Arc<Metrics>, recording: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let instances = plan.instances;
        // The judge knows one kind of marks at a time.
        let is_deduplicated = plan.seed.is_multiple_of(3) && plan.routes.is_none() && flaw.is_none();
        let heals = |(_, fault): &(u64, Fault)| {
            matches!(
                fault,
                Fault::Silence(_)
                    | Fault::Fatal(_)
                    | Fault::Outage(_)
                    | Fault::Cut(..)
                    | Fault::RefuseAssign
                    | Fault::Commits(Commits::Unanswered, _)
            )
        };
        let may_heal = plan.faults.iter().any(heals);
        let mut deeds: BTreeMap<(u64, usize), Deed> = BTreeMap::new();
        for (place, (at, fault)) in plan.faults.iter().enumerate() {
            deeds.insert((*at, place), Deed::Fault(*fault));
        }
        let world = World::new(plan, recording);
        let world = if is_deduplicated { world.marked() } else { world };
        let world = Arc::new(Mutex::new(world));
        let shelf = is_deduplicated.then(Shelf::default);
        let (metrics, shelves) = (metrics.clone(), Arc::default());
        let place = Place { world, begin: Instant::now(), flaw, metrics, shelf, shelves };
        let mut stage = Stage { place, deeds, instances: Vec::new(), incarnations: 0, may_heal };
        (0..instances).for_each(|_| stage.start(None));
        stage.play().await
    })
}

struct Stage {
    place: Place,
    deeds: BTreeMap<(u64, usize), Deed>,
    instances: Vec<Instance>,
    incarnations: u32,
    /// Whether the scenario holds what a client is made anew for.
    may_heal: bool,
}

impl Stage {
    /// One more, on that disk or a new one; later where somebody still leaves it.
    fn start(&mut self, wanted: Option<usize>) {
        let incarnation = self.incarnations + 1;
        let disk = self.place.world().take_disk(wanted, incarnation);
        match (disk, wanted) {
            (Some(disk), _) => {
                self.incarnations = incarnation;
                self.instances.push(Instance::start(&self.place, incarnation, disk));
            }
            (None, Some(wanted)) => self.later(50, Deed::Back(wanted)),
            (None, None) => unreachable!("nobody is on a new disk"),
        }
    }

    fn later(&mut self, ms: u64, deed: Deed) {
        let at = self.place.world().now + ms;
        let next = self.deeds.keys().map(|(_, place)| place + 1).max().unwrap_or_default();
        self.deeds.insert((at, next), deed);
    }

    async fn play(mut self) -> Outcome {
        let mut now = 0;
        loop {
            now += STEP_MS;
            sleep_until(self.place.at(now)).await;
            while let Some(first) = self.deeds.first_entry().filter(|first| first.key().0 <= now) {
                let deed = first.remove();
                self.act(deed).await;
            }
            self.revive().await;
            let mut world = self.place.world();
            world.step();
            if now % 100 == 0 {
                world.watch();
            }
            let over = self.deeds.is_empty()
                && (world.judge.owed().is_empty() && world.is_well(self.instances.len())
                    || now > CALM_MS + QUIET_MS);
            if over || !world.judge.violations.is_empty() {
                break;
            }
        }
        if self.place.world().judge.violations.is_empty() {
            self.end().await;
        }
        let world = self.place.world();
        let judge = &world.judge;
        Outcome {
            violations: judge.violations.clone(),
            counts: (judge.counts.0, judge.counts.1, judge.repeats),
            trace: world.trace().to_vec(),
        }
    }

    /// After the last fault: nothing is owed, an idle source leaves its client alone, and everybody can leave.
    async fn end(&mut self) {
        self.place.world().judge.finish("after the faults");
        let (now, wait) = {
            let mut world = self.place.world();
            world.end_with_gaps();
            let members = world.group.members.values_mut();
            members.flat_map(|member| member.fetches.values_mut()).for_each(|fetch| fetch.silent = false);
            (
                world.now,
                if world.plan.seed.is_multiple_of(8) { 2 * world.plan.settings.stalled_after_ms } else { 0 },
            )
        };
        let mut wrong = Vec::new();
        let before = self.heals();
        self.idle(now, wait).await;
        let after = self.heals();
        if after > before {
            wrong.push(format!("idle: {} clients were made anew though nothing was to come", after - before));
        }
        if before > 0 && !self.may_heal {
            wrong.push(format!("idle: {before} clients were made anew though nothing was wrong with them"));
        }
        for instance in std::mem::take(&mut self.instances) {
            let incarnation = instance.incarnation;
            if let Err(error) = instance.drain(&self.place).await {
                wrong.push(format!("end: {incarnation} does not end well: {error}"));
            }
        }
        let mut world = self.place.world();
        world.judge.violations.extend(wrong);
        world.judge.finish("at the end");
    }

    fn heals(&self) -> u64 {
        self.instances.iter().map(Instance::heals).sum()
    }

    async fn idle(&self, now: u64, ms: u64) {
        for step in 1..=ms / STEP_MS {
            sleep_until(self.place.at(now + step * STEP_MS)).await;
            self.place.world().step();
        }
    }

    /// A source that ended by itself ends its process, which its platform starts again.
    async fn revive(&mut self) {
        while let Some(ended) = self.instances.iter().position(Instance::has_ended) {
            let instance = self.instances.remove(ended);
            let disk = instance.disk;
            instance.die(&self.place).await;
            self.later(300, Deed::Back(disk));
        }
    }

    async fn act(&mut self, deed: Deed) {
        match deed {
            Deed::Back(disk) => self.start(Some(disk)),
            Deed::Resume(incarnation) => {
                let paused = self.instances.iter().find(|instance| instance.incarnation == incarnation);
                if let Some(instance) = paused {
                    instance.ask(Ask::Resume);
                }
            }
            Deed::Fault(fault) => self.fault(fault).await,
        }
    }

    async fn fault(&mut self, fault: Fault) {
        self.place.world().note(|| format!("-- {fault:?}"));
        match fault {
            Fault::Crash(who, back) => {
                if let Some(instance) = self.choose(who) {
                    let instance = self.instances.remove(instance);
                    let disk = instance.disk;
                    instance.die(&self.place).await;
                    self.later(back, Deed::Back(disk));
                }
            }
            Fault::Drain(who, back) => {
                if let Some(instance) = self.choose(who) {
                    let instance = self.instances.remove(instance);
                    let (place, disk) = (self.place.clone(), instance.disk);
                    tokio::spawn(async move {
                        // A last commit that fails is the weather's; one that never ends is not.
                        if let Err(error) = instance.drain(&place).await
                            && error.kind() == Kind::TimedOut
                        {
                            place.world().judge.violations.push(format!("end: {error}"));
                        }
                    });
                    self.later(back, Deed::Back(disk));
                }
            }
            Fault::Join if self.instances.len() < 4 => self.start(None),
            Fault::Pause(who, ms) => {
                if let Some(instance) = self.choose(who) {
                    let instance = &self.instances[instance];
                    instance.ask(Ask::Pause);
                    let incarnation = instance.incarnation;
                    self.later(ms, Deed::Resume(incarnation));
                }
            }
            fault => self.weather(fault),
        }
    }

    fn weather(&self, fault: Fault) {
        let of = |who: usize| self.choose(who).map(|place| self.instances[place].incarnation);
        let world = &mut *self.place.world();
        let now = world.now;
        let member = |world: &World, who: usize| {
            let incarnation = of(who)?;
            let is_its = |(_, member): &(&u32, &outrigger_testkit::sim::group::Member)| {
                member.incarnation == incarnation && !member.gone
            };
            world.group.members.iter().find(is_its).map(|(id, _)| *id)
        };
        match fault {
            Fault::Append(count) => world.append(count),
            Fault::Outage(ms) => {
                world.trouble.outage = now + ms;
                for member in world.group.members.values_mut().filter(|member| !member.gone) {
                    member.mail.push_front((now, Notice::Outage));
                }
            }
            Fault::Cut(who, ms) => {
                if let Some(id) = member(world, who) {
                    world.group.member(id).cut_until = now + ms;
                }
            }
            Fault::Expel(who) => {
                if let Some(id) = member(world, who) {
                    world.expel(id);
                }
            }
            Fault::Silence(who) => {
                if let Some(id) = member(world, who) {
                    world.group.member(id).fetches.values_mut().for_each(|fetch| fetch.silent = true);
                }
            }
            Fault::Fatal(who) => {
                if let Some(id) = member(world, who) {
                    world.group.member(id).mail.push_front((now, Notice::Fatal));
                }
            }
            Fault::Shuffle => world.shuffle(),
            Fault::NoClients(ms) => world.trouble.no_clients = now + ms,
            Fault::RefuseAssign => world.trouble.refuse_assign += 1,
            Fault::Commits(kind, ms) => world.trouble.commits = Some((kind, now + ms)),
            Fault::Function(weather, ms) => world.trouble.targets[0] = Some((weather, now + ms)),
            Fault::Target(target, weather, ms) => {
                world.trouble.targets[target] = Some((weather, now + ms));
            }
            Fault::Full(who, ms) => {
                if let Some(incarnation) = of(who) {
                    world.fill_disk(incarnation, now + ms);
                }
            }
            Fault::NoGraves(ms) => world.trouble.no_graves = now + ms,
            Fault::Retain(who) => world.retain(who),
            Fault::Compact(who) => world.compact(who),
            Fault::Join | Fault::Crash(..) | Fault::Drain(..) | Fault::Pause(..) => {}
        }
        world.wake_all();
    }

    fn choose(&self, who: usize) -> Option<usize> {
        who.checked_rem(self.instances.len())
    }
}
