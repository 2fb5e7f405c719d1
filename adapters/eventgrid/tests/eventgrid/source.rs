//! Receiving, holding and settling.

use crate::rig::{Rig, fake, publish, seen};
use outrigger_core::{Code, Reason, Settlement};
use outrigger_eventgrid::Delay;
use outrigger_eventgrid_fake::{Fake, Pace, Setup};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

#[tokio::test]
async fn events_come_with_their_counts_and_are_acknowledged_in_batches() {
    let rig = Rig::start(1024, |config| config.tell_every = Duration::from_millis(100));
    rig.publish("e", 250);
    let events = rig.hands.take(250).await;
    let ids: BTreeSet<_> = events.iter().map(|it| it.item.as_ref().unwrap().id().to_owned()).collect();
    assert_eq!(ids.len(), 250);
    assert!(events.iter().all(|it| it.attempts == 0 && it.origin.position.to_string() == "t1/s1"));
    for event in events {
        event.receipt.settle(Settlement::Ack(None));
    }
    let counts = rig.until(|counts| counts.acknowledged == 250).await;
    assert_eq!((counts.received, counts.tokens_refused), (250, 0));
    assert!(rig.seen(":receive").iter().all(|(path, _)| path.contains("maxEvents=100&maxWaitTime=60")));
    let source = rig.source.clone();
    let (fake, closed) = rig.end().await;
    closed.unwrap();
    let status = source.status();
    assert_eq!((status.counts.acknowledged, status.in_hand), (250, 0));
    assert_eq!(seen(&fake, ":acknowledge").len(), 3, "a hundred at a time");
}

#[tokio::test]
async fn a_long_poll_ends_at_once_with_the_drain_and_what_was_settled_is_told() {
    let fake = Fake::start_with(&Setup { pace: Pace::Running(6), ..Setup::default() }).unwrap();
    let rig = Rig::over(fake, 1024, |config| config.tell_every = Duration::from_secs(10));
    rig.publish("e", 3);
    rig.hands.acknowledge(3).await;
    // The next poll is out, and would wait for a minute of the fake's: ten seconds, as the outcomes.
    let begun = Instant::now();
    let (fake, closed) = rig.end().await;
    closed.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let counts = fake.grid().look(|state| state.topics["t1"]["s1"].counts.clone());
    assert_eq!(counts.acknowledged, 3);
}

#[tokio::test]
async fn an_event_that_is_held_long_is_delivered_once() {
    let rig = Rig::start(1024, |_| {});
    rig.publish("e", 5);
    let events = rig.hands.take(5).await;
    // Each lock was renewed three times, so they have been held longer than one lock holds.
    rig.until(|counts| counts.renewed >= 15).await;
    for event in events {
        event.receipt.settle(Settlement::Ack(None));
    }
    let counts = rig.until(|counts| counts.acknowledged == 5).await;
    assert_eq!((counts.received, counts.locks_lost), (5, 0));
    assert_eq!(rig.source.status().counts.lost, 0);
    rig.end().await.1.unwrap();
}

#[tokio::test]
async fn a_lost_lock_is_a_duplicate_to_come_and_its_late_outcome_settles_nothing() {
    let rig = Rig::start(1024, |_| {});
    rig.publish("e", 1);
    let first = rig.hands.take(1).await.pop().unwrap();
    assert!(first.receipt.wanted());
    let now = rig.fake.grid().clock.now();
    rig.fake
        .grid()
        .change(|state| state.topics.get_mut("t1").unwrap().get_mut("s1").unwrap().lose_locks(now));
    // It comes again, to us, while the first delivery is still at work; the renewal finds its lock gone.
    let second = rig.hands.take(1).await.pop().unwrap();
    assert_eq!(second.attempts, 1, "the service counts deliveries");
    while first.receipt.wanted() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    first.receipt.settle(Settlement::Ack(None));
    let status = rig.source.status().counts;
    assert_eq!((status.lost, status.late, status.redelivered), (1, 1, 1));
    assert_eq!(rig.counts().acknowledged, 0);
    second.receipt.settle(Settlement::Ack(None));
    rig.until(|counts| counts.acknowledged == 1).await;
    rig.end().await.1.unwrap();
}

#[tokio::test]
async fn no_more_is_received_than_there_is_room_for() {
    let rig = Rig::start(4, |config| config.events_max = 8);
    rig.publish("e", 50);
    let mut most = 0;
    for _ in 0..50 {
        let event = rig.hands.take(1).await.pop().unwrap();
        assert!(rig.hands.len() < 4);
        most = most.max(rig.left().1).max(rig.source.status().in_hand);
        event.receipt.settle(Settlement::Ack(None));
    }
    rig.until(|counts| counts.acknowledged == 50).await;
    assert_eq!(rig.counts().received, 50);
    assert!(most <= 8, "{most} in hand: four in the window, and four whose outcome is on its way");
    rig.end().await.1.unwrap();
}

