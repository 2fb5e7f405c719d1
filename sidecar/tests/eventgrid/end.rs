//! Rows 1, 3, 4 and 8: what a kill and a drain leave, and what the next process makes of it.

use crate::rig::{Rig, events};
use outrigger_function::{Action, Program};
use std::time::{Duration, Instant};

#[tokio::test]
async fn row_8_a_drain_ends_the_long_poll_at_once_and_every_outcome_is_told() {
    let rig = Rig::paced(6).set("ingress.eventgrid.tell_every", "10s");
    let mut process = rig.start().await;
    rig.publish(&events("e", 30));
    rig.until_paid().await;
    let begun = Instant::now();
    assert!(process.stop().await.success());
    // The poll that is out would wait twenty seconds more, the outcomes ten.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(rig.counts().acknowledged, 30);
    let _process = rig.start().await;
    rig.all_is_well(0).await;
}

#[tokio::test]
async fn row_8_what_does_not_finish_by_the_deadline_goes_back_and_comes_again() {
    let rig = Rig::new().set("drain.deadline", "200ms").set("function.concurrency", "4");
    rig.function.set_program(Program::always(Action::hold("gate")));
    let mut process = rig.start().await;
    rig.publish(&events("e", 20));
    rig.function.wait_for(|stats| stats.held == 4).await;
    assert!(process.stop().await.success());
    let counts = rig.counts();
    assert_eq!((counts.released, counts.acknowledged, counts.locks_lost), (20, 0, 0));
    assert!(rig.asked(":release").iter().all(|path| path.contains("releaseDelayInSeconds=0")));
    rig.function.set_program(Program::default());
    let _process = rig.start().await;
    rig.all_is_well(0).await;
}

#[tokio::test]
async fn the_delay_of_what_goes_back_is_a_setting() {
    let rig = Rig::new().set("drain.deadline", "200ms").set("ingress.eventgrid.release_delay", "1m");
    rig.function.set_program(Program::always(Action::hold("gate")));
    let mut process = rig.start().await;
    rig.publish(&events("e", 3));
    rig.function.wait_for(|stats| stats.held == 3).await;
    assert!(process.stop().await.success());
    assert!(rig.asked(":release").iter().all(|path| path.contains("releaseDelayInSeconds=60")));
    assert_eq!(rig.counts().released, 3);
}

#[tokio::test]
async fn rows_1_and_3_what_a_killed_process_had_in_hand_comes_again() {
    let rig = Rig::new().set("function.concurrency", "16");
    rig.function.set_program(Program::always(Action::hold("gate")));
    let mut process = rig.start().await;
    rig.publish(&events("e", 200));
    rig.function.wait_for(|stats| stats.held == 16).await;
    process.kill().await;
    assert_eq!(rig.counts().acknowledged, 0);
    rig.function.set_program(Program::default());
    rig.function.open("gate");
    let _process = rig.start().await;
    // What the function answered to the one that was killed is not known to anybody: at most those come twice.
    rig.all_is_well(16).await;
    assert!(rig.number("redelivered_total").await > 0, "the service counts deliveries");
}

#[tokio::test]
async fn row_4_after_many_kills_nothing_is_lost() {
    let rig = Rig::new().set("function.concurrency", "16");
    rig.function.set_program(Program::always(Action::delay_ms(1)));
    let mut done = 0;
    for round in 0..5 {
        let mut process = rig.start().await;
        rig.publish(&events(&format!("r{round}"), 300));
        done += 100;
        rig.function.wait_for(|stats| stats.ended >= done).await;
        process.kill().await;
    }
    let _process = rig.start().await;
    let judgement = rig.all_is_well(usize::MAX).await;
    println!("killed five times: {judgement}");
    assert!(judgement.duplicates <= 5 * (16 + 200), "{judgement}");
}
