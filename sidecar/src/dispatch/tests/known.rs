//! Deduplication: events of one name, at once and one after another.

use super::{
    several::{Nowhere, Shelf},
    *,
};
use outrigger_core::{
    Intake, Known, Ledger, Mark, OnAnother, Payload, Settlement, Source as _, decide::window::Window, drain,
};

/// Marks in memory, asked at once or only after a while.
struct Marks {
    kept: Mutex<HashMap<Mark, Option<Payload>>>,
    glances: bool,
    policy: OnAnother,
    fails: AtomicBool,
}

impl Marks {
    fn new(glances: bool, policy: OnAnother) -> Arc<Self> {
        Arc::new(Self { kept: Mutex::default(), glances, policy, fails: AtomicBool::new(false) })
    }

    fn known(&self, mark: &Mark, payload: Option<Payload>) -> Known {
        match lock(&self.kept).get(mark) {
            None => Known::New,
            Some(kept) if *kept == payload => Known::Same,
            Some(_) => Known::Another,
        }
    }
}

impl Ledger for Marks {
    fn ask<'a>(&'a self, mark: &'a Mark, payload: Option<Payload>) -> BoxFuture<'a, Result<Known>> {
        Box::pin(async move {
            tokio::time::sleep(MS).await;
            if self.fails.load(Relaxed) {
                return Err(Error::new(Kind::Unreachable, "planted"));
            }
            Ok(self.known(mark, payload))
        })
    }

    fn mark<'a>(&'a self, mark: &'a Mark, payload: Option<Payload>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            tokio::time::sleep(MS).await;
            lock(&self.kept).insert(mark.clone(), payload);
            Ok(())
        })
    }

    fn glance(&self, mark: &Mark, payload: Option<Payload>) -> Option<Known> {
        self.glances.then(|| self.known(mark, payload))
    }

    fn payload(&self, event: &Event) -> Option<Payload> {
        Some(Payload(event.data().map_or(0, |data| data.len() as u128)))
    }

    fn on_another(&self) -> OnAnother {
        self.policy
    }
}

fn bench(
    marks: &Arc<Marks>,
    change: impl FnOnce(&mut Settings),
    script: impl Fn(&str, u32) -> (Duration, Result<Reply>) + Send + Sync + 'static,
) -> Bench {
    Bench::with(change, script, None, (Some(marks.clone()), None))
}

impl Bench {
    fn with_data(&self, id: &str, key: Option<&str>, data: &'static [u8]) -> Delivery {
        let mut delivery = self.delivery(id, key);
        delivery.item = delivery.item.map(|event| event.with_data("text/plain", data.into()).unwrap());
        delivery
    }

    fn count(&self, line: &str) -> usize {
        self.log().iter().filter(|found| *found == line).count()
    }
}

