//! Callers who wait for the outcome.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_caller_who_waits_gets_one_attempt_and_no_dead_letter() {
    let bench = Bench::new(|_| (), |_, _| (MS, status(500)));
    let delivery = Delivery { once: Some(now() + Duration::from_secs(1)), ..bench.delivery("a", None) };
    bench.target.push(delivery);
    bench.settled(1).await;
    assert_eq!(bench.log(), ["call a", "reject a exhausted (status 500)"]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_whose_time_is_over_or_who_left_costs_no_call() {
    let bench = Bench::new(|settings| settings.concurrency = 1, |_, _| (Duration::from_secs(3), ok()));
    bench.push("first", None);
    let late = Delivery { once: Some(now() + Duration::from_secs(1)), ..bench.delivery("late", None) };
    bench.target.push(late);
    lock(&bench.book.unwanted).push(2);
    let left = Delivery { once: Some(now() + Duration::from_mins(1)), ..bench.delivery("left", None) };
    bench.target.push(left);
    bench.settled(3).await;
    let log = bench.log();
    assert_eq!((log[0].as_str(), log[1].as_str()), ("call first", "ack first"));
    assert!(log[2].starts_with("reject late timed-out"), "{log:?}");
    assert_eq!(log[3], "release left");
}

#[tokio::test(start_paused = true)]
async fn a_caller_is_refused_at_once_while_the_breaker_is_open() {
    let bench = Bench::new(|settings| settings.breaker.failures = 1, |_, _| (MS, unreachable()));
    bench.push("a", None);
    tokio::time::sleep(100 * MS).await;
    let once = Delivery { once: Some(now() + Duration::from_mins(1)), ..bench.delivery("b", None) };
    bench.target.push(once);
    assert!(bench.log().last().unwrap().starts_with("reject b unavailable"), "{:?}", bench.log());
}
