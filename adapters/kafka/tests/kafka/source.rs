//! The live source: every record once, commits that follow what settled, and where reading begins.

use crate::rig::{Member, Path, Seen, ack, offsets, source};
use outrigger_core::Delivery;
use outrigger_kafka::{Ask, StartAt};
use outrigger_testkit::kafka::{self, Broker, Client, Record};
use std::{collections::BTreeSet, time::Duration};

/// Writes `count` records with the numbers of their offsets as values, to partition 0 unless there are none before.
pub(crate) async fn fill(client: &Client, topic: &str, partition: i32, count: usize) {
    let record = |n: usize| Record::new(topic, n.to_string()).partition(partition).key(format!("k{n}"));
    client.produce((0..count).map(record)).await.unwrap();
}

/// Waits until the group's commit of partition 0 is at `offset`; gives back its metadata.
pub(crate) async fn committed(client: &Client, group: &str, topic: &str, offset: i64) -> String {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let found = client.committed(group, topic).await.unwrap().remove(&0);
        match found {
            Some(commit) if commit.offset == offset => return commit.metadata,
            found => {
                assert!(tokio::time::Instant::now() < deadline, "{topic} is at {found:?}, not at {offset}");
            }
        }
    }
}

fn even(delivery: &Delivery) -> bool {
    Seen::of(delivery).offset % 2 == 0
}

#[tokio::test]
async fn every_record_comes_once_and_commits_follow_what_settled() {
    let Some(broker) = kafka::shared("every_record_comes_once_and_commits_follow_what_settled").await else {
        return;
    };
    let (client, topic) = (broker.client(), "source-once");
    client.create_topic(topic, 2, &[]).await.unwrap();
    fill(&client, topic, 0, 50).await;
    fill(&client, topic, 1, 50).await;
    let member = Member::start(source(broker, topic, &[topic]), 1_000);
    let mut taken = member.take(100).await;
    let seen: BTreeSet<_> = taken.iter().map(Seen::of).collect();
    assert_eq!(seen.len(), 100);
    for partition in ["source-once/0", "source-once/1"] {
        let order =
            taken.iter().map(Seen::of).filter(|seen| seen.partition == partition).map(|seen| seen.offset);
        assert!(order.eq(0..50), "{partition} is out of order");
    }
    committed(&client, topic, topic, 0).await;

    let first =
        taken.iter().position(|it| Seen::of(it) == Seen { partition: "source-once/0".into(), offset: 0 });
    let first = taken.remove(first.unwrap());
    ack(taken);
    let commits = member.kafka.status().commits;
    member.shows("a commit", |status| status.commits > commits).await;
    let waits = client.committed(topic, topic).await.unwrap();
    assert_eq!(waits[&0].offset, 0, "the first is not settled");
    ack([first]);
    committed(&client, topic, topic, 50).await;
    member.shows("no lag", |status| status.partitions.iter().all(|it| it.lag_records == 0)).await;
    assert_eq!(member.pushed(), 100);
    member.leave().await.unwrap();
    let at_the_end = client.committed(topic, topic).await.unwrap();
    assert_eq!((at_the_end[&0].offset, at_the_end[&1].offset), (50, 50));
}

#[tokio::test]
async fn no_more_is_brought_while_enough_is_ready_to_run() {
    let Some(broker) = kafka::shared("no_more_is_brought_while_enough_is_ready_to_run").await else { return };
    let (client, topic) = (broker.client(), "source-sated");
    client.create_topic(topic, 1, &[]).await.unwrap();
    fill(&client, topic, 0, 500).await;
    let mut config = source(broker, topic, &[topic]);
    config.commit_every = Duration::from_hours(1); // it never tires
    let member = Member::with(config, 1_000, Path::sated());
    let first = member.next().await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(member.pushed() <= 64, "{} came although enough is ready", member.pushed());
    member.path.hungers();
    let mut all = vec![first];
    all.extend(member.take(499).await);
    assert!(offsets(&all).into_iter().eq(0..500));
    ack(all);
    member.leave().await.unwrap();
}

