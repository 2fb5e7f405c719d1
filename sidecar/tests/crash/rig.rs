//! One journal, one function and one judge over the lives of many processes that are killed one after the other.

#![allow(unreachable_pub, reason = "nothing here is an interface")]

use crate::common::Site;
use outrigger_function::{Action, Function, Program, Record};
use outrigger_testkit::{
    Mode, Oracle, Outgoing, Process, Producer, Shim,
    process::{WAIT_MAX, get},
};
use std::{
    fs,
    io::{self, Write as _},
    os::unix::process::ExitStatusExt as _,
    process::ExitStatus,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Every libc call by which bytes may come in, go out, and be synced.
pub const IN: &str = "recv+recvfrom+recvmsg+read+readv";
pub const OUT: &str = "send+sendto+sendmsg+write+writev";
pub const WRITE: &str = "write+pwrite+writev+pwritev";
pub const SYNC: &str = "fsync+fdatasync";

const SIGKILL: i32 = 9;
const POLL_INTERVAL: Duration = Duration::from_millis(1);
/// Every so manieth life begins with a new journal; the others go on with what the kill has left.
const WIPE_EVERY: usize = 4;

/// How often each point is tried: 50 times, or 500 times with `OUTRIGGER_LONG=1`.
#[expect(clippy::disallowed_methods, reason = "a test has no configuration")]
pub fn kills() -> usize {
    let long = std::env::var_os("OUTRIGGER_LONG").is_some_and(|value| value == "1");
    if long { 500 } else { 50 }
}

pub struct Rig {
    pub site: Site,
    pub function: Function,
    pub oracle: Oracle,
    pub producer: Producer,
    point: &'static str,
    sent: usize,
    kills: usize,
    duplicates_max: usize,
}

/// A process whose end is prepared.
pub struct Victim {
    pub process: Process,
    pub shim: Shim,
}

impl Rig {
    /// A rig for the crash point that `point` describes. Settlements are committed almost at once, so that a
    /// test knows what is on disk.
    pub fn new(point: &'static str) -> Self {
        Self::with(point, |site| site)
    }

    /// The same with other settings.
    pub fn with(point: &'static str, settings: impl FnOnce(Site) -> Site) -> Self {
        let function = Function::start(Program::default());
        let site = settings(Site::of(&function).set("journal.commit_every", "2ms"));
        let producer = site.producer();
        let oracle = Oracle::default();
        Self { site, function, oracle, producer, point, sent: 0, kills: 0, duplicates_max: 0 }
    }

    /// The next event; three keys take turns.
    pub fn event(&mut self) -> Outgoing {
        self.sent += 1;
        Outgoing::new(&format!("e{:05}", self.sent), Some(&format!("k{}", self.sent % 3)))
    }

    /// Sends it and tells the judge what the answer was; `None` without one.
    pub async fn send(&self, event: &Outgoing) -> Option<u16> {
        self.oracle.sending(event);
        let answer = self.producer.send(event, Mode::Binary).await.ok()?;
        if answer.status().is_success() {
            self.oracle.acknowledged(&event.id);
        }
        Some(answer.status().as_u16())
    }

    /// Sends so many events, one after the other, and waits until each is delivered and nothing is pending.
    pub async fn pass(&mut self, count: usize) {
        for _ in 0..count {
            let event = self.event();
            assert_eq!(self.send(&event).await, Some(202));
            self.until_settled().await;
            assert!(!self.records(&event.id).is_empty(), "{} is settled but was never delivered", event.id);
        }
    }

    /// Waits until nothing in the journal waits any more, settlements on disk included.
    pub async fn until_settled(&self) {
        self.until_metric("outrigger_journal_pending_events", |pending| pending == 0.0).await;
    }

    /// Waits until the metric is as wanted.
    pub async fn until_metric(&self, name: &str, wanted: impl Fn(f64) -> bool) -> f64 {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let value = self.site.metric(name).await;
            if wanted(value) {
                return value;
            }
            assert!(Instant::now() < deadline, "{}: {name} stays at {value}", self.point);
            sleep(POLL_INTERVAL).await;
        }
    }

    /// What the function saw of the event `id`.
    pub fn records(&self, id: &str) -> Vec<Record> {
        let mut log = self.function.log();
        log.retain(|record| record.id.as_deref() == Some(id));
        log
    }

    /// Starts the `n`-th process that is to die by `rules`, in which INGRESS and FUNCTION stand for their ports.
    /// It first passes a few events; the rules count from now on.
    pub async fn victim(&mut self, n: usize, rules: &[&str]) -> Victim {
        if n.is_multiple_of(WIPE_EVERY) {
            self.wipe();
        }
        let victim = self.prepare(n, rules).await;
        self.pass(n % 3).await;
        victim.shim.arm();
        victim
    }

    /// Starts a process under rules that do not count yet.
    pub async fn prepare(&self, n: usize, rules: &[&str]) -> Victim {
        let shim = self.shim(n, rules).disarmed();
        let mut process = self.site.launch().shim(&shim).start().expect("the binary can be started");
        process.ready(self.site.admin).await;
        Victim { process, shim }
    }

    /// A shim with a log of its own.
    pub fn shim(&self, n: usize, rules: &[&str]) -> Shim {
        let folder = self.site.path(&format!("shim-{n}"));
        fs::create_dir_all(&folder).expect("a folder for the shim");
        let (ingress, function) = (self.site.ingress.port(), self.function.addr().port());
        let rules = rules.join(";");
        let rules = rules.replace("INGRESS", &ingress.to_string()).replace("FUNCTION", &function.to_string());
        Shim::new(&folder, &[&rules])
    }

    /// Waits until the shim has killed it, once, and the function has noticed.
    pub async fn dies(&mut self, mut victim: Victim) {
        let status = victim.process.wait().await;
        assert!(is_killed(status), "{}: {status}\n{}", self.point, victim.process.log());
        let done = victim.shim.hits().iter().filter(|hit| hit.action != "arm").count();
        assert_eq!(done, 1, "{}: {:?}", self.point, victim.shim.hits());
        self.buried().await;
    }

    /// Counts a kill, once the function has noticed it.
    pub async fn buried(&mut self) {
        // What the dead process sent came before this, so the function has read it when this is answered.
        get(self.function.addr(), "/_/health").await.expect("the function answers");
        self.function.wait_for(|stats| stats.running == 0).await;
        self.kills += 1;
    }

    /// Starts a process without a shim, waits until all that waits is settled and a fresh event has passed, has
    /// the judge look at everything so far, of which this kill may have brought `duplicates` more, and ends.
    pub async fn recovers(&mut self, duplicates: usize) {
        let mut process = self.site.start().await;
        self.pass(1).await;
        process.kill().await;
        self.allow(duplicates);
    }

    /// Has the judge look at everything so far, with `duplicates` more than before.
    pub fn allow(&mut self, duplicates: usize) {
        self.duplicates_max += duplicates;
        let judgement = self.oracle.judge_at(&self.function);
        assert!(
            judgement.is_clean() && judgement.duplicates <= self.duplicates_max,
            "{}, after {} kills, {} duplicates allowed: {judgement}",
            self.point,
            self.kills,
            self.duplicates_max
        );
    }

    /// A new journal. Nothing may be pending.
    pub fn wipe(&self) {
        let _ = fs::remove_dir_all(self.site.path(".outrigger")); // there is none at first
    }

    /// Holds the function's answers until [`Rig::let_go`].
    pub fn hold(&self) {
        self.function.set_program(Program::always(Action::hold("gate")));
    }

    pub fn let_go(&self) {
        self.function.set_program(Program::default());
    }

    /// The attempts that each dead letter of the event `id` counts.
    pub async fn letters(&self, id: &str) -> Vec<u64> {
        let said = self.site.verb(&["dead", "list", "--json", "--text", id]).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        let letters = said.json()["letters"].as_array().expect("a list").clone();
        letters.iter().filter_map(|letter| letter["attempts"].as_u64()).collect()
    }

    /// Prints the counts, also for a test that passes: the harness shows no captured output then.
    pub fn report(&self) {
        let judgement = self.oracle.judge_at(&self.function);
        self.say(&format!(
            "{} kills, {} acknowledged, {} delivered, {} duplicates ({} allowed), {} lost",
            self.kills,
            judgement.acknowledged,
            judgement.delivered,
            judgement.duplicates,
            self.duplicates_max,
            judgement.lost.len()
        ));
    }

    /// Prints a line about this point.
    pub fn say(&self, what: &str) {
        let line = format!("crash point {}: {what}\n", self.point);
        let _ = io::stderr().write_all(line.as_bytes()); // only for people
    }
}

pub fn is_killed(status: ExitStatus) -> bool {
    status.signal() == Some(SIGKILL)
}
