//! When a target has enough, and when it wants more.

use super::*;
use futures_util::poll;

#[tokio::test(start_paused = true)]
async fn it_is_sated_by_twice_what_may_run_and_hungry_again_at_what_may_run() {
    let bench = Bench::new(|settings| settings.concurrency = 2, |_, _| (10 * MS, ok()));
    let target = &bench.target;
    for i in 0..3 {
        bench.push(&format!("e{i}"), None);
    }
    assert!(!target.is_sated());
    target.hungry().await; // at once: nobody was told that it is sated
    for i in 3..8 {
        bench.push(&format!("e{i}"), None);
    }
    bench.push("held up", Some("k"));
    bench.push("behind it", Some("k")); // not ready: its key runs one at a time
    assert!(target.is_sated());
    let hungry = target.hungry();
    tokio::pin!(hungry);
    bench.settled(4).await;
    assert!(poll!(hungry.as_mut()).is_pending(), "three are ready, and two more run");
    bench.settled(6).await;
    assert!(poll!(hungry).is_ready());
    bench.settled(10).await;
    assert!(!target.is_sated());
}
