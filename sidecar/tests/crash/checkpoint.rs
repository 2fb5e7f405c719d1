//! Row 7: killed while the log is copied into the database. The prefix stays intact, whatever was copied.

use crate::rig::{Rig, SYNC, WRITE, kills};

/// Kills of one journal and one function.
const SERIES: usize = 50;

/// The point of the `n`-th kill. The database is written page by page, then synced; the log is cut after that.
fn point(n: usize) -> String {
    match n % 6 {
        0 => format!("kill:{WRITE}:journal.db$:{}", 1 + n % 5),
        1 => format!("kill-half:{WRITE}:journal.db$:{}", 1 + n % 5),
        2 => format!("kill:{SYNC}:journal.db$:1"),
        3 => format!("kill-after:{SYNC}:journal.db$:1"),
        4 => "kill:ftruncate:journal.db-wal:1".to_owned(),
        _ => format!("kill:{SYNC}:journal.db.mark:1"),
    }
}

#[tokio::test]
async fn row_7_killed_in_the_last_checkpoint_what_waited_comes_in_order() {
    let mut rig = Rig::with("in the checkpoint at the end", |site| site.set("drain.deadline", "5ms"));
    for n in 0..kills() {
        let victim = rig.victim(n, &[&point(n)]).await;
        rig.hold();
        for _ in 0..6 {
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

#[tokio::test]
async fn row_7_killed_in_a_checkpoint_while_events_come_in_all_that_were_acknowledged_come_in_order() {
    // The function remembers so much and no more; so each series has one of its own.
    for _ in 0..kills() / SERIES {
        let mut rig = Rig::new("in a checkpoint while events come in");
        for n in 0..SERIES {
            killed_while_events_come_in(&mut rig, n).await;
        }
        rig.report();
    }
}

async fn killed_while_events_come_in(rig: &mut Rig, n: usize) {
    // The first checkpoint is due when the log has grown to 4 MiB; it writes hundreds of pages.
    let page = 1 + n * 7 % 300;
    let point = match n % 3 {
        0 => format!("kill:{WRITE}:journal.db$:{page}"),
        1 => format!("kill-half:{WRITE}:journal.db$:{page}"),
        _ => format!("kill:{SYNC}:journal.db$:1"),
    };
    let victim = rig.victim(n, &[&point]).await;
    rig.hold();
    let mut events = 0;
    loop {
        let event = rig.event().with_data("text/plain", vec![b'x'; 30_000]);
        if rig.send(&event).await != Some(202) {
            break;
        }
        events += 1;
        assert!(events < 1_000, "no checkpoint came by {point}");
    }
    rig.dies(victim).await;
    rig.let_go();
    rig.recovers(0).await;
}
