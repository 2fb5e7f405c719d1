//! What a scenario stands on: one place on the broker, one function, one judge, and the lives of the sidecar's
//! processes in one folder.

use std::{fmt::Debug, future::Future, sync::Arc, time::Duration};

use outrigger_function::{Function, Match, Program, Record, Stats};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use super::{Capabilities, Declared, Letter, Routes, Setup, Sidecar, Source, Subject, routes::Other};
use crate::{Judgement, Oracle, Outgoing, Process, free_port, process::get};

const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// How long nothing must change at the broker, beyond the time in which it hears of what is settled.
const STILL: Duration = Duration::from_millis(200);
/// Events that are published before the next are: few enough that a failure leaves few in doubt.
const CHUNK: usize = 20;
/// The type of the events that the function of a scenario treats in its own way.
const MARKED: &str = "io.outrigger.marked";

/// One run of one scenario over one source.
pub struct Stage {
    /// What the source says of itself.
    pub capabilities: Capabilities,
    /// The place.
    pub source: Box<dyn Source>,
    /// The function.
    pub function: Function,
    /// The judge of what the function is owed.
    pub oracle: Oracle,
    /// Targets besides the function.
    pub others: Vec<Other>,
    /// What the sidecar is told when it starts.
    pub setup: Setup,
    subject: Arc<dyn Subject>,
    sidecar: Sidecar,
    /// The sidecar's folder.
    _folder: TempDir,
}

impl Stage {
    /// A stage on this place. The function answers everything with 200.
    ///
    /// # Panics
    /// There is no folder or port to be had.
    #[must_use]
    pub fn new(capabilities: Capabilities, source: Box<dyn Source>, subject: Arc<dyn Subject>) -> Self {
        let folder = TempDir::with_prefix("suite-").expect("a temporary folder");
        let admin = ([127, 0, 0, 1], free_port()).into();
        let function = Function::start(Program::default());
        let setup = Setup {
            function: function.url(),
            concurrency: 8,
            window: 64,
            attempts_max: 4,
            drain_ms: 20_000,
            routes: Routes::default(),
            source: source.settings(),
        };
        let sidecar = Sidecar { folder: folder.path().to_owned(), admin };
        let (oracle, others) = (new_oracle(&capabilities), Vec::new());
        Self { capabilities, source, function, oracle, others, setup, subject, sidecar, _folder: folder }
    }

    /// A judge by what the source says of itself.
    pub(super) fn new_oracle(&self) -> Oracle {
        new_oracle(&self.capabilities)
    }

    /// Starts the sidecar and waits until it is ready.
    ///
    /// # Panics
    /// It does not start or get ready.
    pub async fn start(&self) -> Process {
        let launch = self.subject.launch(&self.sidecar, &self.setup);
        let mut process = launch.start().expect("the sidecar can be started");
        process.ready(self.sidecar.admin).await;
        process
    }

    /// Publishes events, each of which is owed from then on to the targets that the rules name.
    ///
    /// # Panics
    /// The broker does not take them.
    pub async fn publish(&self, events: &[Outgoing]) {
        for chunk in events.chunks(CHUNK) {
            for event in chunk {
                self.owed_to(event).into_iter().for_each(|oracle| oracle.sending(event));
            }
            self.source.publish(chunk).await.expect("the broker takes events");
            for event in chunk {
                self.owed_to(event).into_iter().for_each(|oracle| oracle.acknowledged(&event.id));
            }
        }
    }

    /// Publishes events that were published before, once more.
    ///
    /// # Panics
    /// As [`Stage::publish`].
    pub async fn publish_again(&self, events: &[Outgoing]) {
        for chunk in events.chunks(CHUNK) {
            self.source.publish(chunk).await.expect("the broker takes events");
        }
    }

    /// Waits until the function's counts are as wanted.
    ///
    /// # Panics
    /// They do not come to that in the subject's patience.
    pub async fn until(&self, what: &str, wanted: impl FnMut(&Stats) -> bool) -> Stats {
        let came = timeout(self.subject.patience(), self.function.wait_for(wanted)).await;
        came.unwrap_or_else(|_| panic!("{what}: this did not come; {:?}", self.function.stats()))
    }

    /// Waits until every event that is owed was answered with a 2xx, by each target that it is owed to.
    ///
    /// # Panics
    /// As [`Stage::until`].
    pub async fn until_paid(&self) {
        let deadline = Instant::now() + self.subject.patience();
        for (name, function, oracle) in self.judged() {
            loop {
                let ended = function.stats().ended;
                let owed = oracle.owed(&function.log());
                if owed.is_empty() {
                    break;
                }
                let left = deadline.saturating_duration_since(Instant::now());
                let waited = timeout(left, function.wait_for(|stats| stats.ended != ended));
                if waited.await.is_err() {
                    let shown: Vec<_> = owed.iter().take(8).collect();
                    panic!("{} events are still owed to {name}, such as {shown:?}", owed.len());
                }
            }
        }
    }

    /// Waits until so many marks are on the sidecar's disk, or more.
    ///
    /// # Panics
    /// As [`Stage::until`].
    pub async fn until_marks(&self, wanted: usize) {
        let look = || self.subject.marks(&self.sidecar);
        self.poll(&format!("{wanted} marks"), look, |count| *count >= wanted).await;
    }

    /// How many events the sidecar has discarded by this rule since its process began.
    ///
    /// # Panics
    /// It did not say.
    pub async fn discarded(&self, rule: &str) -> usize {
        self.subject.discarded(&self.sidecar, rule).await.expect("the sidecar counts what it discards")
    }

    /// Waits until so many events are not settled at the broker.
    ///
    /// # Panics
    /// As [`Stage::until`].
    pub async fn until_unsettled(&self, wanted: usize) {
        let look = || self.source.unsettled(&self.sidecar);
        self.poll(&format!("{wanted} events that are not settled"), look, |count| *count == wanted).await;
    }

