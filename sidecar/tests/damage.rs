//! Row 23 of the fault matrix on files that the shipped binary left when it was killed: a torn tail is cut and said,
//! damage in the middle ends it with one line that says what to do, and nothing is lost without a word.

mod common;

use common::{Said, Site};
use outrigger_function::{Action, Function, Program};
use outrigger_testkit::{Mode, Oracle, Outgoing, Process, Shim, process::WAIT_MAX};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Events in the journal, each in a commit of its own.
const EVENTS: usize = 10;
/// A frame of the log: SQLite's header of it, and a page.
const FRAME_BYTES: u64 = 24 + PAGE_BYTES;
const PAGE_BYTES: u64 = 8_192;
/// Where the header of a database has its `user_version` (file format, 1.3).
const USER_VERSION_AT: u64 = 60;

/// A journal that a process has left, and what it was told.
struct Wreck {
    site: Site,
    function: Function,
    oracle: Oracle,
}

impl Wreck {
    /// Ten events, acknowledged one after the other and never delivered; then the process ends by `end`.
    async fn new(end: impl AsyncFn(&mut Process)) -> Self {
        let function = Function::start(Program::always(Action::hold("gate")));
        // Attempts are not noted before the end, so the last commit is that of the last event.
        let site = Site::of(&function).set("journal.commit_every", "10s").set("drain.deadline", "5ms");
        let (mut process, oracle, producer) = (site.start().await, Oracle::default(), site.producer());
        for n in 0..EVENTS {
            let event = Outgoing::new(&format!("e{n}"), Some("k"));
            let event = event.with_data("text/plain", format!("the payload of {n} {}", "x".repeat(3_000)));
            oracle.sending(&event);
            assert_eq!(producer.send(&event, Mode::Binary).await.unwrap().status(), 202);
            oracle.acknowledged(&event.id);
        }
        function.wait_for(|stats| stats.held == 1).await; // else its call could arrive when all is cleared
        end(&mut process).await;
        function.wait_for(|stats| stats.running == 0).await;
        function.set_program(Program::default());
        function.clear(); // of what it held
        Self { site: site.set("journal.commit_every", "2ms"), function, oracle }
    }

    /// Killed: the events are in the log only.
    async fn killed() -> Self {
        loop {
            let wreck = Self::new(async |process| {
                process.kill().await;
            })
            .await;
            // After a second of nothing the log is copied: then this machine was too slow.
            if wreck.len("-wal") > EVENTS as u64 * FRAME_BYTES {
                return wreck;
            }
        }
    }

    /// Stopped: the log was copied and is empty.
    async fn stopped() -> Self {
        let wreck = Self::new(async |process| {
            assert!(process.stop().await.success());
        })
        .await;
        assert_eq!(wreck.len("-wal"), 0);
        wreck
    }

    fn file(&self, suffix: &str) -> std::path::PathBuf {
        self.site.path(&format!(".outrigger/journal.db{suffix}"))
    }

    fn len(&self, suffix: &str) -> u64 {
        fs::metadata(self.file(suffix)).map_or(0, |file| file.len())
    }

    fn flip(&self, suffix: &str, bit: u64) {
        flip(&self.file(suffix), bit);
    }

    fn cut(&self, suffix: &str, bytes: u64) {
        File::options().write(true).open(self.file(suffix)).unwrap().set_len(bytes).unwrap();
    }

    /// Starts it, waits until nothing is pending, passes a fresh event, and returns what it wrote.
    async fn recovers(&self, fresh: &str) -> String {
        let mut process = self.site.start().await;
        let event = Outgoing::new(fresh, Some("k"));
        self.oracle.sending(&event);
        assert_eq!(self.site.producer().send(&event, Mode::Binary).await.unwrap().status(), 202);
        self.oracle.acknowledged(fresh);
        let deadline = Instant::now() + WAIT_MAX;
        while self.site.metric("outrigger_journal_pending_events").await > 0.0 {
            assert!(Instant::now() < deadline, "{}", process.log());
            sleep(Duration::from_millis(5)).await;
        }
        let log = process.log();
        process.kill().await;
        log
    }

    /// It does not start: one line says why, and the files stay as they are.
    async fn refuses(&self) -> String {
        // SQLite may make an empty log where there is none.
        let files = || ["", "-wal", ".mark"].map(|suffix| fs::read(self.file(suffix)).unwrap_or_default());
        let before = files();
        let said = self.site.verb(&["run"]).await;
        assert!(files() == before, "evidence was changed");
        line(&said)
    }

    /// The ids that the function got.
    fn came(&self) -> BTreeSet<String> {
        self.function.log().into_iter().filter_map(|record| record.id).map(String::from).collect()
    }
}

fn flip(path: &Path, bit: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, bit / 8).unwrap();
    byte[0] ^= 1 << (bit % 8);
    file.write_all_at(&byte, bit / 8).unwrap();
}

