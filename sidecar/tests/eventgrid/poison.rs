//! Rows 19 and 20: what cannot be delivered becomes a dead letter of ours, and is acknowledged then and not before.

use crate::rig::{Rig, TOPIC, events};
use outrigger_eventgrid_fake::queue::QueueSettings;
use outrigger_function::{Action, Match, Program, Rule};

/// Fails these for good.
fn fails(rig: &Rig, id: &str, status: u16) {
    rig.function.set_program(Program::default().rule(Rule::new(Match::id(id), Action::status(status))));
}

fn impatient(rig: Rig) -> Rig {
    rig.set("delivery.attempts_max", "3").set("delivery.backoff.initial", "1ms")
}

#[tokio::test]
async fn row_19_a_poisoned_event_becomes_a_dead_letter_of_ours_and_is_acknowledged() {
    let rig = impatient(Rig::new());
    let all = events("e", 50);
    fails(&rig, &all[7].id, 500);
    let _process = rig.start().await;
    rig.publish(&all);
    rig.site.until_dead(1).await;
    rig.oracle.accounted(&all[7].id);
    rig.all_is_well(0).await;
    let letter = rig.site.letters().await.pop().unwrap();
    assert_eq!(letter["event_id"], all[7].id);
    assert_eq!((&letter["reason"], &letter["attempts"]), (&"exhausted".into(), &3.into()));
    assert_eq!((&letter["origin"], &letter["position"]), (&"eventgrid".into(), &"orders/billing".into()));
    let counts = rig.counts();
    assert_eq!((counts.acknowledged, counts.rejected, counts.dead_lettered), (51, 0, 0));
}

#[tokio::test]
async fn row_8_what_went_back_in_many_drains_is_no_poison_for_it() {
    let rig = impatient(Rig::new()).set("drain.deadline", "100ms");
    rig.function.set_program(Program::always(Action::hold("gate")));
    rig.publish(&events("e", 1));
    for _ in 0..4 {
        let mut process = rig.start().await;
        rig.function.wait_for(|stats| stats.held == 1).await;
        assert!(process.stop().await.success());
    }
    assert_eq!((rig.counts().released, rig.counts().dead_lettered), (4, 0));
    let once = Rule::new(Match::id("e-000000"), Action::status(500)).until(5); // four of them were held
    rig.function.set_program(Program::default().rule(once));
    let _process = rig.start().await;
    rig.all_is_well(0).await;
    assert!(rig.site.letters().await.is_empty(), "one failure is not the third");
}

#[tokio::test]
async fn row_20_while_dead_letters_have_no_home_their_events_are_kept_and_nothing_is_acknowledged() {
    let rig = impatient(Rig::new()).set("dead_letters.eventgrid_topic", "graves");
    let all = events("e", 10);
    fails(&rig, &all[3].id, 400);
    let _process = rig.start().await;
    rig.publish(&all);
    let (status, text) = rig.site.until_readyz("[-] dead letters: ").await;
    assert!(status == 503 && text.contains("topic graves: it is not there; create it"), "{text}");
    rig.until(|counts| counts.acknowledged == 9).await;
    // Its lock goes on being renewed.
    let renewed = rig.counts().renewed;
    rig.until(|counts| counts.renewed >= renewed + 2).await;
    assert_eq!(rig.left(), (0, 1));
    rig.fake.put_queue("graves", "all", QueueSettings::default());
    rig.site.until_dead(1).await;
    rig.oracle.accounted(&all[3].id);
    rig.all_is_well(0).await;
    assert_eq!(rig.counts().locks_lost, 0);
    let now = rig.fake.grid().clock.now();
    let graves = rig
        .fake
        .grid()
        .change(|state| state.topics.get_mut("graves").unwrap().get_mut("all").unwrap().receive(10, now));
    let text = format!("{graves:?}");
    assert!(graves.len() == 1 && text.contains("outriggercode") && text.contains(&all[3].id), "{text}");
    assert!(rig.fake.grid().look(|state| state.topics[TOPIC]["billing"].counts.acknowledged) == 11);
}