#[tokio::test(start_paused = true)]
async fn row_25_a_hundred_of_one_name_at_once_make_one_call_and_use_one_permit() {
    for glances in [true, false] {
        let marks = Marks::new(glances, OnAnother::Deliver);
        let bench = bench(&marks, |settings| settings.per_second = Some(1.0), |_, _| (20 * MS, ok()));
        let started = tokio::time::Instant::now();
        for n in 0..100 {
            bench.push("a", (n % 3 > 0).then_some(["k1", "k2"][n % 2]));
        }
        bench.settled(100).await;
        assert_eq!((bench.count("call a"), bench.count("ack a")), (1, 100));
        assert_eq!(lock(&bench.at_once).1, 1);
        assert!(started.elapsed() < Duration::from_secs(1), "a second call would have waited for its rate");
        for _ in 0..10 {
            bench.push("a", None);
        }
        bench.settled(110).await;
        assert_eq!(bench.count("call a"), 1, "what is handled is settled without a call");
        assert!(started.elapsed() < Duration::from_secs(1));
        assert_eq!(bench.target.status().queued, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn callers_of_one_name_get_the_first_ones_reply_or_rejection() {
    let marks = Marks::new(true, OnAnother::Deliver);
    let answer = |id: &str, _| {
        let reply = Ok(Reply { status: 201, body: "made".into(), ..Reply::default() });
        (20 * MS, if id == "good" { reply } else { status(500) })
    };
    let bench = bench(&marks, |_| (), answer);
    for id in ["good", "bad"] {
        let (receipts, outcome) = Receipt::batch(3);
        for receipt in receipts {
            let once = Some(now() + Duration::from_mins(1));
            bench.target.push(Delivery { once, receipt, ..bench.delivery(id, None) });
        }
        for settlement in outcome.await {
            match settlement {
                Settlement::Ack(Some(reply)) => {
                    assert_eq!((id, reply.status, &*reply.body), ("good", 201, &b"made"[..]));
                }
                Settlement::Reject(reason) => assert_eq!((id, reason.code), ("bad", Code::Exhausted)),
                other => panic!("{id}: {other:?}"),
            }
        }
        assert_eq!(bench.count(&format!("call {id}")), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_whose_time_was_too_short_does_not_decide_for_the_others() {
    let marks = Marks::new(true, OnAnother::Deliver);
    let bench = bench(&marks, |settings| settings.concurrency = 1, |_, _| (Duration::from_secs(3), ok()));
    bench.push("before", None);
    for seconds in [1, 60] {
        let once = Some(now() + Duration::from_secs(seconds));
        bench.target.push(Delivery { once, ..bench.delivery("a", None) });
    }
    bench.settled(3).await;
    assert!(bench.log().iter().any(|line| line.starts_with("reject a timed-out")), "{:?}", bench.log());
    assert_eq!((bench.count("call a"), bench.count("ack a")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn where_the_first_becomes_a_dead_letter_the_others_are_settled_with_it_and_later_ones_are_tried() {
    let marks = Marks::new(true, OnAnother::Deliver);
    let bench = bench(&marks, |_| (), |_, _| (MS, status(422)));
    for key in [Some("k"), Some("k"), None, Some("l")] {
        bench.push("a", key);
    }
    bench.settled(4).await;
    assert_eq!(
        (bench.count("call a"), bench.count("dead a refused after 1"), bench.count("ack a")),
        (1, 1, 4)
    );
    bench.push("a", None);
    bench.settled(5).await;
    assert_eq!(bench.count("call a"), 2, "a dead letter leaves no mark");
}

#[tokio::test(start_paused = true)]
async fn where_the_first_is_given_back_the_next_one_is_tried_before_what_stands_behind_it() {
    let marks = Marks::new(true, OnAnother::Deliver);
    let first = AtomicBool::new(true);
    let bench = bench(
        &marks,
        |_| (),
        move |id, _| {
            assert!(id != "a" || !first.swap(false, Relaxed), "planted");
            (10 * MS, ok())
        },
    );
    bench.push("a", Some("k"));
    bench.push("a", Some("l"));
    bench.push("behind", Some("l"));
    bench.settled(3).await;
    assert_eq!(bench.log(), ["call a", "release a", "call a", "ack a", "call behind", "ack behind"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_passes_what_waits_for_another_of_its_name_and_a_retry_makes_both_wait() {
    let marks = Marks::new(false, OnAnother::Deliver);
    let bench =
        bench(&marks, |_| (), |id, nth| (10 * MS, if id == "a" && nth < 3 { status(500) } else { ok() }));
    bench.push("a", Some("k"));
    bench.push("a", Some("l"));
    bench.push("behind", Some("l"));
    bench.settled(3).await;
    let log = bench.log();
    assert_eq!(bench.count("call a"), 3);
    let at = |line: &str| log.iter().position(|found| found == line).unwrap();
    assert!(at("call behind") > at("ack a"), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn row_26_another_payload_is_flagged_and_the_policy_decides() {
    let policies = [
        (OnAnother::Deliver, 2, "delivered", None),
        (OnAnother::Bury, 1, "rejected", Some("dead a conflict after 0")),
        (OnAnother::Drop, 1, "dropped", None),
    ];
    for (policy, calls, outcome, letter) in policies {
        for at_once in [true, false] {
            let marks = Marks::new(at_once, policy);
            let bench = bench(&marks, |_| (), |_, _| (20 * MS, ok()));
            bench.target.push(bench.with_data("a", None, b"one"));
            if !at_once {
                bench.settled(1).await;
            }
            bench.target.push(bench.with_data("a", None, b"other"));
            bench.settled(2).await;
            assert_eq!((bench.count("call a"), bench.count("ack a")), (calls, 2), "{policy:?} {at_once}");
            assert_eq!(letter.map(|line| bench.count(line)), letter.map(|_| 1));
            let counted = format!("outrigger_events_conflicting_total{{outcome=\"{outcome}\"}} 1");
            assert!(bench.metrics.render().contains(&counted), "{policy:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn marks_that_cannot_be_asked_cost_a_repeat_and_never_the_event() {
    let marks = Marks::new(false, OnAnother::Deliver);
    let bench = bench(&marks, |_| (), |_, _| (MS, ok()));
    marks.fails.store(true, Relaxed);
    for settled in 1..=2 {
        bench.push("a", None);
        bench.settled(settled).await;
    }
    assert_eq!((bench.count("call a"), bench.count("ack a")), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_replay_passes_the_marks_by() {
    let marks = Marks::new(true, OnAnother::Drop);
    let bench = bench(&marks, |_| (), |_, _| (MS, ok()));
    bench.push("a", None);
    bench.settled(1).await;
    bench.book.replays.store(true, Relaxed);
    bench.push("a", None);
    bench.settled(2).await;
    assert_eq!(bench.count("call a"), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_known_is_settled_while_the_breaker_is_open() {
    let marks = Marks::new(true, OnAnother::Deliver);
    let answer = |id: &str, _| (MS, if id == "known" { ok() } else { unreachable() });
    let bench = bench(&marks, |settings| settings.breaker.failures = 1, answer);
    bench.push("known", None);
    bench.settled(1).await;
    bench.push("down", None);
    tokio::time::sleep(100 * MS).await;
    bench.push("known", None);
    tokio::time::sleep(100 * MS).await;
    assert_eq!((bench.count("ack known"), bench.count("ack down")), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_drain_releases_the_one_that_runs_and_all_that_follow_it() {
    let marks = Marks::new(true, OnAnother::Deliver);
    let bench = bench(&marks, |_| (), |_, _| (Duration::from_mins(5), ok()));
    for _ in 0..5 {
        bench.push("a", None);
    }
    tokio::time::sleep(MS).await;
    assert_eq!(bench.target.status().queued, 4);
    assert_eq!(bench.target.drain(now() + Duration::from_secs(1)).await, 5);
    assert_eq!((bench.count("call a"), bench.count("release a")), (1, 5));
}

#[tokio::test(start_paused = true)]
async fn what_its_source_lost_does_not_hold_up_the_others_of_its_name() {
    let marks = Marks::new(true, OnAnother::Deliver);
    let bench = bench(&marks, |_| (), |_, nth| (MS, if nth == 1 { status(500) } else { ok() }));
    bench.push("a", None);
    bench.push("a", None);
    tokio::time::sleep(10 * MS).await; // the first backs off, the second follows
    lock(&bench.book.unwanted).push(0);
    bench.target.sweep();
    bench.settled(2).await;
    assert_eq!(bench.log(), ["call a", "release a", "call a", "ack a"]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_in_the_journal_for_a_slow_target_is_asked_once_as_it_is_written() {
    for glances in [true, false] {
        let marks = Marks::new(glances, OnAnother::Drop);
        let bench = bench(&marks, |_| (), |_, _| (MS, ok()));
        let spill = Spill::new(bench.target.clone(), Shelf::new(7), None, (4, 0));
        let (stop, draining) = drain::channel();
        let intake = Intake::new(Window::new(1, 1), Arc::new(Nowhere));
        let running = tokio::spawn(spill.clone().run(intake, draining));
        for _ in 0..3 {
            spill.push(bench.delivery("a", None), false);
        }
        bench.settled(3).await;
        spill.push(bench.delivery("a", None), false);
        spill.push(bench.with_data("a", None, b"other"), false);
        spill.push(bench.delivery("b", None), false);
        bench.settled(6).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!((bench.count("call a"), bench.count("call b")), (1, 1), "{:?}", bench.log());
        assert_eq!((bench.count("ack a"), bench.count("ack b"), spill.waiting()), (5, 1, 0));
        stop.start();
        running.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_the_name_of_a_parked_event_goes_its_own_way_and_is_seen() {
    let marks = Marks::new(false, OnAnother::Deliver);
    let park = |settings: &mut Settings| settings.on_poison = OnPoison::Park;
    let bench = bench(&marks, park, |id, _| (MS, if id == "a" { status(400) } else { ok() }));
    bench.push("a", Some("k"));
    for key in [None, Some("l"), None] {
        bench.push("a", key);
    }
    bench.push("b", Some("m"));
    bench.settled(3).await;
    assert_eq!((bench.count("dead a refused after 1"), bench.count("ack b")), (2, 1), "{:?}", bench.log());
    let parked = bench.target.parked();
    assert_eq!(parked.iter().map(|(_, key, ..)| key.as_str()).collect::<Vec<_>>(), ["k", "l"]);
    assert_eq!((bench.target.status().queued, bench.target.unpark(None, OnPoison::Skip)), (2, 2));
    bench.settled(5).await;
}

#[tokio::test(start_paused = true)]
async fn row_26_what_has_the_name_of_a_dead_letter_and_another_payload_is_not_dropped() {
    let marks = Marks::new(true, OnAnother::Drop);
    let bench = bench(&marks, |_| (), |_, nth| (20 * MS, if nth == 1 { status(400) } else { ok() }));
    bench.target.push(bench.with_data("a", None, b"one"));
    bench.target.push(bench.with_data("a", None, b"other"));
    bench.settled(2).await;
    assert_eq!((bench.count("dead a refused after 1"), bench.count("call a")), (1, 2), "{:?}", bench.log());
}
