//! Events that are given up: parked, or buried.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_parked_event_holds_its_key_until_the_owner_lets_it_go() {
    let park = |settings: &mut Settings| settings.on_poison = OnPoison::Park;
    let bench = Bench::new(park, |id, nth| (MS, if id == "a1" && nth < 5 { status(500) } else { ok() }));
    bench.push("a1", Some("a"));
    bench.push("a2", Some("a"));
    bench.push("b1", Some("b"));
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(bench.target.parked(), [("a1".into(), "a".into(), 3, 1)]);
    assert_eq!(bench.target.unpark(Some("other"), OnPoison::Park), 0);
    assert_eq!(bench.target.unpark(Some("a1"), OnPoison::Park), 1);
    bench.settled(3).await;
    assert_eq!(bench.log()[bench.log().len() - 2..], ["call a2", "ack a2"]);
}

#[tokio::test(start_paused = true)]
async fn a_parked_event_that_is_skipped_becomes_a_dead_letter() {
    let park = |settings: &mut Settings| settings.on_poison = OnPoison::Park;
    let bench = Bench::new(park, |id, _| (MS, if id == "a1" { status(400) } else { ok() }));
    bench.push("a1", Some("a"));
    bench.push("a2", Some("a"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.target.unpark(None, OnPoison::Skip), 1);
    bench.settled(2).await;
    assert_eq!(bench.log()[1..], ["dead a1 refused after 1", "ack a1", "call a2", "ack a2"]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_is_written_in_an_outage_does_not_keep_the_breakers_probe() {
    let started = tokio::time::Instant::now();
    let is_back = move || started.elapsed() > Duration::from_mins(1);
    let bench = Bench::new(
        |settings| (settings.on_poison, settings.breaker.failures) = (OnPoison::Park, 1),
        move |id, _| match id {
            "a" => (MS, status(400)),
            _ => (MS, if is_back() { ok() } else { unreachable() }),
        },
    );
    *lock(&bench.book.dead_is_down) = 1;
    bench.push("a", Some("a"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.push("b", Some("b"));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(bench.target.unpark(None, OnPoison::Skip), 1);
    tokio::time::timeout(Duration::from_hours(1), bench.settled(2))
        .await
        .expect("calls go on after the outage");
    assert_eq!(bench.log().last().unwrap(), "ack b");
}

#[tokio::test(start_paused = true)]
async fn a_malformed_delivery_is_buried_without_a_call() {
    let bench = Bench::new(|_| (), |_, _| (MS, ok()));
    let malformed = Malformed { raw: "x".into(), headers: Vec::new(), key: None, why: "no id".into() };
    bench.target.push(Delivery { item: Err(malformed), ..bench.delivery("m", None) });
    bench.settled(1).await;
    assert_eq!(bench.log(), ["dead malformed malformed after 0", "ack m"]);
}

/// A source that counts each time it hands an event out, also where that came back untried.
struct Counting(Arc<Book>);

impl Settler for Counting {
    fn settle(&self, token: u64, settlement: Settlement) {
        self.0.settle(token, settlement);
    }

    fn counts_deliveries(&self) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_was_often_handed_out_survives_one_failure_and_not_two() {
    let bench = Bench::new(|_| (), |id, nth| (MS, if id == "a" && nth == 2 { ok() } else { status(500) }));
    for id in ["a", "b"] {
        let delivery = bench.delivery(id, None);
        let token = lock(&bench.book.ids).len() as u64 - 1;
        let receipt = Receipt::new(Arc::new(Counting(bench.book.clone())), token);
        bench.target.push(Delivery { attempts: 40, receipt, ..delivery });
        bench.settled(usize::try_from(token).unwrap() + 1).await;
        tokio::time::sleep(Duration::from_hours(1)).await;
    }
    // Settling the deliveries whose receipts were replaced released them at once.
    let ends: Vec<_> = bench.log().into_iter().filter(|line| !line.starts_with("release")).collect();
    assert_eq!(ends, ["call a", "call a", "ack a", "call b", "call b", "dead b exhausted after 3", "ack b"]);
}
