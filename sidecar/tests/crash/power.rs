//! The power fails: what was written and not synced is gone. A kill keeps it, so only this tells whether the
//! fsync really comes before the answer.

use crate::rig::{OUT, Rig, SYNC, WRITE, kills};
use futures_util::future::join_all;
use outrigger_testkit::Outgoing;

#[tokio::test]
async fn power_fails_at_the_answer_and_the_event_is_on_disk() {
    let mut rig = Rig::new("power cut at the 202");
    for n in 0..kills() {
        let victim = rig.victim(n, &[&format!("cut:{OUT}:sock:INGRESS:1:/journal")]).await;
        rig.hold(); // nothing is settled before the cut
        let event = rig.event();
        assert_eq!(rig.send(&event).await, None);
        rig.dies(victim).await;
        rig.let_go();
        rig.recovers(0).await;
        let came = rig.records(&event.id).iter().filter(|record| record.status == Some(200)).count();
        assert_eq!(came, 1, "{} was synced before its answer", event.id);
    }
    rig.report();
}

#[tokio::test]
async fn power_fails_around_the_logs_sync_and_what_was_acknowledged_before_is_on_disk() {
    let mut rig = Rig::new("power cut at the log's sync");
    for n in 0..kills() {
        let (point, kept) = match n % 2 {
            0 => (format!("cut:{SYNC}:journal.db-wal:1:/journal"), 0),
            _ => (format!("cut:{WRITE}:journal.db.mark:1:/journal"), 1),
        };
        let victim = rig.victim(n, &[&point]).await;
        let event = rig.event();
        assert_eq!(rig.send(&event).await, None);
        rig.dies(victim).await;
        rig.recovers(0).await;
        assert_eq!(rig.records(&event.id).len(), kept, "{} by {point}", event.id);
    }
    rig.report();
}

#[tokio::test]
async fn power_fails_while_many_send_at_once_and_no_acknowledged_event_is_lost() {
    let mut rig = Rig::new("power cut, eight producers");
    for n in 0..kills() {
        let point = match n % 3 {
            0 => format!("cut:{OUT}:sock:INGRESS:{}:/journal", 1 + n % 20),
            1 => format!("cut:{SYNC}:journal.db-wal:{}:/journal", 1 + n % 8),
            _ => format!("cut:{WRITE}:journal.db-wal:{}:/journal", 1 + n * 5 % 40),
        };
        let victim = rig.victim(n, &[&point]).await;
        rig.hold();
        let rig_ref = &rig;
        join_all((0..8).map(|key| async move {
            for number in 0.. {
                let event = Outgoing::new(&format!("p{n}-{key}-{number}"), Some(&format!("p{key}")));
                if rig_ref.send(&event).await.is_none() {
                    return;
                }
            }
        }))
        .await;
        rig.dies(victim).await;
        rig.let_go();
        rig.recovers(0).await;
    }
    rig.report();
}

#[tokio::test]
async fn power_fails_in_a_checkpoint_and_what_waited_comes_in_order() {
    let mut rig = Rig::with("power cut in a checkpoint", |site| site.set("drain.deadline", "5ms"));
    for n in 0..kills() {
        let point = match n % 4 {
            0 => format!("cut:{WRITE}:journal.db$:{}:/journal", 1 + n % 4),
            1 => format!("cut:{SYNC}:journal.db$:1:/journal"),
            2 => "cut:ftruncate:journal.db-wal:1:/journal".to_owned(),
            _ => format!("cut:{SYNC}:journal.db.mark:1:/journal"),
        };
        let victim = rig.victim(n, &[&point]).await;
        rig.hold();
        for _ in 0..4 {
            let event = rig.event().with_data("text/plain", vec![b'x'; 4_000]);
            assert_eq!(rig.send(&event).await, Some(202));
        }
        rig.function.wait_for(|stats| stats.held > 0).await;
        victim.process.terminate();
        rig.dies(victim).await;
        rig.let_go();
        rig.recovers(0).await;
    }
    rig.report();
}
