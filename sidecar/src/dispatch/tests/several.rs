//! One of several targets: what it has is not sent it again, and what it has no room for waits in its order elsewhere.

use super::*;
use crate::dispatch::{Copy, Overflow, Spill};
use outrigger_core::{Admit, Intake, Ledger, Mark, Source as _, decide::window::Window, drain};
use std::collections::{BTreeMap, HashSet};

/// Marks in memory; each write fails as often as it is told to.
#[derive(Default)]
struct Marks {
    marks: Mutex<HashSet<Mark>>,
    failures: Mutex<u32>,
}

impl Ledger for Marks {
    fn ask<'a>(&'a self, mark: &'a Mark) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move { Ok(lock(&self.marks).contains(mark)) })
    }

    fn mark<'a>(&'a self, mark: &'a Mark) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let mut failures = lock(&self.failures);
            if *failures > 0 {
                *failures -= 1;
                return Err(Error::new(Kind::Full, "no space"));
            }
            lock(&self.marks).insert(mark.clone());
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_goes_to_several_targets_is_marked_and_then_not_sent_again() {
    let marks = Arc::new(Marks::default());
    let bench = Bench::sharing(marks.clone(), |_, _| (MS, ok()));
    for round in 1..=2 {
        bench.target.push_shared(bench.delivery("shared", None));
        bench.push("alone", None);
        bench.settled(2 * round).await;
    }
    let calls = |id: &str| bench.log().iter().filter(|line| **line == format!("call {id}")).count();
    assert_eq!((calls("shared"), calls("alone")), (1, 2), "{:?}", bench.log());
    assert_eq!(lock(&marks.marks).len(), 1);
    bench.book.replays.store(true, Relaxed);
    bench.target.push_shared(bench.delivery("shared", None));
    bench.settled(5).await;
    assert_eq!(calls("shared"), 2, "a replay passes the marks by");
    assert!(bench.log().iter().all(|line| !line.starts_with("release")));
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_cannot_be_written_costs_a_repeat_and_never_the_event() {
    let marks = Arc::new(Marks { failures: Mutex::new(1), ..Marks::default() });
    let bench = Bench::sharing(marks, |_, _| (MS, ok()));
    for settled in 1..=3 {
        bench.target.push_shared(bench.delivery("a", None));
        bench.settled(settled).await;
    }
    assert_eq!(bench.log(), ["call a", "ack a", "call a", "ack a", "ack a"]);
}

/// Takes no more than there is room for, as a whole.
#[derive(Default)]
struct Narrow {
    rows: Mutex<BTreeMap<u64, Copy>>,
    last: Mutex<u64>,
}

impl Overflow for Narrow {
    fn keep(&self, _: &Arc<str>, copies: Vec<Copy>) -> BoxFuture<'_, Result<()>> {
        let (mut rows, mut last) = (lock(&self.rows), lock(&self.last));
        let fits = rows.len() + copies.len() <= 4;
        for copy in copies.into_iter().filter(|_| fits) {
            *last += 1;
            rows.insert(*last, copy);
        }
        let done = if fits { Ok(()) } else { Err(Error::new(Kind::Full, "no room")) };
        Box::pin(std::future::ready(done))
    }

    fn read(&self, _: &Arc<str>, after: u64) -> BoxFuture<'_, Result<Vec<(u64, Copy)>>> {
        let page = lock(&self.rows).range(after + 1..).map(|(seq, copy)| (*seq, copy.clone())).collect();
        Box::pin(std::future::ready(Ok(page)))
    }

    fn waiting(&self) -> BoxFuture<'_, Result<Vec<(String, u64)>>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn settled(&self, seq: u64) {
        lock(&self.rows).remove(&seq);
    }
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_takes_no_more_still_gives_and_what_fits_in_parts_is_written_in_parts() {
    let bench = Bench::new(|settings| settings.concurrency = 1, |_, _| (MS, ok()));
    let narrow = Arc::new(Narrow::default());
    let spill = Spill::new(bench.target.clone(), narrow.clone(), None, (2, 0));
    let (_trigger, draining) = drain::channel();
    let intake = Intake::new(Window::new(1, 1), Arc::new(Nowhere));
    for n in 0..30 {
        spill.push(bench.delivery(&n.to_string(), Some("k")), false); // more at once than will ever fit
    }
    let running = tokio::spawn(spill.clone().run(intake, draining));
    bench.settled(30).await;
    while !lock(&narrow.rows).is_empty() {
        tokio::time::sleep(MS).await; // the clock is paused: it only moves on
    }
    let log = bench.log();
    let calls: Vec<_> = log.iter().filter_map(|line| line.strip_prefix("call ")).collect();
    assert_eq!(calls, (0..30).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!((spill.waiting(), spill.trouble()), (0, None));
    running.abort();
}

/// What outlives a crash: the copies, by their numbers. Writing fails now and then.
struct Shelf {
    rows: Mutex<BTreeMap<u64, Copy>>,
    last: Mutex<u64>,
    dice: Mutex<Rng>,
}

impl Overflow for Shelf {
    fn keep(&self, _: &Arc<str>, copies: Vec<Copy>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let (fails, delay) = {
                let mut dice = lock(&self.dice);
                (dice.u8(..8) == 0, dice.u64(..5))
            };
            tokio::time::sleep(MS * u32::try_from(delay).unwrap()).await;
            if fails {
                return Err(Error::new(Kind::Full, "no space"));
            }
            for copy in copies {
                let mut last = lock(&self.last);
                *last += 1;
                lock(&self.rows).insert(*last, copy);
            }
            Ok(())
        })
    }

    fn read(&self, _: &Arc<str>, after: u64) -> BoxFuture<'_, Result<Vec<(u64, Copy)>>> {
        let rows = lock(&self.rows);
        let page = rows.range(after + 1..).take(3).map(|(seq, copy)| (*seq, copy.clone())).collect();
        Box::pin(std::future::ready(Ok(page)))
    }

    fn waiting(&self) -> BoxFuture<'_, Result<Vec<(String, u64)>>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn settled(&self, seq: u64) {
        lock(&self.rows).remove(&seq);
    }
}

