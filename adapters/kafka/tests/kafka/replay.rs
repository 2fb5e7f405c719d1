//! A range of a topic once more: exactly the range, without a trace in the group.

use crate::{
    rig::{Member, Path, Seen, ack, offsets, source, until},
    source::{committed, fill, hour_ago_ms},
};
use outrigger_core::{DrainTrigger, Error, Intake, decide::window::Window, drain};
use outrigger_kafka::{Progress, Range, Replay, StartAt};
use outrigger_testkit::{
    kafka::{self, Broker, Record},
    process::WAIT_MAX,
};
use std::sync::Arc;
use tokio::{task::JoinHandle, time::timeout};

fn range(topic: &str, from: StartAt, to: Option<StartAt>) -> Range {
    Range { topic: topic.to_owned(), partition: None, from, to }
}

struct Running {
    replay: Arc<Replay>,
    trigger: DrainTrigger,
    run: JoinHandle<Result<(), Error>>,
}

impl Running {
    fn start(broker: &Broker, range: Range, path: &Arc<Path>, window: usize) -> Self {
        // The group and the topics of the configuration are the live source's, and nobody's here.
        let replay = Replay::new(source(broker, "replay-live", &["nothing"]), range);
        let (trigger, drain) = drain::channel();
        let intake = Intake::new(Window::new(window, usize::MAX), path.clone());
        let run = tokio::spawn(replay.clone().run(intake, drain));
        Self { replay, trigger, run }
    }

    async fn ended(self) -> Result<Progress, Error> {
        timeout(WAIT_MAX, self.run)
            .await
            .unwrap_or_else(|_| panic!("it hangs: {:?}", self.replay.progress()))
            .unwrap()?;
        Ok(self.replay.progress())
    }
}

/// The offsets of partition 0 that a replay of `range` brings, in their order.
async fn replayed(broker: &Broker, range: Range) -> Vec<i64> {
    let path = Arc::new(Path::acking());
    let progress = Running::start(broker, range, &path, 1_000).ended().await.unwrap();
    let seen = path.acked();
    let count = seen.len() as u64;
    assert_eq!(progress, Progress { read: count, settled: count, released: 0, done: true });
    seen.into_iter().map(|seen| seen.offset).collect()
}

#[tokio::test]
async fn a_range_is_read_from_and_to_offsets_and_times() {
    let Some(broker) = kafka::shared("a_range_is_read_from_and_to_offsets_and_times").await else { return };
    let (client, topic) = (broker.client(), "replay-range");
    client.create_topic(topic, 1, &[]).await.unwrap();
    let start = hour_ago_ms();
    let record = |n: i64| Record::new(topic, n.to_string()).timestamp_ms(start + n * 1_000);
    client.produce((0..20).map(record)).await.unwrap();
    client.delete_records(topic, 0, 2).await.unwrap();
    let at = |offset| StartAt::Offset(offset);
    let time = |seconds: i64| StartAt::Time(start + seconds * 1_000);
    for (from, to, expected) in [
        (StartAt::Earliest, None, 2..20),
        (at(0), None, 2..20),
        (at(15), None, 15..20),
        (at(5), Some(at(8)), 5..8),
        (time(16), None, 16..20),
        (time(3), Some(time(6)), 3..6),
        (at(4), Some(time(7)), 4..7),
        (at(8), Some(at(8)), 0..0),
        (at(8), Some(at(5)), 0..0),
        (StartAt::Latest, None, 0..0),
        (time(3_000), None, 0..0),
        (at(18), Some(at(1_000)), 18..20),
    ] {
        let found = replayed(broker, range(topic, from, to)).await;
        assert!(found.iter().copied().eq(expected), "{from:?} to {to:?}: {found:?}");
    }
    assert!(broker.client().committed("replay-live", topic).await.unwrap().is_empty());
}

#[tokio::test]
async fn all_partitions_or_one_are_read_each_in_its_order() {
    let Some(broker) = kafka::shared("all_partitions_or_one_are_read_each_in_its_order").await else {
        return;
    };
    let (client, topic) = (broker.client(), "replay-partitions");
    client.create_topic(topic, 3, &[]).await.unwrap();
    fill(&client, topic, 0, 30).await;
    fill(&client, topic, 1, 10).await;
    let path = Arc::new(Path::acking());
    Running::start(broker, range(topic, StartAt::Earliest, None), &path, 1_000).ended().await.unwrap();
    let of = |partition: &str| {
        let seen = path.acked().into_iter().filter(|seen| seen.partition == partition);
        seen.map(|seen: Seen| seen.offset).collect::<Vec<_>>()
    };
    assert!(of("replay-partitions/0").into_iter().eq(0..30));
    assert!(of("replay-partitions/1").into_iter().eq(0..10));
    assert!(of("replay-partitions/2").is_empty());
    let one = Range { partition: Some(1), ..range(topic, StartAt::Offset(3), None) };
    assert!(replayed(broker, one).await.into_iter().eq(3..10));

    for wrong in [
        Range { partition: Some(9), ..range(topic, StartAt::Earliest, None) },
        range("replay-nowhere", StartAt::Earliest, None),
    ] {
        let error = Running::start(broker, wrong, &path, 1_000).ended().await.unwrap_err();
        assert!(error.message().contains("create it"), "{error}");
    }
}

