//! Row 20: no room for dead letters. The events are kept and pushed back, and go on once some letters are dropped.

use crate::common::Site;
use outrigger_function::{Action, Function, Program};
use outrigger_testkit::{Mode, Oracle, Outgoing, process::WAIT_MAX};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::{Instant, sleep};

const PENDING: &str = "outrigger_journal_pending_events";
const FAILURES: &str = "outrigger_dead_letter_failures_total";

#[tokio::test]
async fn row_20_events_that_find_no_room_among_the_dead_letters_are_kept_and_go_on_after_a_drop() {
    let function = Function::start(Program::always(Action::status(400)));
    let site = Site::of(&function).set("journal.dead_bytes_max", "1MiB").set("journal.bytes_max", "1MiB");
    let mut process = site.start().await;
    let (producer, oracle) = (site.producer(), Oracle::default());
    let mut accepted = BTreeSet::new();
    // The letters take one MiB, the queue behind them another; then the senders are told to wait.
    for n in 0.. {
        let event = Outgoing::new(&format!("e{n}"), Some(&format!("k{}", n % 3)));
        let event = event.with_data("application/octet-stream", vec![7; 60_000]);
        let answer = producer.send(&event, Mode::Binary).await.unwrap();
        if answer.status() == 503 {
            break;
        }
        assert_eq!(answer.status(), 202);
        oracle.sending(&event);
        oracle.acknowledged(&event.id);
        accepted.insert(event.id);
        assert!(n < 100, "nothing pushes back");
    }
    let deadline = Instant::now() + WAIT_MAX;
    while site.metric(FAILURES).await < 1.0 {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(5)).await;
    }
    let (kept, buried) = (site.metric(PENDING).await, site.letters().await.len());
    assert!(kept >= 10.0 && buried >= 10, "{kept} kept, {buried} buried");

    let mut letters = Vec::new();
    while site.metric(PENDING).await > 0.0 {
        assert!(Instant::now() < deadline, "{} letters", letters.len());
        for letter in site.letters().await {
            letters.push(letter["event_id"].as_str().unwrap().to_owned());
            let said = site.verb(&["dead", "drop", "--id", &letter["id"].to_string()]).await;
            assert_eq!(said.code, Some(0), "{said:?}");
        }
        sleep(Duration::from_millis(5)).await;
    }
    letters.extend(site.letters().await.iter().map(|letter| letter["event_id"].as_str().unwrap().to_owned()));
    assert_eq!(letters.len(), accepted.len(), "each is a dead letter once");
    assert_eq!(letters.into_iter().collect::<BTreeSet<_>>(), accepted);
    for id in &accepted {
        oracle.accounted(id);
    }

    function.set_program(Program::default());
    let fresh = Outgoing::new("fresh", Some("k0"));
    oracle.sending(&fresh);
    assert_eq!(producer.send(&fresh, Mode::Binary).await.unwrap().status(), 202);
    oracle.acknowledged("fresh");
    function.wait_for(|stats| stats.statuses.get(&200) == Some(&1)).await;
    oracle.judge_at(&function).assert_clean(0);
    assert!(process.stop().await.success());
}
