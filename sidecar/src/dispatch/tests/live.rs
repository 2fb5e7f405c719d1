//! Settings that change while events are under way.

use super::*;

fn changed(bench: &Bench, change: impl FnOnce(&mut Settings)) {
    let mut settings = bench.target.state().settings.clone();
    change(&mut settings);
    bench.target.treat(settings);
}

#[tokio::test(start_paused = true)]
async fn more_calls_at_once_start_at_once_and_fewer_as_they_end() {
    let bench = Bench::new(|settings| settings.concurrency = 1, |_, _| (Duration::from_secs(10), ok()));
    for i in 0..8 {
        bench.push(&format!("e{i}"), None);
    }
    tokio::time::sleep(MS).await;
    assert_eq!(*lock(&bench.at_once), (1, 1));
    changed(&bench, |settings| settings.concurrency = 4);
    tokio::time::sleep(MS).await;
    assert_eq!(*lock(&bench.at_once), (4, 4), "they did not wait for the first to end");
    changed(&bench, |settings| settings.concurrency = 2);
    bench.settled(4).await;
    tokio::time::sleep(MS).await;
    assert_eq!(lock(&bench.at_once).0, 2);
    bench.settled(8).await;
    assert_eq!(*lock(&bench.at_once), (0, 4));
}

#[tokio::test(start_paused = true)]
async fn the_attempt_under_way_ends_by_the_new_limit() {
    let bench = Bench::new(|settings| settings.policy.attempts_max = 100, |_, _| (10 * MS, status(500)));
    bench.push("a", None);
    tokio::time::sleep(MS).await;
    changed(&bench, |settings| settings.policy.attempts_max = 1);
    bench.settled(1).await;
    assert_eq!(bench.log(), ["call a", "dead a exhausted after 1", "ack a"]);
}

#[tokio::test(start_paused = true)]
async fn a_status_a_rate_and_a_breaker_may_change_their_meaning() {
    let bench = Bench::new(|settings| settings.per_second = Some(0.01), |_, _| (MS, status(404)));
    bench.push("a", None);
    bench.push("b", None);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.log(), ["call a"], "the rate holds the next call back");
    let started = tokio::time::Instant::now();
    changed(&bench, |settings| {
        settings.per_second = None;
        settings.statuses.overrule(404, Verdict::Delivered);
    });
    bench.settled(2).await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert!(bench.log().iter().all(|line| !line.starts_with("dead")), "{:?}", bench.log());
}

#[tokio::test(start_paused = true)]
async fn requests_that_wait_for_a_place_get_those_that_are_new() {
    let bench = Bench::new(|settings| settings.concurrency = 1, |_, _| (MS, ok()));
    let patience = Patience { wait: Duration::from_secs(10), waiting_max: 8 };
    let first = bench.target.enter(&patience, now()).await.map_err(|error| error.to_string()).unwrap();
    let (target, started) = (bench.target.clone(), now());
    let second = tokio::spawn(async move { target.enter(&patience, started).await.is_ok() });
    tokio::time::sleep(MS).await;
    changed(&bench, |settings| settings.concurrency = 2);
    assert!(second.await.unwrap());
    assert!(now() - started < Duration::from_secs(1));
    drop(first);
}
