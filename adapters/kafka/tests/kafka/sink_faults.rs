//! Brokers that are down, slow, or give the producer up: nothing is lost, nothing is there twice.

use crate::{
    rig::{cluster, harmed, until},
    sink::{event, sink_with},
};
use outrigger_core::{Error, Event, Kind, Retry, Sink};
use outrigger_kafka::{Cluster, KafkaSink, Sasl, Secret, SinkConfig};
use outrigger_testkit::kafka::{self, Broker, Door, Resource, SecureBroker};
use rdkafka::{
    mocking::MockCluster,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;

fn events(data: &[u8], count: usize) -> Vec<Event> {
    (0..count).map(|n| event(&format!("{n:04}"), data.to_vec())).collect()
}

fn spawn(sink: &Arc<KafkaSink>, events: Vec<Event>) -> Vec<JoinHandle<Result<(), Error>>> {
    let send = |event: Event| {
        let sink = sink.clone();
        tokio::spawn(async move { sink.send(&event).await })
    };
    events.into_iter().map(send).collect()
}

async fn ids(broker: &Broker, topic: &str) -> Vec<String> {
    let found = broker.client().read(topic).await.unwrap();
    let mut ids: Vec<_> = found.iter().map(|record| record.header("ce_id").unwrap()).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn a_broker_that_is_killed_while_it_is_written_to_has_each_record_once() {
    let test = "a_broker_that_is_killed_while_it_is_written_to_has_each_record_once";
    let Some((_held, broker)) = harmed(test).await else { return };
    broker.client().create_topic("sink-killed", 3, &[]).await.unwrap();
    let sink = sink_with(&broker, "sink-killed", |_| ());
    let mut sent = events(b"x", 600);
    let second = sent.split_off(300);
    let mut writes = spawn(&sink, sent);
    until("the first writes", || (sink.counts().written > 50).then_some(())).await;
    broker.kill().await;
    writes.extend(spawn(&sink, second));
    let told = until("that the broker is gone", || sink.trouble()).await;
    assert!(told.contains("kafka.brokers"), "{told}");
    broker.start_again().await;
    for write in writes {
        write.await.unwrap().unwrap();
    }
    let expected: Vec<_> = (0..600).map(|n| format!("{n:04}")).collect();
    assert_eq!(ids(&broker, "sink-killed").await, expected);
    assert_eq!(sink.trouble(), None);
}

#[tokio::test]
async fn a_full_buffer_waits_and_what_is_not_acknowledged_in_time_may_be_tried_again() {
    let test = "a_full_buffer_waits_and_what_is_not_acknowledged_in_time_may_be_tried_again";
    let Some((_held, broker)) = harmed(test).await else { return };
    broker.client().create_topic("sink-full", 1, &[]).await.unwrap();
    let buffer_bytes_max = 64 << 10;
    let sink = sink_with(&broker, "sink-full", |config| config.buffer_bytes_max = buffer_bytes_max);
    sink.send(&event("first", "x")).await.unwrap();

    broker.pause();
    let writes = spawn(&sink, events(&[b'x'; 8 << 10], 40));
    until("a full buffer", || (sink.counts().waited >= 30).then_some(())).await;
    assert!(sink.counts().bytes <= buffer_bytes_max);
    let hasty = sink_with(&broker, "sink-full", |config| config.timeout = Duration::from_millis(300));
    let error = hasty.send(&event("late", "x")).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (Kind::TimedOut, Retry::Temporary), "{error}");
    assert_eq!(hasty.trouble().as_deref(), Some(error.message()));
    broker.resume();
    for write in writes {
        write.await.unwrap().unwrap();
    }
    hasty.flush(Duration::from_secs(10)).await.unwrap();
    let mut found = ids(&broker, "sink-full").await;
    found.retain(|id| id != "late"); // whether it got there is open
    assert_eq!(found.len(), 41);
}

#[tokio::test]
async fn a_producer_that_is_given_up_is_replaced() {
    // Nobody can make a real broker refuse what was granted at the right moment; librdkafka's own stand-in does.
    let stand_in = MockCluster::new(1).unwrap();
    stand_in.create_topic("replies", 1, 1).unwrap();
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED];
    stand_in.request_errors(RDKafkaApiKey::InitProducerId, &refused);
    let config = SinkConfig::new(cluster(&stand_in.bootstrap_servers(), &[]), "replies", "replies");
    let sink = KafkaSink::connect(config).unwrap();
    let writes = spawn(&sink, events(b"x", 3));
    for write in writes {
        let error = write.await.unwrap().unwrap_err();
        assert_eq!(error.retry(), Retry::Persistent, "{error}");
        assert!(error.message().contains("IdempotentWrite"), "{error}");
    }
    sink.send(&event("again", "x")).await.unwrap();
    assert_eq!(sink.counts().renewed, 1);
}

struct Password;

impl Secret for Password {
    fn read(&self) -> Result<String, String> {
        Ok(SecureBroker::password("alice").to_owned())
    }
}

#[tokio::test]
async fn a_forbidden_topic_is_told_and_once_granted_takes_the_next_write() {
    let Some(secure) = kafka::secure("a_forbidden_topic_is_told_and_once_granted_takes_the_next_write").await
    else {
        return;
    };
    let client = secure.broker().client();
    let alice =
        Sasl::Password { mechanism: "PLAIN", username: "alice".to_owned(), password: Arc::new(Password) };
    // What may not be described is remembered by librdkafka as well, as a topic that is missing.
    let (topic, operation) = ("no-describe", "Describe");
    client.create_topic(topic, 1, &[]).await.unwrap();
    secure.forbid("alice", &[operation], Resource::Topic(topic)).await;
    let cluster = Cluster { sasl: Some(alice), ..cluster(&secure.bootstrap(Door::Sasl), &[]) };
    let sink = KafkaSink::connect(SinkConfig::new(cluster, "replies", topic)).unwrap();
    let error = sink.send(&event("1", "1")).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (Kind::Storage, Retry::Persistent), "{error}");
    assert!(error.message().contains("grant") && error.message().contains(topic), "{error}");
    assert_eq!(sink.trouble().as_deref(), Some(error.message()));
    secure.allow("alice", &[operation], Resource::Topic(topic)).await;
    sink.send(&event("2", "2")).await.unwrap();
    assert_eq!(sink.trouble(), None);
    assert_eq!(ids(secure.broker(), topic).await, ["2"]);
}
