//! Members that come and go, and topics that grow: each record is settled once as long as everybody takes leave.

use crate::{
    rig::{Member, Seen, ack, source},
    source::fill,
};
use outrigger_core::Settlement;
use outrigger_kafka::{Config, Rebalance, StartAt};
use outrigger_testkit::kafka::{self, Broker};
use std::collections::BTreeSet;

const PARTITIONS: i32 = 4;

fn config(broker: &Broker, topic: &str, rebalance: Rebalance) -> Config {
    let mut config = source(broker, topic, &[topic]);
    config.rebalance = rebalance;
    config
}

/// Writes `count` records to each partition.
async fn fill_all(broker: &Broker, topic: &str, count: usize) {
    for partition in 0..PARTITIONS {
        fill(&broker.client(), topic, partition, count).await;
    }
}

async fn come_and_go(broker: &Broker, topic: &str, rebalance: Rebalance) {
    broker.client().create_topic(topic, PARTITIONS, &[]).await.unwrap();
    fill_all(broker, topic, 50).await;
    let first = Member::acking(config(broker, topic, rebalance));
    first.has(4).await;
    fill_all(broker, topic, 50).await;
    let second = Member::acking(config(broker, topic, rebalance));
    second.has(2).await;
    first.has(2).await;
    fill_all(broker, topic, 50).await;
    let both = || first.pushed() + second.pushed();
    crate::rig::until("what both get", || (both() == 600).then_some(())).await;

    let (path, fenced) = (first.path.clone(), first.kafka.status().fenced);
    first.leave().await.unwrap();
    second.has(4).await;
    fill_all(broker, topic, 50).await;
    crate::rig::until("the rest", || (path.acked().len() + second.acked().len() == 800).then_some(())).await;
    let seen: Vec<Seen> = path.acked().into_iter().chain(second.acked()).collect();
    let different: BTreeSet<_> = seen.iter().collect();
    assert_eq!((seen.len(), different.len(), fenced), (800, 800, 0), "each once");
    second.leave().await.unwrap();
    let committed = broker.client().committed(topic, topic).await.unwrap();
    assert!(committed.len() == 4 && committed.values().all(|it| it.offset == 200), "{committed:?}");
}

#[tokio::test]
async fn cooperative_members_come_and_go_and_each_record_is_settled_once() {
    let test = "cooperative_members_come_and_go_and_each_record_is_settled_once";
    let Some(broker) = kafka::shared(test).await else { return };
    come_and_go(broker, "group-cooperative", Rebalance::Cooperative).await;
}

#[tokio::test]
async fn eager_members_come_and_go_and_each_record_is_settled_once() {
    let Some(broker) = kafka::shared("eager_members_come_and_go_and_each_record_is_settled_once").await
    else {
        return;
    };
    come_and_go(broker, "group-eager", Rebalance::Eager).await;
}

#[tokio::test]
async fn what_runs_when_its_partition_is_given_up_is_finished_first_and_not_repeated() {
    let test = "what_runs_when_its_partition_is_given_up_is_finished_first_and_not_repeated";
    let Some(broker) = kafka::shared(test).await else { return };
    let topic = "group-running";
    broker.client().create_topic(topic, PARTITIONS, &[]).await.unwrap();
    fill_all(broker, topic, 5).await;
    let first = Member::start(config(broker, topic, Rebalance::Cooperative), 1_000);
    let running = first.take(20).await;
    let second = Member::acking(config(broker, topic, Rebalance::Cooperative));
    // The path is told that two partitions are given up; what runs goes on until it ends.
    let unwanted = || running.iter().filter(|it| !it.receipt.wanted()).count();
    crate::rig::until("what is given up", || (unwanted() == 10).then_some(())).await;
    ack(running);
    second.has(2).await;
    fill_all(broker, topic, 1).await;
    crate::rig::until("what is new", || (second.pushed() == 2).then_some(())).await;
    assert!(second.acked().iter().all(|seen| seen.offset == 5), "{:?}", second.acked());
    ack(first.take(2).await);
    assert_eq!(first.kafka.status().fenced, 0);
    first.leave().await.unwrap();
    second.leave().await.unwrap();
}

#[tokio::test]
async fn what_settles_too_late_is_fenced_off_and_comes_to_the_next_owner() {
    let Some(broker) = kafka::shared("what_settles_too_late_is_fenced_off_and_comes_to_the_next_owner").await
    else {
        return;
    };
    let topic = "group-late";
    broker.client().create_topic(topic, PARTITIONS, &[]).await.unwrap();
    fill_all(broker, topic, 1).await;
    let mut impatient = config(broker, topic, Rebalance::Cooperative);
    impatient.revoke_timeout = std::time::Duration::from_millis(100);
    let first = Member::start(impatient, 1_000);
    let running = first.take(4).await;
    let second = Member::acking(config(broker, topic, Rebalance::Cooperative));
    second.has(2).await;
    crate::rig::until("what comes again", || (second.pushed() == 2).then_some(())).await;
    ack(running);
    first.shows("what was fenced off", |status| status.fenced == 2).await;
    first.leave().await.unwrap();
    second.leave().await.unwrap();
}

