//! Row 6: killed in a dead-letter write. The letter is durable before the source's acknowledgement.

use crate::rig::{IN, Rig, SYNC, WRITE, kills};
use outrigger_function::{Action, Match, Program, Rule};
use std::ops::RangeInclusive;

/// The rules of the `n`-th kill, all after the refusal was read, and how many letters there may be at the end.
fn point(n: usize) -> (Vec<String>, RangeInclusive<usize>) {
    let rules = |rules: &[String]| {
        let refused = format!("arm:{IN}:sock:FUNCTION:1");
        [&[refused], rules].concat()
    };
    match n % 5 {
        0 => (rules(&[format!("kill:{WRITE}:journal.db-wal:1")]), 1..=1),
        1 => (rules(&[format!("kill-half:{WRITE}:journal.db-wal:2")]), 1..=1),
        // Written, not synced: a kill keeps it.
        2 => (rules(&[format!("kill:{SYNC}:journal.db-wal:1")]), 1..=2),
        // On disk, and nobody was told; unless that commit was the attempt's, which may come before.
        3 => (rules(&[format!("kill:{WRITE}:journal.db.mark:1")]), 1..=2),
        // Told, and the event is not settled; with the same exception.
        _ => {
            let told = format!("arm:{WRITE}:journal.db.mark:1");
            (rules(&[told, format!("kill:{WRITE}:journal.db-wal:1")]), 1..=2)
        }
    }
}

#[tokio::test]
async fn row_6_killed_in_a_dead_letter_write_the_letter_is_there_once_or_twice_and_never_not() {
    let mut rig = Rig::new("in a dead-letter write");
    let mut twice = 0;
    for n in 0..kills() {
        let (rules, expected) = point(n);
        let rules: Vec<_> = rules.iter().map(String::as_str).collect();
        let victim = rig.victim(n, &rules).await;
        let event = rig.event();
        let refused = Rule::new(Match::id(&event.id), Action::status(400));
        rig.function.set_program(Program::default().rule(refused));
        let _ = rig.send(&event).await;
        rig.oracle.accounted(&event.id);
        rig.dies(victim).await;
        rig.recovers(0).await;
        let letters = rig.letters(&event.id).await;
        assert!(expected.contains(&letters.len()), "{} letters by {rules:?}", letters.len());
        assert!(letters.iter().all(|attempts| (1..=2).contains(attempts)), "{letters:?}");
        assert_eq!(rig.records(&event.id).len(), 2, "it was not settled, so it came again");
        twice += letters.len() - 1;
    }
    rig.report();
    assert!(twice > 0, "the later points were never met");
    rig.say(&format!("{twice} dead letters are there twice"));
}
