//! Killed at the points on a record's way, again and again. The broker is the store: what was not committed comes
//! again, and nothing else.
//!
//! Every life but the last begins under a shim that waits for its moment, so that the life which recovers from one
//! kill is the next one to be killed.

use crate::rig::{Rig, events, say};
use outrigger_function::{Action, Match, Program, Record, Rule};
use outrigger_testkit::{
    Outgoing, Process, Shim, kafka,
    process::{WAIT_MAX, get},
};
use std::{fs, os::unix::process::ExitStatusExt as _, process::ExitStatus};
use tokio::time::Instant;

/// Every libc call by which bytes may come in, go out, and be synced.
const IN: &str = "recv+recvfrom+recvmsg+read+readv";
const OUT: &str = "send+sendto+sendmsg+write+writev";
const WRITE: &str = "write+pwrite+writev+pwritev";
const SYNC: &str = "fsync+fdatasync";

const SIGKILL: i32 = 9;
/// `function.concurrency` of those killed under load: the most that can be in flight.
const CALLS: usize = 8;

/// How often each point is tried: 5 times, or 100 times with `OUTRIGGER_LONG=1`.
#[expect(clippy::disallowed_methods, reason = "a test has no configuration")]
fn kills() -> usize {
    let long = std::env::var_os("OUTRIGGER_LONG").is_some_and(|value| value == "1");
    if long { 100 } else { 5 }
}

/// One topic and one judge over the lives of many processes.
struct Lives {
    rig: Rig,
    point: &'static str,
    broker_port: String,
    sent: usize,
    kills: usize,
    duplicates_max: usize,
}

impl Lives {
    async fn new(test: &'static str, point: &'static str) -> Option<Self> {
        let broker = kafka::shared(test).await?;
        let rig = Rig::at(&broker.client(), &broker.bootstrap(), test, 3).await;
        // A member of a name takes its own place again at once; another waits for the session of the dead one.
        let rig = rig.set("ingress.kafka.instance", "one").set("function.concurrency", &CALLS.to_string());
        let broker_port = broker.bootstrap().rsplit(':').next().unwrap_or_default().to_owned();
        Some(Self { rig, point, broker_port, sent: 0, kills: 0, duplicates_max: 0 })
    }

    /// The next event; three keys take turns.
    fn event(&mut self) -> Outgoing {
        self.sent += 1;
        Outgoing::new(&format!("e{:05}", self.sent), Some(&format!("k{}", self.sent % 3)))
    }

    /// Starts a process that will die by `rules` once it is told, in which BROKER and FUNCTION stand for their
    /// ports. It first does what the last one owed, and commits that.
    async fn victim(&mut self, rules: &[&str]) -> (Process, Shim) {
        let folder = self.rig.site.path(&format!("shim-{}", self.kills));
        fs::create_dir_all(&folder).unwrap();
        let function = self.rig.function.addr().port().to_string();
        let rules = rules.join(";").replace("BROKER", &self.broker_port).replace("FUNCTION", &function);
        let shim = Shim::new(&folder, &[&rules]).disarmed();
        let mut process = self.rig.site.launch().shim(&shim).start().unwrap();
        process.ready(self.rig.site.admin).await;
        self.recovered().await;
        shim.arm();
        (process, shim)
    }

    /// A fresh event passes, and with it everything that is owed; the judge looks at all that was so far.
    async fn recovered(&mut self) {
        let fresh = self.event();
        self.rig.produce(vec![fresh]).await;
        self.rig.until_paid().await;
        self.rig.until_committed().await;
        self.rig.judge(self.duplicates_max);
    }

    /// Waits until only `open` records are in hand, and all that is settled is committed.
    async fn until_committed_but(&self, open: u64) {
        let deadline = Instant::now() + WAIT_MAX;
        let mut at_rest = false;
        loop {
            let numbers = self.rig.site.verb(&["kafka", "status", "--json"]).await.json();
            let partitions = numbers["partitions"].as_array().unwrap();
            let sum = |name: &str| partitions.iter().filter_map(|it| it[name].as_u64()).sum::<u64>();
            // Numbers are noted every few milliseconds; those of the first look may be of the very moment in which
            // the last record was settled.
            if at_rest && sum("commit_age_ms") == 0 {
                return;
            }
            at_rest = sum("in_flight") == open;
            assert!(Instant::now() < deadline, "{numbers}");
        }
    }

    /// Waits until the shim has killed it, once, and the function has noticed.
    async fn dies(&mut self, (mut process, shim): (Process, Shim)) {
        let status = process.wait().await;
        assert!(is_killed(status), "{}: {status}\n{}", self.point, process.log());
        let done = shim.hits().iter().filter(|hit| hit.action != "arm").count();
        assert_eq!(done, 1, "{}: {:?}", self.point, shim.hits());
        self.buried().await;
    }