#[tokio::test]
async fn aborted_records_are_not_replayed_and_gaps_at_the_end_do_not_hold_it_up() {
    let test = "aborted_records_are_not_replayed_and_gaps_at_the_end_do_not_hold_it_up";
    let Some(broker) = kafka::shared(test).await else { return };
    let (client, topic) = (broker.client(), "replay-aborted");
    client.create_topic(topic, 1, &[]).await.unwrap();
    fill(&client, topic, 0, 3).await;
    let transactions = client.transactions(topic).await.unwrap();
    transactions.begin().unwrap();
    transactions.produce((0..4).map(|_| Record::new(topic, "aborted").partition(0))).await.unwrap();
    transactions.abort().await.unwrap();
    assert_eq!(client.offsets(topic, 0).await.unwrap(), (0, 8));
    assert_eq!(replayed(broker, range(topic, StartAt::Earliest, None)).await, [0, 1, 2]);
    assert!(replayed(broker, range(topic, StartAt::Offset(4), None)).await.is_empty());
    assert!(replayed(broker, range(topic, StartAt::Offset(7), None)).await.is_empty());
    assert_eq!(replayed(broker, range(topic, StartAt::Offset(2), Some(StartAt::Offset(6)))).await, [2]);

    // What is open may still be aborted: the range ends before it.
    transactions.begin().unwrap();
    transactions.produce([Record::new(topic, "open").partition(0)]).await.unwrap();
    assert_eq!(replayed(broker, range(topic, StartAt::Earliest, None)).await, [0, 1, 2]);
    transactions.abort().await.unwrap();
}

#[tokio::test]
async fn a_replay_beside_the_live_source_moves_none_of_its_offsets_and_takes_no_partition() {
    let test = "a_replay_beside_the_live_source_moves_none_of_its_offsets_and_takes_no_partition";
    let Some(broker) = kafka::shared(test).await else { return };
    let (client, topic) = (broker.client(), "replay-beside");
    client.create_topic(topic, 1, &[]).await.unwrap();
    fill(&client, topic, 0, 10).await;
    let live = Member::start(source(broker, topic, &[topic]), 1_000);
    let mut taken = live.take(10).await;
    let rest = taken.split_off(4);
    ack(taken);
    committed(&client, topic, topic, 4).await;
    let rebalances = live.kafka.status().rebalances;

    assert!(replayed(broker, range(topic, StartAt::Earliest, None)).await.into_iter().eq(0..10));
    assert_eq!(live.kafka.status().rebalances, rebalances);
    assert_eq!(client.committed(topic, topic).await.unwrap()[&0].offset, 4);
    ack(rest);
    committed(&client, topic, topic, 10).await;
    live.leave().await.unwrap();
}

#[tokio::test]
async fn a_replay_waits_for_room_and_a_drain_ends_it_with_what_is_in_hand() {
    let Some(broker) =
        kafka::shared("a_replay_waits_for_room_and_a_drain_ends_it_with_what_is_in_hand").await
    else {
        return;
    };
    let (client, topic) = (broker.client(), "replay-drain");
    client.create_topic(topic, 1, &[]).await.unwrap();
    fill(&client, topic, 0, 50).await;
    let path = Arc::new(Path::default());
    let running = Running::start(broker, range(topic, StartAt::Earliest, None), &path, 5);
    let first = path.take(5).await;
    until("one that waits for room", || (running.replay.progress().read == 6).then_some(())).await;
    ack(first);
    let second = path.take(5).await;
    assert_eq!(offsets(&second), [5, 6, 7, 8, 9]);

    running.trigger.start();
    until("what waited is released", || (running.replay.progress().released == 1).then_some(())).await;
    assert!(!running.replay.progress().done, "five are in hand");
    ack(second);
    let progress = running.ended().await.unwrap();
    assert_eq!(progress, Progress { read: 11, settled: 10, released: 1, done: true });
}
