//! The start: what is not there yet, what is wrong, and what readiness and the exit say of it, each in one line.

use crate::{
    common::Site,
    rig::{Rig, events},
};
use outrigger_function::{Function, Program};
use outrigger_testkit::{Outgoing, free_port, kafka};

/// The line of `/readyz` about Kafka once it holds `part`.
async fn line(site: &Site, part: &str) -> String {
    let (status, text) = site.until_readyz(part).await;
    let line =
        text.lines().find(|line| line.contains(" kafka: ")).unwrap_or_else(|| panic!("no Kafka in {text}"));
    assert!(status == 503 && line.starts_with("[-] ") && line.contains(part), "{status} {text}");
    line.to_owned()
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_said_with_what_to_do_and_the_drain_does_not_wait_for_it() {
    let function = Function::start(Program::default());
    let site = Site::of(&function).set("kafka.brokers", &format!("[\"127.0.0.1:{}\"]", free_port()));
    let site = site.set("ingress.kafka.topics", "[t]").set("ingress.kafka.group", "g");
    let mut process = site.launch().start().unwrap();
    let line = line(&site, "no broker can be reached").await;
    assert!(line.contains("check kafka.brokers"), "{line}");
    // What comes by HTTP is not held up.
    let answer =
        site.producer().send(&Outgoing::new("1", None), outrigger_testkit::Mode::Binary).await.unwrap();
    assert_eq!(answer.status(), 202);
    function.wait_for(|stats| stats.ended == 1).await;
    assert!(process.stop().await.success());
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_said_and_read_once_it_is_made() {
    let test = "a_topic_that_is_not_there_is_said_and_read_once_it_is_made";
    let Some(broker) = kafka::shared(test).await else { return };
    let rig = Rig::without_topic(&broker.client(), &broker.bootstrap(), test);
    let mut process = rig.site.launch().start().unwrap();
    let said = line(&rig.site, "there is no such topic").await;
    assert!(said.contains("create it"), "{said}");
    rig.client.create_topic(test, 3, &[]).await.unwrap();
    process.ready(rig.site.admin).await;
    rig.produce(events("e", 50, 5)).await;
    rig.all_is_well(0).await;
}

#[tokio::test]
async fn a_pattern_reads_the_topics_that_fit_also_those_that_are_made_later_and_no_others() {
    let test = "a_pattern_reads_the_topics_that_fit";
    let Some(broker) = kafka::shared(test).await else { return };
    let client = broker.client();
    let topics = ["one", "two", "late"].map(|name| format!("{test}-{name}"));
    let other = format!("other-{test}");
    for topic in topics[..2].iter().chain([&other]) {
        client.create_topic(topic, 1, &[]).await.unwrap();
    }
    let rig = Rig::without_topic(&client, &broker.bootstrap(), test)
        .set("ingress.kafka.topics", &format!("[\"^{test}-.*\"]"));
    let _process = rig.start().await;
    rig.site.until_readyz("kafka: ok; 2 partitions").await;
    client.create_topic(&topics[2], 1, &[]).await.unwrap();
    rig.site.until_readyz("kafka: ok; 3 partitions").await;
    for topic in topics.iter().chain([&other]) {
        client.produce([kafka::Record::new(topic, "x")]).await.unwrap();
    }
    rig.function.wait_for(|stats| stats.ended == 3).await;
    let mut sources: Vec<_> = rig.function.log().into_iter().filter_map(|record| record.source).collect();
    sources.sort();
    let mut expected = topics.map(|topic| format!("/kafka/{topic}").into_boxed_str());
    expected.sort();
    assert_eq!(sources, expected);
}

#[tokio::test]
async fn a_member_whose_name_is_taken_by_another_ends_and_says_why() {
    let test = "a_member_whose_name_is_taken_by_another_ends_and_says_why";
    let Some(rig) = Rig::new(test, 2).await else { return };
    let rig = rig.set("ingress.kafka.instance", "same");
    let mut first = rig.start().await;
    rig.produce(events("before", 20, 5)).await;
    rig.until_paid().await;
    let second = rig.sibling().set("ingress.kafka.instance", "same");
    let _second = second.start().await;
    let ended = first.wait().await;
    assert_eq!(ended.code(), Some(1), "{}", first.log());
    first.line("another member has our ingress.kafka.instance").await;
    rig.produce(events("after", 20, 5)).await;
    rig.until_paid().await;
}

#[tokio::test]
async fn what_librdkafka_refuses_is_a_wrong_configuration() {
    let function = Function::start(Program::default());
    for (properties, part) in [
        ("{no.such.property: 1}", "no.such.property"),
        ("{enable.auto.commit: true}", "enable.auto.commit"),
        ("{max.poll.interval.ms: 1000}", "max.poll.interval.ms"),
    ] {
        let site = Site::of(&function)
            .set("kafka.brokers", "[\"127.0.0.1:9092\"]")
            .set("ingress.kafka.topics", "[t]")
            .set("ingress.kafka.group", "g")
            .set("kafka.properties", properties);
        let said = site.refused().await;
        assert!(said.one_line(2).contains(part), "{said:?}");
    }
}