#[tokio::test]
async fn events_whose_outcome_is_not_taken_count_until_it_is() {
    use outrigger_eventgrid_fake::{Fault, Op};
    let rig = Rig::start(1024, |config| {
        config.events_max = 10;
        config.lock = Duration::from_mins(5);
    });
    rig.fake.plant(Fault {
        op: Some(Op::Acknowledge),
        status: Some(503),
        times: 1_000_000,
        ..Fault::default()
    });
    rig.publish("e", 50);
    rig.hands.acknowledge(10).await;
    rig.until_trouble("cannot take it now").await;
    assert_eq!((rig.counts().received, rig.source.status().in_hand), (10, 10));
    rig.fake.grid().note(|state| state.faults.clear());
    for _ in 0..40 {
        rig.hands.acknowledge(1).await;
    }
    rig.until(|counts| counts.acknowledged == 50).await;
    rig.end().await.1.unwrap();
}

#[tokio::test]
async fn what_goes_back_stays_away_as_long_as_it_was_asked_for() {
    let rig = Rig::start(1024, |_| {});
    rig.publish("e", 2);
    let mut events = rig.hands.take(2).await;
    drop(events.pop());
    events.pop().unwrap().receipt.settle(Settlement::Release { after: Some(Duration::from_secs(11)) });
    let again = rig.hands.take(2).await;
    assert!(again.iter().all(|event| event.attempts == 1));
    let mut seen = rig.seen(":release").into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    seen.sort();
    let path = "/topics/t1/eventsubscriptions/s1:release?releaseDelayInSeconds";
    let version = "api-version=2024-06-01";
    assert_eq!(seen, [format!("{path}=0&{version}"), format!("{path}=60&{version}")]);
    drop(again);
    rig.end().await.1.unwrap();
}

#[tokio::test]
async fn a_rejection_is_the_services_to_keep() {
    let rig = Rig::start(1024, |_| {});
    rig.publish("e", 1);
    let reason = Reason { code: Code::Refused, status: Some(400), detail: String::new() };
    rig.hands.take(1).await.pop().unwrap().receipt.settle(Settlement::Reject(reason));
    let counts = rig.until(|counts| counts.rejected == 1).await;
    assert_eq!(counts.dropped, 1, "this subscription keeps no dead letters");
    rig.end().await.1.unwrap();
}

#[tokio::test]
async fn what_nobody_has_begun_with_in_time_goes_back_for_an_hour() {
    let rig = Rig::start(1024, |config| {
        config.hold_max = Duration::from_secs(1);
        config.hold_delay = Delay::Hour;
    });
    rig.publish("e", 2);
    rig.until(|counts| counts.released == 2).await;
    assert_eq!(rig.hands.len(), 0, "the lanes let go of them");
    assert!(rig.seen(":release").iter().all(|(path, _)| path.contains("releaseDelayInSeconds=3600")));
    let status = rig.source.status().counts;
    assert_eq!((status.given_back, status.lost), (2, 0));
    rig.end().await.1.unwrap();
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_asked_for_in_smaller_pieces() {
    let fake = fake();
    publish(&fake, "e", 40, 100_000);
    let rig = Rig::over(fake, 1024, |config| config.receive_bytes_max = 1 << 20);
    // What was under way in an answer that was not read comes again once its lock has ended.
    let mut ids = BTreeSet::new();
    while ids.len() < 40 {
        let event = rig.hands.take(1).await.pop().unwrap();
        ids.insert(event.item.as_ref().unwrap().id().to_owned());
        event.receipt.settle(Settlement::Ack(None));
    }
    rig.until(|counts| counts.acknowledged == 40).await;
    assert!(rig.source.status().failed_requests > 0);
    rig.end().await.1.unwrap();
}

#[tokio::test]
async fn several_polls_share_the_room() {
    let rig = Rig::start(64, |config| config.polls = 4);
    rig.publish("e", 1000);
    for _ in 0..1000 {
        rig.hands.acknowledge(1).await;
        assert!(rig.hands.wanted() <= 64);
    }
    let counts = rig.until(|counts| counts.acknowledged == 1000).await;
    assert_eq!(counts.received, 1000);
    rig.end().await.1.unwrap();
}
