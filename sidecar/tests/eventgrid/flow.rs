//! What the function sees, how long what it works on stays its own, and how much is in hand.

use crate::rig::{Rig, events};
use outrigger_function::{Action, Match, Program, Rule};
use outrigger_testkit::Outgoing;

#[tokio::test]
async fn events_reach_the_function_as_they_were_published_and_are_acknowledged_together() {
    let rig = Rig::new();
    let _process = rig.start().await;
    let mut all = events("e", 2000);
    all[1].data = bytes::Bytes::from_static(b"\x00\x01\xff");
    all[1].content_type = Some("application/octet-stream".to_owned());
    all[2].extensions = vec![("ext1".to_owned(), "x".to_owned())];
    rig.publish(&all);
    let judgement = rig.all_is_well(0).await;
    assert_eq!((judgement.delivered, judgement.duplicates), (2001, 0));
    let told = rig.asked(":acknowledge").len();
    assert!(told < 500, "{told} requests for 2001 acknowledgements");
    assert_eq!(rig.number("received_total").await, 2001);
    rig.until_number("acknowledged_total", 2001).await;
    rig.until_number("in_hand_events", 0).await;
    let (_, text) = rig.site.until_readyz("[+] eventgrid: ok; orders/billing, 0 in hand").await;
    assert!(!text.contains("[-]"), "{text}");
}

#[tokio::test]
async fn events_of_one_key_run_one_at_a_time_and_in_their_order() {
    let rig = Rig::new().set("function.concurrency", "32");
    rig.function.set_program(Program::always(Action::delay_ms(1)));
    let _process = rig.start().await;
    let event = |n: usize| Outgoing::new(&format!("e-{n:04}"), Some(&format!("key-{}", n % 7)));
    rig.publish(&(0..300).map(event).collect::<Vec<_>>());
    rig.all_is_well(0).await;
}

#[tokio::test]
async fn row_11_a_function_slower_than_the_lock_gets_each_event_once() {
    let rig = Rig::new();
    rig.function.set_program(Program::always(Action::hold("gate")));
    let _process = rig.start().await;
    rig.publish(&events("slow", 10));
    rig.function.wait_for(|stats| stats.held == 10).await;
    // Each was renewed four times: they have been held longer than two locks hold.
    rig.until(|counts| counts.renewed >= 40).await;
    rig.function.set_program(Program::default());
    rig.function.open("gate");
    rig.all_is_well(0).await;
    let counts = rig.counts();
    assert_eq!((counts.received, counts.locks_lost), (11, 0));
    assert_eq!((rig.number("lost_total").await, rig.number("late_total").await), (0, 0));
}

#[tokio::test]
async fn a_lock_that_is_lost_is_a_duplicate_that_was_announced() {
    let rig = Rig::new();
    rig.function.set_program(Program::default().rule(Rule::new(Match::any(), Action::hold("gate")).times(3)));
    let _process = rig.start().await;
    rig.publish(&events("e", 3));
    rig.function.wait_for(|stats| stats.held == 3).await;
    let now = rig.fake.grid().clock.now();
    rig.fake.grid().change(|state| {
        state.topics.get_mut("orders").unwrap().get_mut("billing").unwrap().lose_locks(now);
    });
    // They come again, and this time the function answers; the first calls end later and settle nothing.
    rig.until(|counts| counts.acknowledged == 3).await;
    while rig.number("lost_total").await < 3 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    rig.function.open("gate");
    rig.function.wait_for(|stats| stats.ended == 6).await;
    let judgement = rig.all_is_well(3).await;
    assert_eq!(rig.number("redelivered_total").await, 3);
    rig.until_number("late_total", 3).await;
    assert_eq!(judgement.delivered, 4);
}

#[tokio::test]
async fn a_full_window_asks_for_no_more_events() {
    let rig = Rig::new().set("window.events", "8").set("function.concurrency", "4");
    rig.function.set_program(Program::always(Action::hold("gate")));
    let _process = rig.start().await;
    rig.publish(&events("e", 200));
    rig.function.wait_for(|stats| stats.held == 4).await;
    rig.site.until_readyz("the window is full, so sources are paused").await;
    assert_eq!(rig.left(), (192, 8));
    // Locks are renewed, so that what waits in the window is not given to anybody else meanwhile.
    rig.until(|counts| counts.renewed >= 16).await;
    assert_eq!((rig.left(), rig.counts().locks_lost), ((192, 8), 0));
    rig.function.set_program(Program::default());
    rig.function.open("gate");
    rig.all_is_well(0).await;
}

#[tokio::test]
async fn an_outage_longer_than_events_may_be_held_gives_them_back_for_an_hour() {
    let rig = Rig::new().set("ingress.eventgrid.hold_max", "1s");
    let rig = rig.set("delivery.breaker.open", "100ms").set("delivery.breaker.failures", "1");
    rig.function.set_program(Program::always(Action::status(503)));
    let _process = rig.start().await;
    rig.publish(&events("e", 20));
    rig.until(|counts| counts.released >= 20).await;
    assert!(rig.asked(":release").iter().all(|path| path.contains("releaseDelayInSeconds=3600")));
    assert_eq!(rig.site.status().await["dead_lettered"], 0, "an outage makes no dead letters");
    rig.function.set_program(Program::default());
    rig.fake.grid().clock.advance(std::time::Duration::from_hours(1));
    rig.all_is_well(0).await;
}