    /// Watches that so many events are not settled, for longer than it takes the broker to hear of what is.
    ///
    /// # Panics
    /// It hears of one, or does not say.
    pub async fn stays_unsettled(&self, count: usize) {
        let until = Instant::now() + 3 * self.capabilities.settles_within + STILL;
        while Instant::now() < until {
            let seen = self.source.unsettled(&self.sidecar).await;
            assert!(seen == Ok(count), "{count} events were not settled, and then {seen:?}");
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until the sidecar says that it holds so many events in memory.
    ///
    /// # Panics
    /// As [`Stage::until`].
    pub async fn until_in_hand(&self, what: &str, wanted: impl FnMut(&usize) -> bool) -> usize {
        self.poll(what, || self.subject.in_hand(&self.sidecar), wanted).await
    }

    /// Looks until something is as wanted, where there is no event to wait for.
    ///
    /// # Panics
    /// As [`Stage::until`]; with what was seen last.
    pub async fn poll<T: Debug, F: Future<Output = Result<T, String>>>(
        &self,
        what: &str,
        mut look: impl FnMut() -> F,
        mut wanted: impl FnMut(&T) -> bool,
    ) -> T {
        let deadline = Instant::now() + self.subject.patience();
        loop {
            let seen = look().await;
            match seen {
                Ok(seen) if wanted(&seen) => return seen,
                seen => assert!(Instant::now() < deadline, "{what}: this did not come, but {seen:?}"),
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Kills the sidecar, and waits until the function has noticed.
    ///
    /// # Panics
    /// It does not end.
    pub async fn kill(&self, process: &mut Process) {
        process.kill().await;
        for (name, function, _) in self.judged() {
            // What the dead process sent came before this, so the function has read it when this is answered.
            get(function.addr(), "/_/health").await.expect("the function answers");
            // A call that is held ends when the function finds its caller gone.
            let ended = timeout(self.subject.patience(), function.wait_for(|stats| stats.running == 0)).await;
            ended.unwrap_or_else(|_| panic!("{name} still has calls after the death of the caller"));
        }
    }

    /// The sidecar's dead letters, once there are so many.
    ///
    /// # Panics
    /// As [`Stage::until`].
    pub async fn letters(&self, count: usize) -> Vec<Letter> {
        let look = || self.subject.letters(&self.sidecar);
        let what = format!("{count} dead letters");
        let mut letters = self.poll(&what, look, |letters| letters.len() >= count).await;
        letters.sort();
        letters
    }

    /// A fresh event passes and with it all that is owed, the broker knows that everything is settled, and the judge
    /// is content.
    ///
    /// # Panics
    /// That is not so.
    pub async fn all_is_well(&self, duplicates_max: usize) -> Judgement {
        let fresh = format!("fresh-{}", self.function.stats().received);
        self.publish(&[Outgoing::new(&fresh, Some("fresh"))]).await;
        self.until_paid().await;
        self.until_unsettled(0).await;
        self.judge(duplicates_max)
    }

    /// What the judges say now; all must be content, with so many duplicates at each target. Gives back the function's.
    ///
    /// # Panics
    /// One is not.
    pub fn judge(&self, duplicates_max: usize) -> Judgement {
        for Other { function, oracle, .. } in &self.others {
            oracle.judge_at(function).assert_clean(duplicates_max);
        }
        let judgement = self.oracle.judge_at(&self.function);
        judgement.assert_clean(duplicates_max);
        judgement
    }

    /// What the function saw of the event `id`.
    #[must_use]
    pub fn records(&self, id: &str) -> Vec<Record> {
        let mut log = self.function.log();
        log.retain(|record| record.id.as_deref() == Some(id));
        log
    }

    /// How many calls ended within `before` of `until_us`, in microseconds since 1970 as the function counts them.
    #[must_use]
    pub fn ended_within(&self, before: Duration, until_us: u64) -> usize {
        let since_us = until_us.saturating_sub(u64::try_from(before.as_micros()).unwrap_or(u64::MAX));
        let ended = self.function.log().into_iter().filter_map(|record| record.ended_us);
        ended.filter(|at| (since_us..=until_us).contains(at)).count()
    }

    /// When the last call ended, in microseconds since 1970.
    #[must_use]
    pub fn last_end_us(&self) -> u64 {
        self.function.log().iter().filter_map(|record| record.ended_us).max().unwrap_or(0)
    }
}

/// Where the broker keeps no order, none is owed; that a key runs once at a time is owed by the sidecar.
fn new_oracle(capabilities: &Capabilities) -> Oracle {
    match capabilities.order {
        Declared::Has(()) => Oracle::default(),
        Declared::Lacks(_) => Oracle::unordered(),
    }
}

/// So many events over so many keys, which take turns.
#[must_use]
pub fn events(prefix: &str, count: usize, keys: usize) -> Vec<Outgoing> {
    let event = |n: usize| Outgoing::new(&format!("{prefix}-{n:04}"), Some(&format!("key-{}", n % keys)));
    (0..count).map(event).collect()
}

/// So many events, each of a key of its own, that [`is_marked`] finds.
#[must_use]
pub fn marked(prefix: &str, count: usize) -> Vec<Outgoing> {
    let event = |n: usize| {
        let (id, key) = (format!("{prefix}-{n:04}"), format!("{prefix}-key-{n}"));
        Outgoing { ty: MARKED.to_owned(), ..Outgoing::new(&id, Some(&key)) }
    };
    (0..count).map(event).collect()
}

/// Fits the events of [`marked`].
#[must_use]
pub fn is_marked() -> Match {
    Match::header("ce-type", MARKED)
}
