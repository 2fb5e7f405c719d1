//! What is in the way is said, tried again, and over when it is over.

use crate::rig::Rig;
use outrigger_core::Source as _;
use outrigger_eventgrid_fake::{Fault, Op, QueueSettings, config::TEST_KEY};
use std::time::Duration;

#[tokio::test]
async fn a_wrong_key_is_said_and_a_right_one_in_its_file_is_used_at_once() {
    let rig = Rig::start(1024, |_| {});
    rig.publish("e", 1);
    rig.hands.acknowledge(1).await;
    rig.until(|counts| counts.acknowledged == 1).await;
    // The next poll is out already: it is let in by the old key.
    std::fs::write(rig.door.key(), "d3Jvbmc=").unwrap();
    rig.publish("e", 1);
    rig.hands.take(1).await;
    let said = rig.until_trouble("who we say we are is refused").await;
    assert!(said.contains("topic t1, subscription s1") && said.contains("(401, "), "{said}");
    std::fs::write(rig.door.key(), TEST_KEY).unwrap();
    rig.publish("f", 1);
    rig.hands.acknowledge(1).await;
    rig.until(|counts| counts.acknowledged == 2).await;
    while rig.source.trouble().is_some() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    rig.end().await.1.unwrap();
}

#[tokio::test]
async fn a_subscription_that_is_not_there_is_said_and_read_once_it_is_made() {
    let rig = Rig::start(1024, |config| config.subscription = "late".to_owned());
    let said = rig.until_trouble("it is not there; create it").await;
    assert!(said.contains("topic t1, subscription late"), "{said}");
    rig.fake.put_queue("t1", "late", QueueSettings::default());
    rig.publish("e", 3);
    rig.hands.acknowledge(3).await;
    assert_eq!(rig.source.trouble(), None);
    rig.end().await.1.unwrap();
}

#[tokio::test]
async fn outcomes_that_were_not_taken_are_told_again() {
    let rig = Rig::start(1024, |_| {});
    rig.fake.plant(Fault { op: Some(Op::Acknowledge), status: Some(429), times: 2, ..Fault::default() });
    rig.fake.plant(Fault { op: Some(Op::Acknowledge), drop: true, ..Fault::default() });
    rig.publish("e", 20);
    rig.hands.acknowledge(20).await;
    let counts = rig.until(|counts| counts.acknowledged == 20).await;
    assert_eq!(counts.received, 20);
    let status = rig.source.status();
    assert_eq!((status.counts.lost, status.failed_requests), (0, 3));
    rig.end().await.1.unwrap();
}

#[tokio::test]
async fn an_answer_that_was_lost_leaves_no_outcome_hanging() {
    let rig = Rig::start(1024, |_| {});
    rig.fake.plant(Fault { op: Some(Op::Acknowledge), drop_answer: true, ..Fault::default() });
    rig.publish("e", 5);
    rig.hands.acknowledge(5).await;
    rig.until(|counts| counts.acknowledged == 5).await;
    // Told again, the service knows these locks no more: whether it took them or lost them it does not say.
    while rig.source.status().in_hand > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    rig.publish("fresh", 1);
    rig.hands.acknowledge(1).await;
    let counts = rig.until(|counts| counts.acknowledged == 6).await;
    assert_eq!(counts.received, 6);
    rig.end().await.1.unwrap();
}

#[tokio::test]
async fn a_service_that_is_gone_is_said_and_found_again() {
    let rig = Rig::start(1024, |_| {});
    rig.fake.plant(Fault { op: Some(Op::Receive), status: Some(503), times: 3, ..Fault::default() });
    rig.fake.plant(Fault { op: Some(Op::Receive), drop: true, times: 2, ..Fault::default() });
    rig.until_trouble("cannot take it now").await;
    rig.publish("e", 3);
    rig.hands.acknowledge(3).await;
    rig.until(|counts| counts.acknowledged == 3).await;
    assert_eq!(rig.source.trouble(), None);
    rig.end().await.1.unwrap();
}

#[tokio::test]
async fn a_close_waits_for_a_service_that_is_gone_no_longer_than_it_may_and_says_what_comes_again() {
    let rig = Rig::start(1024, |config| config.leave_timeout = Duration::from_millis(300));
    rig.publish("e", 7);
    rig.fake.plant(Fault {
        op: Some(Op::Acknowledge),
        status: Some(503),
        times: 1_000_000,
        ..Fault::default()
    });
    rig.hands.acknowledge(7).await;
    let (_fake, closed) = rig.end().await;
    let said = closed.unwrap_err().to_string();
    assert!(said.contains("the outcomes of 7 events were not taken"), "{said}");
}

#[tokio::test]
async fn a_source_that_never_ran_closes_at_once_and_one_that_ran_runs_once() {
    let rig = Rig::start(1024, |_| {});
    let never = outrigger_eventgrid::EventGrid::new(outrigger_eventgrid::Config::new(
        rig.door.endpoint.clone(),
        "t1",
        "s1",
    ));
    never.close().await.unwrap();
    let intake =
        outrigger_core::Intake::new(outrigger_core::decide::window::Window::new(1, 1), rig.hands.clone());
    let (_stop, drain) = outrigger_core::drain::channel();
    rig.publish("e", 1);
    rig.hands.acknowledge(1).await;
    assert!(rig.source.clone().run(intake, drain).await.is_err());
    rig.end().await.1.unwrap();
}
