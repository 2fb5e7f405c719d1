//! What a crash means for the attempts of an event. They are seen in a dead letter.

use crate::rig::{OUT, Rig, WRITE, kills};
use outrigger_function::{Action, Match, Program, Rule};

const COMMITS: &str = "outrigger_journal_commits";

fn refuse(id: &str, status: u16) -> Program {
    Program::default().rule(Rule::new(Match::id(id), Action::status(status)))
}

#[tokio::test]
async fn row_2_killed_after_the_fsync_and_before_the_202_the_event_is_recovered_once_with_no_attempts() {
    let mut rig = Rig::new("after the fsync, before the 202");
    for n in 0..kills() {
        // The mark is written after the fsync and before the answer.
        let (point, called_max) = match n % 2 {
            0 => (format!("kill:{WRITE}:journal.db.mark:1"), 0),
            // By then the call may have begun.
            _ => (format!("kill:{OUT}:sock:INGRESS:1"), 1),
        };
        let victim = rig.victim(n, &[&point]).await;
        let event = rig.event();
        assert_eq!(rig.send(&event).await, None);
        rig.dies(victim).await;
        let called = rig.records(&event.id).len();
        assert!(called <= called_max, "{} was called before {point}", event.id);
        rig.function.set_program(refuse(&event.id, 400));
        rig.recovers(called).await;
        assert_eq!(rig.records(&event.id).len(), called + 1, "{} is recovered once", event.id);
        let letters = rig.letters(&event.id).await;
        assert!(
            letters == [1] || (called == 1 && letters == [2]),
            "{called} called before, {letters:?} after"
        );
        rig.let_go();
    }
    rig.report();
}

#[tokio::test]
async fn row_3_killed_while_the_function_runs_long_the_attempt_was_counted() {
    let mut rig = Rig::with("while the function runs, the attempt on disk", |site| {
        site.set("delivery.attempts_max", "2").set("delivery.backoff.initial", "1ms")
    });
    for n in 0..kills() {
        if n % 4 == 0 {
            rig.wipe();
        }
        let mut process = rig.site.start().await;
        rig.pass(n % 3).await;
        let commits = rig.site.metric(COMMITS).await;
        rig.hold();
        let event = rig.event();
        assert_eq!(rig.send(&event).await, Some(202));
        rig.function.wait_for(|stats| stats.held == 1).await;
        // One commit keeps the event, the next one its attempt.
        rig.until_metric(COMMITS, |now| now >= commits + 2.0).await;
        process.kill().await;
        rig.buried().await;
        rig.function.set_program(refuse(&event.id, 503));
        rig.oracle.accounted(&event.id);
        rig.recovers(0).await;
        assert_eq!(rig.records(&event.id).len(), 2, "one attempt was left to {}", event.id);
        assert_eq!(rig.letters(&event.id).await, [2]);
        rig.let_go();
    }
    rig.report();
}