/// The one line with which it ended, which was not well.
fn line(said: &Said) -> String {
    assert!(said.code.is_some_and(|code| code != 0), "{said:?}");
    let lines: Vec<_> = said.stderr.lines().filter(|line| line.starts_with("outrigger: ")).collect();
    let [line] = lines[..] else { panic!("one line, but: {said:?}") };
    line.to_owned()
}

fn all() -> BTreeSet<String> {
    (0..EVENTS).map(|n| format!("e{n}")).collect()
}

#[tokio::test]
async fn without_damage_a_killed_journal_opens_without_a_word_and_all_of_it_comes() {
    let wreck = Wreck::killed().await;
    let log = wreck.recovers("fresh").await;
    assert!(!log.contains("WARN") && !log.contains("ERROR") && !log.contains("cut off"), "{log}");
    wreck.oracle.judge_at(&wreck.function).assert_clean(0);
}

#[tokio::test]
async fn row_23_a_flipped_bit_in_the_last_frame_costs_its_commit_and_that_is_said() {
    let wreck = Wreck::killed().await;
    wreck.flip("-wal", (wreck.len("-wal") - 100) * 8);
    let log = wreck.recovers("fresh").await;
    assert!(log.contains("last commit was torn and is cut off; events in it are lost here"), "{log}");
    let judgement = wreck.oracle.judge_at(&wreck.function);
    assert_eq!(judgement.lost, [format!("e{}", EVENTS - 1)].into(), "the judge sees what was said");
    let again = wreck.recovers("fresher").await;
    assert!(!again.contains("cut off"), "it is said once: {again}");
}

#[tokio::test]
async fn row_23_a_log_whose_end_is_missing_is_cut_at_its_last_whole_commit_and_that_is_said() {
    let wreck = Wreck::killed().await;
    wreck.cut("-wal", wreck.len("-wal") - 5);
    let log = wreck.recovers("fresh").await;
    assert!(log.contains("last commit was torn and is cut off"), "{log}");
    assert_eq!(wreck.oracle.judge_at(&wreck.function).lost, [format!("e{}", EVENTS - 1)].into());
}

#[tokio::test]
async fn row_23_a_write_that_the_kill_cut_short_is_no_loss_and_is_called_none() {
    let function = Function::start(Program::default());
    let site = Site::of(&function);
    let shim = Shim::new(&site.path(""), &["kill-half:write+pwrite:journal.db-wal:30"]).disarmed();
    let mut process = site.launch().shim(&shim).start().unwrap();
    process.ready(site.admin).await;
    shim.arm();
    // One commit of many frames: some of them are whole.
    let event = Outgoing::new("torn", None).with_data("text/plain", vec![b'x'; 300_000]);
    assert!(site.producer().send(&event, Mode::Binary).await.is_err());
    process.wait().await;
    assert_eq!(shim.hits().len(), 1);
    let wreck = Wreck { site, function, oracle: Oracle::default() };
    let log = wreck.recovers("fresh").await;
    assert!(log.contains("unfinished write, which is cut off; nobody was told that it was kept"), "{log}");
    assert!(!log.contains("WARN"), "{log}");
    wreck.oracle.judge_at(&wreck.function).assert_clean(0);
}

#[tokio::test]
async fn row_23_a_flipped_bit_in_the_middle_of_the_log_is_refused_until_somebody_accepts_the_loss() {
    let wreck = Wreck::killed().await;
    wreck.flip("-wal", wreck.len("-wal") / 2 * 8);
    let line = wreck.refuses().await;
    assert!(line.contains("damaged") && line.contains("commits") && line.contains("backup"), "{line}");
    assert!(line.contains(".mark"), "{line}");
    assert!(wreck.came().is_empty());

    fs::remove_file(wreck.file(".mark")).unwrap(); // as the line says
    let log = wreck.recovers("fresh").await;
    assert!(log.contains("cut off"), "{log}");
    let lost = wreck.oracle.judge_at(&wreck.function).lost;
    assert!(lost.len() > 1 && lost.len() < EVENTS, "{lost:?}");
}

#[tokio::test]
async fn row_23_a_log_that_lost_half_of_itself_or_is_gone_is_refused() {
    let wreck = Wreck::killed().await;
    wreck.cut("-wal", wreck.len("-wal") / 2);
    let line = wreck.refuses().await;
    assert!(line.contains("damaged") && line.contains("commits"), "{line}");
    fs::remove_file(wreck.file("-wal")).unwrap();
    let line = wreck.refuses().await;
    assert!(line.contains("damaged") && line.contains("backup"), "{line}");
}

#[tokio::test]
async fn row_23_a_database_that_was_cut_short_is_refused() {
    for share in [0, 1, 2, 3] {
        let wreck = Wreck::stopped().await;
        let pages = wreck.len("") / PAGE_BYTES;
        assert!(pages >= 4, "{pages}");
        wreck.cut("", pages * share / 4 * PAGE_BYTES);
        let line = line(&wreck.site.verb(&["run"]).await);
        let helps = ["backup", "another path", "remove"].iter().any(|advice| line.contains(advice));
        assert!(line.contains("damaged") && helps, "{share}/4 left: {line}");
    }
}

