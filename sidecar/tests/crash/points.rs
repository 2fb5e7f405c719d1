//! The points on an event's way, in its order.

use crate::{
    common::Site,
    rig::{IN, OUT, Rig, SYNC, WRITE, kills},
};

#[tokio::test]
async fn row_1_killed_after_receiving_and_before_the_insert_nothing_was_acknowledged() {
    let mut rig = Rig::new("before the insert");
    let received = format!("arm:{IN}:sock:INGRESS:1");
    for n in 0..kills() {
        // Every other time the insert is torn: half of a write is there.
        let insert = match n % 2 {
            0 => format!("kill:{WRITE}:journal.db-wal:1"),
            _ => format!("kill-half:{WRITE}:journal.db-wal:{}", 1 + n % 4),
        };
        let victim = rig.victim(n, &[&received, &insert]).await;
        let event = rig.event();
        assert_eq!(rig.send(&event).await, None);
        rig.dies(victim).await;
        rig.recovers(0).await;
        assert!(rig.records(&event.id).is_empty(), "{} was never stored, and came", event.id);
    }
    rig.report();
}

#[tokio::test]
async fn row_3_killed_when_the_request_was_sent_the_event_comes_again_with_its_id() {
    let mut rig = Rig::new("request sent");
    for n in 0..kills() {
        let victim = rig.victim(n, &[&format!("kill-after:{OUT}:sock:FUNCTION:1")]).await;
        let event = rig.event();
        let _ = rig.send(&event).await; // the kill may be faster than the answer
        rig.dies(victim).await;
        // A function that finds the connection closed may not look at the request any more.
        let before = rig.records(&event.id).len();
        rig.recovers(before).await;
        assert_eq!(rig.records(&event.id).len(), before + 1, "{} is owed once more", event.id);
    }
    rig.report();
}

#[tokio::test]
async fn row_4_killed_when_the_reply_was_read_the_event_comes_exactly_once_more() {
    let mut rig = Rig::new("reply read");
    for n in 0..kills() {
        let victim = rig.victim(n, &[&format!("kill-after:{IN}:sock:FUNCTION:1")]).await;
        let event = rig.event();
        let _ = rig.send(&event).await;
        rig.dies(victim).await;
        rig.recovers(1).await;
        assert_eq!(rig.records(&event.id).len(), 2, "the documented window is one duplicate");
    }
    rig.report();
}

#[tokio::test]
async fn row_4_killed_before_the_settlement_is_written_the_event_comes_at_most_once_more() {
    let mut rig = Rig::new("before the settlement");
    let replied = format!("arm:{IN}:sock:FUNCTION:1");
    for n in 0..kills() {
        let (settle, times) = match n % 3 {
            0 => (format!("kill:{WRITE}:journal.db-wal:1"), 2..=2),
            1 => (format!("kill-half:{WRITE}:journal.db-wal:2"), 2..=2),
            // Written but not synced: a kill keeps it, a power cut would not.
            _ => (format!("kill:{SYNC}:journal.db-wal:1"), 1..=2),
        };
        let victim = rig.victim(n, &[&replied, &settle]).await;
        let event = rig.event();
        let _ = rig.send(&event).await;
        rig.dies(victim).await;
        rig.recovers(1).await;
        let came = rig.records(&event.id).len();
        assert!(times.contains(&came), "{} came {came} times, by {settle}", event.id);
    }
    rig.report();
}

#[tokio::test]
async fn row_5_killed_after_the_mark_and_before_the_settlement_the_event_does_not_come_again() {
    // Nothing else is committed meanwhile, so that the first sync after the reply is the mark's.
    let settings = |site: Site| site.set("cache.dedup.window", "1h").set("journal.commit_every", "300ms");
    let mut rig = Rig::with("after the mark", settings);
    let replied = format!("arm:{IN}:sock:FUNCTION:1");
    for n in 0..kills() {
        let victim = rig.victim(n, &[&replied, &format!("kill-after:{SYNC}:journal.db-wal:1")]).await;
        let event = rig.event();
        let _ = rig.send(&event).await;
        rig.dies(victim).await;
        rig.recovers(0).await;
        assert_eq!(rig.records(&event.id).len(), 1, "{} was handled, and its mark is on disk", event.id);
    }
    rig.report();
}
