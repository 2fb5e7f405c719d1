//! Killed at any moment of a full flow. What repeats is what was in flight and what was settled since the last
//! commit.

use crate::rig::{Rig, kills};
use futures_util::future::{join, join_all};
use outrigger_testkit::Outgoing;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::Notify;

const PRODUCERS: usize = 16;
/// `function.concurrency`: the most that can be in flight.
const CALLS: usize = 8;

#[tokio::test]
async fn killed_under_load_nothing_is_lost_and_what_was_in_flight_repeats() {
    let calls = CALLS.to_string();
    let mut rig = Rig::with("under load", |site| {
        site.set("journal.commit_every", "100ms").set("function.concurrency", &calls)
    });
    for n in 0..kills() / 5 {
        let mut process = rig.site.start().await;
        let load = Load {
            rig: &rig,
            acknowledged: AtomicUsize::new(0),
            settled: AtomicU64::new(0),
            full: Notify::new(),
        };
        let flow = join_all((0..PRODUCERS).map(|key| load.produce(n, key)));
        let end = async {
            load.full.notified().await;
            process.kill().await
        };
        join(flow, end).await;
        let settled = load.settled.into_inner();
        rig.buried().await;
        let since = rig.function.stats().ended - settled;
        rig.recovers(CALLS + usize::try_from(since).unwrap()).await;
    }
    rig.report();
}

/// What producers share during one life.
struct Load<'a> {
    rig: &'a Rig,
    acknowledged: AtomicUsize,
    /// How many calls had ended when the latest acknowledged event was sent. Its commit took along all of them
    /// that Outrigger had heard of: all but those in flight. So this needs no clock.
    settled: AtomicU64,
    full: Notify,
}

impl Load<'_> {
    /// Sends events of one key, one after the other, until the process is gone.
    async fn produce(&self, life: usize, key: usize) {
        for number in 0.. {
            let event = Outgoing::new(&format!("l{life}-{key}-{number}"), Some(&format!("l{key}")));
            let settled = self.rig.function.stats().ended;
            if self.rig.send(&event).await.is_none() {
                return;
            }
            self.settled.fetch_max(settled, Ordering::Relaxed);
            if self.acknowledged.fetch_add(1, Ordering::Relaxed) == 200 + life * 37 % 300 {
                self.full.notify_one();
            }
        }
    }
}