#[tokio::test]
async fn a_path_that_is_sated_for_long_does_not_hold_up_the_source() {
    let test = "a_path_that_is_sated_for_long_does_not_hold_up_the_source";
    let Some(broker) = kafka::shared(test).await else { return };
    let (client, topic) = (broker.client(), "source-sated-long");
    client.create_topic(topic, 1, &[]).await.unwrap();
    fill(&client, topic, 0, 500).await;
    let member = Member::with(source(broker, topic, &[topic]), 1_000, Path::sated());
    let all = member.take(500).await;
    assert!(offsets(&all).into_iter().eq(0..500));
    ack(all);
    member.leave().await.unwrap();
}

#[tokio::test]
async fn what_finished_out_of_order_is_not_repeated_by_a_restart_nor_by_a_crash() {
    let test = "what_finished_out_of_order_is_not_repeated_by_a_restart_nor_by_a_crash";
    let Some(broker) = kafka::shared(test).await else { return };
    let (client, topic) = (broker.client(), "source-restart");
    client.create_topic(topic, 1, &[]).await.unwrap();
    fill(&client, topic, 0, 40).await;
    let config = || source(broker, topic, &[topic]);

    let member = Member::start(config(), 1_000);
    let (done, left): (Vec<_>, Vec<_>) = member.take(40).await.into_iter().partition(even);
    ack(done);
    member.leave().await.unwrap();
    drop(left);

    let member = Member::start(config(), 1_000);
    let mut left = member.take(20).await;
    assert!(offsets(&left).into_iter().eq((0..40).filter(|n| n % 2 == 1)), "{:?}", offsets(&left));
    // Of the rest, all but 1 and 39.
    let (last, first) = (left.pop(), left.remove(0));
    let commits = member.kafka.status().commits;
    ack(left);
    member
        .shows("a commit", |status| status.commits > commits && status.partitions[0].commit_age_ms == 0)
        .await;
    member.crash().await;
    drop((last, first));

    let member = Member::start(config(), 1_000);
    let left = member.take(2).await;
    assert_eq!(offsets(&left), [1, 39]);
    fill(&client, topic, 0, 1).await;
    let fresh = member.take(1).await;
    assert_eq!(offsets(&fresh), [40]);
    member.leave().await.unwrap();
}

pub(crate) fn hour_ago_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap() - 3_600_000
}

async fn first_of(broker: &Broker, topic: &str, group: &str, start: StartAt) -> i64 {
    let mut config = source(broker, group, &[topic]);
    config.start = start;
    let member = Member::start(config, 1_000);
    member.has(1).await;
    if start == StartAt::Latest {
        fill(&broker.client(), topic, 0, 1).await;
    }
    let first = Seen::of(&member.next().await).offset;
    member.leave().await.unwrap();
    first
}

#[tokio::test]
async fn a_group_without_commits_begins_where_it_is_told() {
    let Some(broker) = kafka::shared("a_group_without_commits_begins_where_it_is_told").await else { return };
    let (client, topic) = (broker.client(), "source-start");
    client.create_topic(topic, 1, &[]).await.unwrap();
    // Old ones would be deleted for their age.
    let now = hour_ago_ms();
    let record = |n: i64| Record::new(topic, n.to_string()).timestamp_ms(now + n * 1_000);
    client.produce((0..10).map(record)).await.unwrap();
    client.delete_records(topic, 0, 2).await.unwrap();
    assert_eq!(first_of(broker, topic, "start-earliest", StartAt::Earliest).await, 2);
    assert_eq!(first_of(broker, topic, "start-offset", StartAt::Offset(7)).await, 7);
    assert_eq!(first_of(broker, topic, "start-gone", StartAt::Offset(1)).await, 2);
    assert_eq!(first_of(broker, topic, "start-time", StartAt::Time(now + 3_500)).await, 4);
    assert_eq!(first_of(broker, topic, "start-latest", StartAt::Latest).await, 10);
    // It committed where it began, so that what came while it was away is not passed over.
    fill(&client, topic, 0, 1).await;
    assert_eq!(first_of(broker, topic, "start-latest", StartAt::Latest).await, 10);
}