    async fn buried(&mut self) {
        // What the dead process sent came before this, so the function has read it when this is answered.
        get(self.rig.function.addr(), "/_/health").await.unwrap();
        self.rig.function.wait_for(|stats| stats.running == 0).await;
        self.kills += 1;
    }

    /// What the function saw of the event `id`.
    fn records(&self, id: &str) -> Vec<Record> {
        let mut log = self.rig.function.log();
        log.retain(|record| record.id.as_deref() == Some(id));
        log
    }

    /// The last life, without a shim; and the counts.
    async fn end(&mut self) {
        let mut process = self.rig.start().await;
        self.recovered().await;
        assert!(process.stop().await.success());
        let found = self.rig.judge(self.duplicates_max);
        let allowed = self.duplicates_max;
        say(&format!("killed {}: {} kills, {found} ({allowed} allowed)", self.point, self.kills));
    }
}

fn is_killed(status: ExitStatus) -> bool {
    status.signal() == Some(SIGKILL)
}

#[tokio::test]
async fn row_1_and_2_killed_before_the_request_is_sent_the_record_comes_once() {
    let test = "row_1_and_2_killed_before_the_request_is_sent_the_record_comes_once";
    let Some(mut lives) = Lives::new(test, "before the request is sent").await else { return };
    for _ in 0..kills() {
        let victim = lives.victim(&[&format!("kill:{OUT}:sock:FUNCTION:1")]).await;
        let event = lives.event();
        lives.rig.produce(vec![event.clone()]).await;
        lives.dies(victim).await;
        assert!(lives.records(&event.id).is_empty(), "{} was never sent", event.id);
    }
    lives.end().await;
}

#[tokio::test]
async fn row_3_killed_when_the_request_was_sent_the_record_comes_again_with_its_id() {
    let test = "row_3_killed_when_the_request_was_sent_the_record_comes_again_with_its_id";
    let Some(mut lives) = Lives::new(test, "when the request was sent").await else { return };
    for _ in 0..kills() {
        let victim = lives.victim(&[&format!("kill-after:{OUT}:sock:FUNCTION:1")]).await;
        let event = lives.event();
        lives.rig.produce(vec![event.clone()]).await;
        lives.dies(victim).await;
        // A function that finds the connection closed may not look at the request any more.
        let before = lives.records(&event.id).len();
        lives.duplicates_max += before;
        let mut process = lives.rig.start().await;
        lives.recovered().await;
        assert_eq!(lives.records(&event.id).len(), before + 1, "{} is owed once more", event.id);
        process.kill().await;
    }
    lives.end().await;
}

#[tokio::test]
async fn row_3_killed_while_the_function_runs_all_that_was_in_flight_comes_again_and_nothing_else() {
    let test = "row_3_killed_while_the_function_runs_all_that_was_in_flight_comes_again";
    let Some(mut lives) = Lives::new(test, "while the function runs").await else { return };
    for n in 0..kills() {
        let mut process = lives.rig.start().await;
        lives.recovered().await;
        lives.rig.function.set_program(Program::always(Action::hold("gate")));
        let before = lives.rig.function.stats().received;
        lives.rig.produce(events(&format!("h{n}"), 40, 20)).await;
        lives.rig.function.wait_for(|stats| stats.held == CALLS as u64).await;
        process.kill().await;
        lives.buried().await;
        assert_eq!(lives.rig.function.stats().received - before, CALLS as u64);
        lives.rig.function.set_program(Program::default());
    }
    lives.end().await;
}

#[tokio::test]
async fn row_3_killed_with_one_record_held_those_settled_behind_it_do_not_come_again() {
    let test = "row_3_killed_with_one_record_held_those_settled_behind_it_do_not_come_again";
    let Some(mut lives) = Lives::new(test, "with one record held").await else { return };
    lives.rig = lives.rig.set("ingress.kafka.commit_every", "5ms");
    for n in 0..kills() {
        let mut process = lives.rig.start().await;
        lives.recovered().await;
        let all = events(&format!("h{n}"), 300, 30);
        let held = Rule::new(Match::id(&all[0].id), Action::hold("gate"));
        lives.rig.function.set_program(Program::default().rule(held));
        let ended = lives.rig.function.stats().ended;
        lives.rig.produce(all).await;
        // All but the held one and the nine behind it in its key; then the commit that names them.
        lives.rig.function.wait_for(|stats| stats.ended == ended + 290).await;
        lives.until_committed_but(10).await;
        process.kill().await;
        lives.buried().await;
        lives.rig.function.set_program(Program::default());
    }
    lives.end().await;
}

#[tokio::test]
async fn row_4_killed_when_the_reply_was_read_the_record_comes_exactly_once_more() {
    let test = "row_4_killed_when_the_reply_was_read_the_record_comes_exactly_once_more";
    let Some(mut lives) = Lives::new(test, "when the reply was read").await else { return };
    for _ in 0..kills() {
        let victim = lives.victim(&[&format!("kill-after:{IN}:sock:FUNCTION:1")]).await;
        lives.duplicates_max += 1;
        let event = lives.event();
        lives.rig.produce(vec![event.clone()]).await;
        lives.dies(victim).await;
        assert_eq!(lives.records(&event.id).len(), 1);
    }
    lives.end().await;
    assert_eq!(lives.rig.judge(lives.duplicates_max).duplicates, lives.kills, "the documented window is one");
}