#[tokio::test]
async fn row_23_an_event_that_was_changed_in_the_database_is_never_delivered() {
    let wreck = Wreck::stopped().await;
    let bytes = fs::read(wreck.file("")).unwrap();
    let payload = b"the payload of 7 ";
    let at = bytes.windows(payload.len()).position(|window| window == payload).unwrap();
    wreck.flip("", at as u64 * 8);
    let line = line(&wreck.site.verb(&["run"]).await);
    assert!(line.contains("`queue` does not have its checksum") && line.contains("backup"), "{line}");
    assert!(!wreck.came().contains("e7"), "{:?}", wreck.came());
    assert!(wreck.oracle.judge_at(&wreck.function).altered.is_empty());
}

#[tokio::test]
async fn row_23_the_first_page_of_the_database_is_damaged() {
    let wreck = Wreck::stopped().await;
    wreck.flip("", 3);
    let line = wreck.refuses().await;
    assert!(line.contains("no journal, or its first page is damaged"), "{line}");
}

/// The oracle of this file: one flipped bit anywhere either ends the process with a line, or costs at most the
/// last commit, which is said, or nothing.
#[tokio::test]
async fn row_23_no_flipped_bit_loses_an_event_without_a_word() {
    let (mut loud, mut harmless, mut said) = (0, 0, 0);
    for n in 0..40_u64 {
        let in_log = n % 2 == 0;
        let wreck = if in_log { Wreck::killed().await } else { Wreck::stopped().await };
        let file = if in_log { "-wal" } else { "" };
        // A multiplicative generator: the same places in each run, all over the file.
        wreck.flip(file, (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) % (wreck.len(file) * 8));
        match outcome(&wreck).await {
            Ok(log) => {
                let lost: BTreeSet<_> = all().difference(&wreck.came()).cloned().collect();
                assert!(lost.len() <= 1, "{n}: {lost:?} are lost:\n{log}");
                let told = log.contains("is cut off; events in it are lost here");
                assert!(lost.is_empty() || told, "{n}: {lost:?} is lost without a word:\n{log}");
                harmless += usize::from(lost.is_empty());
                said += usize::from(!lost.is_empty());
            }
            Err(line) => {
                assert!(line.contains("journal"), "{n}: {line}");
                loud += 1;
            }
        }
        assert!(wreck.oracle.judge_at(&wreck.function).altered.is_empty(), "{n}");
    }
    eprintln!("{loud} refused, {said} cut and said, {harmless} without harm");
    assert!(loud > 0 && harmless > 0, "both ends were seen");
}

/// What it wrote once all that it has is settled, or the line with which it ended.
async fn outcome(wreck: &Wreck) -> Result<String, String> {
    let mut process = wreck.site.launch().start().unwrap();
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        if !process.is_running() {
            let line = process.line("outrigger: ").await;
            assert!(!process.wait().await.success());
            return Err(line);
        }
        let metrics = outrigger_testkit::process::get(wreck.site.admin, "/metrics").await;
        let settled = |text: &str| text.lines().any(|line| line == "outrigger_journal_pending_events 0");
        if metrics.is_ok_and(|(_, text)| settled(&text)) {
            process.kill().await;
            return Ok(process.log());
        }
        assert!(Instant::now() < deadline, "neither settled nor ended:\n{}", process.log());
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_journal_of_a_newer_version_is_refused_with_what_to_do() {
    let wreck = Wreck::stopped().await;
    let database = File::options().write(true).open(wreck.file("")).unwrap();
    database.write_all_at(&99_u32.to_be_bytes(), USER_VERSION_AT).unwrap();
    let line = wreck.refuses().await;
    assert!(line.contains("schema version 99") && line.contains("run the newer"), "{line}");
}

#[tokio::test]
async fn a_second_process_on_the_same_journal_is_refused_and_the_first_goes_on() {
    let function = Function::start(Program::default());
    let first = Site::of(&function);
    let mut process = first.start().await;
    let path = first.path(".outrigger/journal.db");
    let second = Site::of(&function).set("journal.path", path.to_str().unwrap());
    fs::write(second.path("outrigger.yaml"), second.yaml()).unwrap();
    let said = second.verb(&["run"]).await;
    let line = said.one_line(2);
    let pid = process.pid().as_raw_nonzero().to_string();
    assert!(line.contains("holds the journal") && line.contains(&pid) && line.contains("stop it"), "{line}");
    let event = Outgoing::new("1", None);
    assert_eq!(first.producer().send(&event, Mode::Binary).await.unwrap().status(), 202);
    function.wait_for(|stats| stats.ended == 1).await;
    assert!(process.stop().await.success());
}