#[tokio::test]
async fn records_that_are_gone_are_counted_and_reading_goes_on_after_them() {
    let test = "records_that_are_gone_are_counted_and_reading_goes_on_after_them";
    let Some(broker) = kafka::shared(test).await else { return };
    let (client, topic) = (broker.client(), "source-gone");
    client.create_topic(topic, 1, &[]).await.unwrap();
    fill(&client, topic, 0, 10).await;
    client.commit(topic, topic, 0, 3, "").await.unwrap();
    client.delete_records(topic, 0, 7).await.unwrap();
    let member = Member::start(source(broker, topic, &[topic]), 1_000);
    assert_eq!(offsets(&member.take(3).await), [7, 8, 9]);
    assert_eq!(member.kafka.status().missing, 4);
    member.leave().await.unwrap();
}

#[tokio::test]
async fn what_is_released_comes_again_alone_and_in_its_order() {
    let Some(broker) = kafka::shared("what_is_released_comes_again_alone_and_in_its_order").await else {
        return;
    };
    let (client, topic) = (broker.client(), "source-released");
    client.create_topic(topic, 1, &[]).await.unwrap();
    fill(&client, topic, 0, 20).await;
    let member = Member::start(source(broker, topic, &[topic]), 1_000);
    let (released, kept): (Vec<_>, Vec<_>) =
        member.take(20).await.into_iter().partition(|it| [3, 4, 11].contains(&Seen::of(it).offset));
    drop(released);
    let again = member.take(3).await;
    assert_eq!(offsets(&again), [3, 4, 11]);
    fill(&client, topic, 0, 1).await;
    let last = member.take(1).await;
    assert_eq!(offsets(&last), [20]);
    ack(kept.into_iter().chain(again).chain(last));
    committed(&client, topic, topic, 21).await;
    assert_eq!(member.pushed(), 24);
    member.leave().await.unwrap();
}

#[tokio::test]
async fn an_owner_pauses_resumes_and_skips() {
    let Some(broker) = kafka::shared("an_owner_pauses_resumes_and_skips").await else { return };
    let (client, topic) = (broker.client(), "source-ask");
    client.create_topic(topic, 1, &[]).await.unwrap();
    fill(&client, topic, 0, 5).await;
    let member = Member::start(source(broker, topic, &[topic]), 1_000);
    ack(member.take(5).await);

    member.kafka.ask(Ask::Pause, topic, None).await.unwrap();
    fill(&client, topic, 0, 10).await;
    let status = member.shows("a lag while paused", |status| status.partitions[0].lag_records == 10).await;
    assert_eq!(status.partitions[0].paused.as_deref(), Some("by its owner"));
    assert_eq!(member.pushed(), 5);

    member.kafka.ask(Ask::Skip { to: Some(12) }, topic, Some(0)).await.unwrap();
    assert!(member.kafka.ask(Ask::Skip { to: Some(2) }, topic, Some(0)).await.is_err(), "never backwards");
    assert!(member.kafka.ask(Ask::Skip { to: None }, topic, Some(0)).await.is_err(), "nothing is damaged");
    assert!(member.kafka.ask(Ask::Pause, "another", None).await.is_err(), "not ours");
    member.kafka.ask(Ask::Resume, topic, None).await.unwrap();
    let left = member.take(3).await;
    assert_eq!(offsets(&left), [12, 13, 14]);
    ack(left);
    committed(&client, topic, topic, 15).await;
    member.leave().await.unwrap();
}