#[tokio::test]
async fn row_4_and_5_killed_around_the_commit_the_record_comes_at_most_once_more() {
    let test = "row_4_and_5_killed_around_the_commit_the_record_comes_at_most_once_more";
    let Some(mut lives) = Lives::new(test, "around the commit").await else { return };
    for n in 0..kills() * 2 {
        // What goes to the broker after the reply is the next fetch, a heartbeat, the commit; its answer follows.
        let (kind, calls) = if n % 2 == 0 { ("kill", OUT) } else { ("kill-after", IN) };
        let replied = format!("arm:{IN}:sock:FUNCTION:1");
        let victim =
            lives.victim(&[&replied, &format!("{kind}:{calls}:sock:BROKER:{}", 1 + n / 2 % 5)]).await;
        lives.duplicates_max += 1;
        let event = lives.event();
        lives.rig.produce(vec![event]).await;
        lives.dies(victim).await;
    }
    lives.end().await;
}

#[tokio::test]
async fn row_6_killed_in_a_dead_letter_write_the_letter_is_there_before_the_offset() {
    let test = "row_6_killed_in_a_dead_letter_write_the_letter_is_there_before_the_offset";
    let Some(mut lives) = Lives::new(test, "in a dead-letter write").await else { return };
    let (mut refused, mut twice) = (Vec::new(), 0);
    for n in 0..kills() {
        let write = match n % 5 {
            0 => format!("kill:{WRITE}:journal.db-wal:1"),
            1 => format!("kill-half:{WRITE}:journal.db-wal:2"),
            2 => format!("kill:{SYNC}:journal.db-wal:1"),
            3 => format!("kill-after:{WRITE}:journal.db.mark:1"),
            // The letter is durable, and the broker does not know.
            _ => format!("arm:{WRITE}:journal.db.mark:1;kill:{OUT}:sock:BROKER:1"),
        };
        let victim = lives.victim(&[&format!("arm:{IN}:sock:FUNCTION:1"), &write]).await;
        let event = lives.event();
        let refusal = Rule::new(Match::id(&event.id), Action::status(400));
        lives.rig.function.set_program(Program::default().rule(refusal));
        lives.rig.produce(vec![event.clone()]).await;
        lives.rig.ledger.accounted(&event.id);
        lives.dies(victim).await;
        refused.push(event.id);
        // The next life must meet the same refusal before anything else is tried.
        let mut process = lives.rig.start().await;
        lives.recovered().await;
        process.kill().await;
    }
    lives.end().await;
    for id in &refused {
        let said = lives.rig.site.verb(&["dead", "list", "--json", "--text", id]).await;
        let letters = said.json()["letters"].as_array().unwrap().len();
        assert!((1..=2).contains(&letters), "{id} has {letters} letters");
        assert_eq!(lives.records(id).len(), 2, "{id} was not committed, so it came again");
        twice += letters - 1;
    }
    say(&format!("{twice} of {} dead letters are there twice", refused.len()));
}

#[tokio::test]
async fn killed_under_load_what_repeats_was_in_flight_or_settled_since_the_last_commit() {
    let test = "killed_under_load_what_repeats_was_in_flight_or_settled_since_the_last_commit";
    let Some(mut lives) = Lives::new(test, "under load").await else { return };
    lives.rig.function.set_program(Program::always(Action::delay_ms(2)));
    let mut before = 0;
    for n in 0..kills() {
        let mut process = lives.rig.start().await;
        let ended = lives.rig.function.stats().ended;
        lives.rig.produce(events(&format!("l{n}"), 1200, 100)).await;
        let until = ended + 300 + 97 * n as u64;
        lives.rig.function.wait_for(|stats| stats.ended >= until).await;
        process.kill().await;
        let log = lives.rig.function.log();
        lives.buried().await;
        let last_us = log.iter().filter_map(|record| record.ended_us).max().unwrap();
        let since = |ms: u64| {
            log.iter().filter(|record| record.ended_us.is_some_and(|at| at + ms * 1000 >= last_us)).count()
        };
        // The commit of a tick is on its way when the next one begins, on a machine that does other things as well.
        let allowed = CALLS + since(100 + 200);
        let mut process = lives.rig.start().await;
        lives.rig.until_paid().await;
        lives.rig.until_committed().await;
        lives.duplicates_max = before + allowed;
        let repeated = lives.rig.judge(lives.duplicates_max).duplicates - before;
        before += repeated;
        say(&format!("killed under load: {repeated} repeated; {} settled in the last 100 ms", since(100)));
        process.kill().await;
    }
    lives.end().await;
}