/// One life of the process over the shelf: pushes what its source still owes, in order, and is cut off after a while.
async fn life(
    seed: u64,
    shelf: &Arc<Shelf>,
    owed: &mut Vec<String>,
    had: &Arc<Mutex<Vec<String>>>,
    is_last: bool,
) {
    let (mut dice, log) = (Rng::with_seed(seed), had.clone());
    let flaky = Mutex::new(dice.fork());
    let many = |settings: &mut Settings| {
        (settings.policy.attempts_max, settings.concurrency) = (10_000, 2);
        settings.policy.backoff.max = 20 * MS;
    };
    let bench = Bench::new(many, move |id, _| {
        let mut dice = lock(&flaky);
        let (fails, delay) = (dice.u8(..5) == 0, dice.u32(..10));
        if fails {
            return (MS * delay, unreachable());
        }
        lock(&log).push(id.to_owned());
        (MS * delay, ok())
    });
    let spill = Spill::new(bench.target.clone(), shelf.clone(), None, (2, 0));
    let (trigger, draining) = drain::channel();
    let intake = Intake::new(Window::new(1, 1), Arc::new(Nowhere));
    let running = tokio::spawn(spill.clone().run(intake, draining));
    for id in &*owed {
        spill.push(bench.delivery(id, id.split('-').next()), false);
        tokio::time::sleep(MS * dice.u32(..4)).await;
    }
    if is_last {
        bench.settled(owed.len()).await;
        while !lock(&shelf.rows).is_empty() {
            tokio::time::sleep(MS).await; // the clock is paused: it only moves on
        }
    }
    running.abort();
    let _ = running.await;
    bench.target.drain(now()).await;
    let log = bench.log();
    owed.retain(|id| !log.contains(&format!("ack {id}")));
    drop(trigger);
}

struct Nowhere;

impl Admit for Nowhere {
    fn admit(&self, _: Delivery) {}
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_or_is_cut_off_each_key_arrives_in_its_order() {
    for seed in 0..60 {
        let shelf = Arc::new(Shelf {
            rows: Mutex::default(),
            last: Mutex::default(),
            dice: Mutex::new(Rng::with_seed(seed)),
        });
        let had = Arc::<Mutex<Vec<String>>>::default();
        let all: Vec<String> = (0..24).map(|n| format!("{}-{n:02}", n % 3)).collect();
        let mut owed = all.clone();
        for n in 0..3 {
            life(seed * 10 + n, &shelf, &mut owed, &had, false).await;
        }
        life(seed * 10 + 3, &shelf, &mut owed, &had, true).await;
        assert!(owed.is_empty(), "seed {seed}: {owed:?}");
        for key in 0..3 {
            let mut first: Vec<String> = Vec::new();
            for id in lock(&had).iter().filter(|id| id.starts_with(&format!("{key}-"))) {
                if !first.contains(id) {
                    first.push(id.clone());
                }
            }
            let expected: Vec<_> =
                all.iter().filter(|id| id.starts_with(&format!("{key}-"))).cloned().collect();
            assert_eq!(first, expected, "seed {seed}, key {key}");
        }
    }
}
