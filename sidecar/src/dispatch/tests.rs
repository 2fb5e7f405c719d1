//! A target at work under paused time, with a scripted function and a source that writes down what it is told.

use super::*;
use crate::telemetry::Metrics;
use outrigger_core::{
    BoxFuture, CallCx, DeadLetter, Error, Event, Key, Kind, Malformed, Origin, Position, Receipt, Reply,
    Result, Settler, Timeline,
    decide::{
        backoff::Backoff,
        breaker,
        step::Policy,
        verdict::{Statuses, Verdict},
    },
};
use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

mod callers;
mod hunger;
mod live;
mod poison;
mod replies;
mod several;

type Script = Box<dyn Fn(&str, u32) -> (Duration, Result<Reply>) + Send + Sync>;

/// The function: what it answers to the n-th call with an event, after how long.
struct Scripted {
    script: Script,
    calls: Mutex<HashMap<String, u32>>,
    log: Arc<Mutex<Vec<String>>>,
    /// Calls at this moment, and the most that there were.
    at_once: Arc<Mutex<(u32, u32)>>,
}

impl Call for Scripted {
    fn call<'a>(&'a self, events: &'a [Event], _cx: &'a CallCx) -> BoxFuture<'a, Result<Vec<Reply>>> {
        Box::pin(async move {
            let id = events[0].id().to_owned();
            let nth = *lock(&self.calls).entry(id.clone()).and_modify(|n| *n += 1).or_insert(1);
            lock(&self.log).push(format!("call {id}"));
            let (delay, answer) = (self.script)(&id, nth);
            {
                let mut at_once = lock(&self.at_once);
                at_once.0 += 1;
                at_once.1 = at_once.1.max(at_once.0);
            }
            tokio::time::sleep(delay).await;
            lock(&self.at_once).0 -= 1;
            answer.map(|reply| vec![reply])
        })
    }
}

/// Source and home of dead letters in one.
struct Book {
    log: Arc<Mutex<Vec<String>>>,
    ids: Mutex<Vec<String>>,
    dead_is_down: Mutex<u32>,
    attempts: Mutex<HashMap<u64, u32>>,
    settled: Notify,
    unwanted: Mutex<Vec<u64>>,
    replays: AtomicBool,
}

impl Settler for Book {
    fn settle(&self, token: u64, settlement: Settlement) {
        let id = lock(&self.ids)[usize::try_from(token).unwrap()].clone();
        lock(&self.log).push(match settlement {
            Settlement::Ack(_) => format!("ack {id}"),
            Settlement::Release { .. } => format!("release {id}"),
            Settlement::Reject(reason) => format!("reject {id} {reason}"),
        });
        self.settled.notify_one();
    }

    fn wanted(&self, token: u64) -> bool {
        !lock(&self.unwanted).contains(&token)
    }

    fn is_replay(&self) -> bool {
        self.replays.load(Relaxed)
    }

    fn attempted(&self, token: u64, attempts: u32) {
        lock(&self.attempts).insert(token, attempts);
    }
}

impl DeadLetters for Book {
    fn put<'a>(&'a self, letter: &'a DeadLetter) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let mut down = lock(&self.dead_is_down);
            if *down > 0 {
                *down -= 1;
                return Err(Error::new(Kind::Full, "no space"));
            }
            let id = letter.item.as_ref().map_or("malformed", Event::id);
            lock(&self.log).push(format!("dead {id} {} after {}", letter.reason.code, letter.attempts));
            Ok(())
        })
    }
}

struct Bench {
    target: Arc<Target>,
    book: Arc<Book>,
    log: Arc<Mutex<Vec<String>>>,
    at_once: Arc<Mutex<(u32, u32)>>,
}

impl Bench {
    fn new(
        change: impl FnOnce(&mut Settings),
        script: impl Fn(&str, u32) -> (Duration, Result<Reply>) + Send + Sync + 'static,
    ) -> Self {
        Self::with_replies(change, script, None)
    }

    /// One of several targets, with marks.
    fn sharing(
        marks: Arc<dyn outrigger_core::Ledger>,
        script: impl Fn(&str, u32) -> (Duration, Result<Reply>) + Send + Sync + 'static,
    ) -> Self {
        Self::with(|_| (), script, None, Some(marks))
    }

    fn with_replies(
        change: impl FnOnce(&mut Settings),
        script: impl Fn(&str, u32) -> (Duration, Result<Reply>) + Send + Sync + 'static,
        replies: Option<Arc<dyn Sink>>,
    ) -> Self {
        Self::with(change, script, replies, None)
    }

