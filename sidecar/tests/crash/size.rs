//! A journal with much in it: it is delivered in order after a kill, and it is never all in memory.

use crate::rig::Rig;
use outrigger_testkit::{Outgoing, process::WAIT_MAX};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const EVENTS: usize = 20_000;
const KEYS: usize = 200;
const BATCH: usize = 200;
/// All of them are 40 MB.
const DATA_BYTES: usize = 2_000;
/// The window of admitted events, with what they cost beside their data, and pages that were read ahead.
const RESIDENT_BYTES_MAX: u64 = 16 << 20;

#[tokio::test]
async fn twenty_thousand_events_survive_a_kill_and_come_in_order_through_little_memory() {
    let mut rig = Rig::new("twenty thousand pending");
    rig.hold();
    let mut process = rig.site.start().await;
    let idle_bytes = process.resident_bytes().unwrap();
    let events: Vec<_> = (0..EVENTS)
        .map(|n| Outgoing::new(&format!("s{n}"), Some(&format!("s{}", n % KEYS))))
        .map(|event| event.with_data("application/octet-stream", vec![0xFF; DATA_BYTES]))
        .collect();
    for batch in events.chunks(BATCH) {
        for event in batch {
            rig.oracle.sending(event);
        }
        assert_eq!(rig.producer.send_batch(batch).await.unwrap().status(), 202);
        for event in batch {
            rig.oracle.acknowledged(&event.id);
        }
    }
    process.kill().await;
    rig.buried().await;

    rig.let_go();
    let mut process = rig.site.start().await;
    let mut most_bytes = 0;
    let deadline = Instant::now() + 4 * WAIT_MAX;
    while rig.site.metric("outrigger_journal_pending_events").await > 0.0 {
        most_bytes = most_bytes.max(process.resident_bytes().unwrap());
        assert!(Instant::now() < deadline, "{:?}", rig.function.stats());
        sleep(Duration::from_millis(20)).await;
    }
    rig.pass(1).await;
    rig.allow(0);
    rig.report();
    rig.say(&format!("resident {} KiB idle, {} KiB at most", idle_bytes >> 10, most_bytes >> 10));
    assert!(most_bytes < idle_bytes + RESIDENT_BYTES_MAX);
    process.kill().await;
}