#[tokio::test]
async fn a_static_member_that_restarts_moves_no_partition() {
    let Some(broker) = kafka::shared("a_static_member_that_restarts_moves_no_partition").await else {
        return;
    };
    let topic = "group-static";
    broker.client().create_topic(topic, PARTITIONS, &[]).await.unwrap();
    let member = |instance: &str| {
        let mut config = config(broker, topic, Rebalance::Cooperative);
        config.instance = Some(instance.to_owned());
        Member::acking(config)
    };
    let (stays, restarts) = (member("stays"), member("restarts"));
    stays.has(2).await;
    restarts.has(2).await;
    let named = |member: &Member| -> BTreeSet<i32> {
        member.kafka.status().partitions.iter().map(|it| it.partition).collect()
    };
    let (before, rebalances) = (named(&restarts), stays.kafka.status().rebalances);
    restarts.leave().await.unwrap();
    fill_all(broker, topic, 10).await;
    let restarted = member("restarts");
    restarted.has(2).await;
    crate::rig::until("all", || (stays.pushed() + restarted.pushed() == 40).then_some(())).await;
    assert_eq!(named(&restarted), before);
    assert_eq!(stays.kafka.status().rebalances, rebalances);
    stays.leave().await.unwrap();
    restarted.leave().await.unwrap();
}

#[tokio::test]
async fn a_pattern_finds_topics_and_partitions_that_are_made_later() {
    let Some(broker) = kafka::shared("a_pattern_finds_topics_and_partitions_that_are_made_later").await
    else {
        return;
    };
    let client = broker.client();
    client.create_topic("pattern-a", 1, &[]).await.unwrap();
    let mut config = source(broker, "pattern", &["^pattern-.*"]);
    config.start = StartAt::Earliest;
    let member = Member::start(config, 1_000);
    member.has(1).await;
    client.create_topic("pattern-b", 1, &[]).await.unwrap();
    fill(&client, "pattern-b", 0, 1).await;
    let found = member.next().await;
    assert_eq!(Seen::of(&found), Seen { partition: "pattern-b/0".to_owned(), offset: 0 });
    client.add_partitions("pattern-b", 2).await.unwrap();
    fill(&broker.client(), "pattern-b", 1, 1).await; // a producer that knows of the partition
    let grown = member.next().await;
    assert_eq!(Seen::of(&grown), Seen { partition: "pattern-b/1".to_owned(), offset: 0 });
    client.delete_topic("pattern-a").await.unwrap();
    member.shows("that one is gone", |status| status.partitions.len() == 2).await;
    fill(&client, "pattern-b", 0, 1).await;
    let last = member.next().await;
    assert_eq!(Seen::of(&last).offset, 1);
    for delivery in [found, grown, last] {
        delivery.receipt.settle(Settlement::Ack(None));
    }
    member.leave().await.unwrap();
    assert_eq!(client.committed("pattern", "pattern-b").await.unwrap()[&0].offset, 2);
}

#[tokio::test]
async fn a_partition_that_is_added_is_read_whole_even_where_the_others_began_at_their_ends() {
    let test = "a_partition_that_is_added_is_read_whole_even_where_the_others_began_at_their_ends";
    let Some(broker) = kafka::shared(test).await else { return };
    let (client, topic) = (broker.client(), "group-latest");
    client.create_topic(topic, 1, &[]).await.unwrap();
    fill(&client, topic, 0, 3).await;
    let mut config = config(broker, topic, Rebalance::Cooperative);
    config.start = StartAt::Latest;
    // Long enough that records are there before anybody notices their partition.
    let refresh = ("topic.metadata.refresh.interval.ms".to_owned(), "10000".to_owned());
    config.cluster.properties.extend([refresh]);
    let member = Member::start(config, 1_000);
    member.has(1).await;
    client.add_partitions(topic, 2).await.unwrap();
    fill(&broker.client(), topic, 1, 3).await;
    assert_eq!(member.kafka.status().partitions.len(), 1, "it was noticed too soon");
    let taken = member.take(3).await;
    assert!(taken.iter().all(|it| Seen::of(it).partition == "group-latest/1"));
    assert_eq!(crate::rig::offsets(&taken), [0, 1, 2]);
    ack(taken);
    member.leave().await.unwrap();
}