    fn with(
        change: impl FnOnce(&mut Settings),
        script: impl Fn(&str, u32) -> (Duration, Result<Reply>) + Send + Sync + 'static,
        replies: Option<Arc<dyn Sink>>,
        shares: Option<Arc<dyn outrigger_core::Ledger>>,
    ) -> Self {
        let log = Arc::<Mutex<Vec<String>>>::default();
        let at_once = Arc::default();
        let book = Arc::new(Book {
            log: log.clone(),
            ids: Mutex::default(),
            dead_is_down: Mutex::new(0),
            attempts: Mutex::default(),
            settled: Notify::new(),
            unwanted: Mutex::default(),
            replays: AtomicBool::new(false),
        });
        let mut settings = Settings {
            policy: Policy {
                attempts_max: 3,
                deadline: Duration::from_mins(10),
                backoff: Backoff { initial: Duration::from_millis(200), max: Duration::from_secs(10) },
            },
            statuses: Statuses::default(),
            on_poison: OnPoison::Skip,
            concurrency: 8,
            per_second: None,
            hops_max: 16,
            retry_budget: (0.2, 10.0, 100.0),
            breaker: breaker::Settings {
                failures: 4,
                open: Duration::from_secs(1),
                open_max: Duration::from_secs(8),
            },
        };
        change(&mut settings);
        let parts = Parts {
            call: Arc::new(Scripted {
                script: Box::new(script),
                calls: Mutex::default(),
                log: log.clone(),
                at_once: Arc::clone(&at_once),
            }),
            dead: book.clone(),
            replies,
            ledger: None,
            is_one_of_several: shares.is_some(),
            shares,
            observers: Vec::new(),
            metrics: Arc::new(Metrics::new().unwrap()),
            rng: Rng::with_seed(7),
        };
        let target = Target::new(TargetId("function".into()), settings, parts);
        tokio::spawn(target.clone().keep_time());
        target.set_ready(true);
        Self { target, book, log, at_once }
    }

    fn delivery(&self, id: &str, key: Option<&str>) -> Delivery {
        let mut ids = lock(&self.book.ids);
        ids.push(id.to_owned());
        Delivery {
            item: Ok(Event::new(id, "/test", "t").unwrap()),
            key: key.map(|key| Key::new("test", key.as_bytes())),
            origin: Origin { source: "test".into(), position: Position::none(), headers: Vec::new() },
            received_ms: 0,
            attempts: 0,
            once: None,
            timeline: Timeline::off(),
            receipt: Receipt::new(self.book.clone(), ids.len() as u64 - 1),
        }
    }

    fn push(&self, id: &str, key: Option<&str>) {
        self.target.push(self.delivery(id, key));
    }

    async fn settled(&self, count: usize) {
        let is_end = |line: &&String| !line.starts_with("call") && !line.starts_with("dead");
        while lock(&self.log).iter().filter(is_end).count() < count {
            self.book.settled.notified().await;
        }
    }

    fn log(&self) -> Vec<String> {
        lock(&self.log).clone()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it stands beside failures in scripts")]
fn ok() -> Result<Reply> {
    Ok(Reply { status: 200, ..Reply::default() })
}

fn status(status: u16) -> Result<Reply> {
    Err(Error::status(status, None, ""))
}

fn unreachable() -> Result<Reply> {
    Err(Error::new(Kind::Unreachable, "connection refused"))
}

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_key_keeps_its_order_while_its_first_event_backs_off_and_others_pass() {
    let bench = Bench::new(|_| (), |id, nth| (MS, if id == "a1" && nth < 3 { status(500) } else { ok() }));
    for (id, key) in [("a1", "a"), ("a2", "a"), ("b1", "b")] {
        bench.push(id, Some(key));
    }
    bench.settled(3).await;
    let log = bench.log();
    let acks: Vec<_> = log.iter().filter(|line| line.starts_with("ack")).collect();
    assert_eq!(acks, ["ack b1", "ack a1", "ack a2"], "{log:?}");
    assert_eq!(log.iter().filter(|line| *line == "call a1").count(), 3);
}

#[tokio::test(start_paused = true)]
async fn row_19_a_poisoned_event_is_buried_after_its_attempts_before_it_is_acknowledged() {
    let bench = Bench::new(|_| (), |id, _| (MS, if id == "a1" { status(500) } else { ok() }));
    bench.push("a1", Some("a"));
    bench.push("a2", Some("a"));
    bench.settled(2).await;
    let calls = ["call a1", "call a1", "call a1"].map(String::from);
    let rest = ["dead a1 exhausted after 3", "ack a1", "call a2", "ack a2"].map(String::from);
    assert_eq!(bench.log(), [&calls[..], &rest[..]].concat());
}

#[tokio::test(start_paused = true)]
async fn row_14_a_refusal_is_buried_at_once() {
    let bench = Bench::new(|_| (), |_, _| (MS, status(422)));
    bench.push("a", None);
    bench.settled(1).await;
    assert_eq!(bench.log(), ["call a", "dead a refused after 1", "ack a"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_written_into_a_request_is_buried_without_retries() {
    let bench = Bench::new(|_| (), |_, _| (MS, Err(Error::new(Kind::Invalid, "no header can carry it"))));
    bench.push("a", None);
    bench.settled(1).await;
    assert_eq!(bench.log(), ["call a", "dead a refused after 1", "ack a"]);
}

#[tokio::test(start_paused = true)]
async fn row_20_an_event_whose_dead_letter_cannot_be_written_is_kept_until_it_can() {
    let bench = Bench::new(|_| (), |_, _| (MS, status(400)));
    *lock(&bench.book.dead_is_down) = 3;
    bench.push("a", None);
    bench.settled(1).await;
    assert_eq!(
        bench.log(),
        ["call a", "dead a refused after 1", "ack a"],
        "the function is not called again"
    );
    assert_eq!(*lock(&bench.book.dead_is_down), 0);
}

#[tokio::test(start_paused = true)]
async fn an_outage_buries_nothing_and_everything_is_delivered_after_it() {
    let started = tokio::time::Instant::now();
    let back = Duration::from_hours(2);
    let answer = move |_: &str, _| (MS, if started.elapsed() < back { unreachable() } else { ok() });
    let bench = Bench::new(|settings| settings.policy.deadline = Duration::from_mins(1), answer);
    for i in 0..20 {
        bench.push(&format!("e{i}"), Some(&format!("k{}", i % 5)));
    }
    bench.settled(20).await;
    let log = bench.log();
    assert!(log.iter().all(|line| !line.starts_with("dead")), "{log:?}");
    let calls = log.iter().filter(|line| line.starts_with("call")).count();
    assert!(calls < 20 + 4 + 1_000, "the breaker spares the function: {calls} calls in two hours");
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_503_gives_no_event_up_either_once_the_breaker_is_open() {
    let started = tokio::time::Instant::now();
    let answer =
        move |_: &str, _| (MS, if started.elapsed() < Duration::from_hours(1) { status(503) } else { ok() });
    let bench = Bench::new(|settings| settings.breaker.failures = 2, answer);
    for i in 0..4 {
        bench.push(&format!("e{i}"), None);
    }
    bench.settled(4).await;
    assert!(bench.log().iter().all(|line| !line.starts_with("dead")), "{:?}", bench.log());
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_run_at_once_than_configured() {
    let bench = Bench::new(|settings| settings.concurrency = 3, |_, _| (10 * MS, ok()));
    for i in 0..12 {
        bench.push(&format!("e{i}"), None);
    }
    bench.settled(12).await;
    assert_eq!(*lock(&bench.at_once), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn calls_keep_to_their_rate() {
    let started = tokio::time::Instant::now();
    let bench = Bench::new(|settings| settings.per_second = Some(10.0), |_, _| (Duration::ZERO, ok()));
    for i in 0..31 {
        bench.push(&format!("e{i}"), None);
    }
    bench.settled(31).await;
    let took = started.elapsed();
    assert!((2_900..3_100).contains(&took.as_millis()), "{took:?} for 31 calls at 10 per second");
}

#[tokio::test(start_paused = true)]
async fn row_8_a_drain_finishes_what_it_can_and_releases_the_rest_without_counting_an_attempt() {
    let bench = Bench::new(
        |settings| settings.concurrency = 2,
        |id, _| (if id == "slow" { Duration::from_mins(5) } else { MS }, ok()),
    );
    bench.push("slow", Some("a"));
    bench.push("behind", Some("a"));
    bench.push("quick", None);
    bench.settled(1).await;
    assert_eq!(lock(&bench.book.attempts)[&0], 1, "an attempt that runs is noted");
    let released = bench.target.drain(now() + Duration::from_secs(5)).await;
    let mut log = bench.log();
    log.sort();
    assert_eq!((released, lock(&bench.book.attempts)[&0]), (2, 0));
    assert_eq!(log, ["ack quick", "call quick", "call slow", "release behind", "release slow"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_called_before_the_function_is_ready() {
    let bench = Bench::new(|_| (), |_, _| (MS, ok()));
    bench.target.set_ready(false);
    bench.push("a", None);
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(bench.log().is_empty());
    bench.target.set_ready(true);
    bench.settled(1).await;
    assert_eq!(bench.log(), ["call a", "ack a"]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_panics_releases_its_event_and_the_key_goes_on() {
    let bench = Bench::new(
        |settings| settings.concurrency = 1,
        |id, _| {
            assert!(id != "a1", "planted");
            (MS, ok())
        },
    );
    bench.push("a1", Some("a"));
    bench.push("a2", Some("a"));
    bench.settled(2).await;
    assert_eq!(bench.log(), ["call a1", "release a1", "call a2", "ack a2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_comes_as_the_last_worker_leaves_is_not_left_lying() {
    let bench = Bench::new(|settings| settings.concurrency = 1, |_, _| (Duration::ZERO, ok()));
    for n in 1..=3_000 {
        bench.push(&n.to_string(), None);
        let settled = tokio::time::timeout(Duration::from_secs(10), bench.settled(n));
        settled.await.expect("every event finds a worker");
        lock(&bench.log).retain(|line| line.starts_with("ack"));
    }
}
