//! The sink against Google's in-memory server: its bound, failures that pass, and writes that nobody awaits any more.

#![allow(missing_docs, reason = "tests")]

use outrigger_pubsub::{Link, PubsubSink, SinkConfig, encode::Outgoing};
use outrigger_testkit::{
    process::WAIT_MAX,
    pubsub::{self, Fault, PROJECT, Server},
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout};

fn sink(server: &Server, change: impl FnOnce(&mut SinkConfig)) -> Arc<PubsubSink> {
    let link = Link::emulator(&server.address().to_string(), Some(PROJECT));
    let mut config = SinkConfig::new(link, "replies", "replies");
    change(&mut config);
    PubsubSink::new(config).unwrap()
}

fn message(bytes: usize, key: &str) -> Outgoing {
    Outgoing { data: vec![b'x'; bytes].into(), ordering_key: key.to_owned(), ..Outgoing::default() }
}

async fn until(what: &str, mut wanted: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT_MAX;
    while !wanted() {
        assert!(Instant::now() < deadline, "{what} did not come");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_full_buffer_makes_writes_wait_until_what_is_on_its_way_has_arrived() {
    let test = "a_full_buffer_makes_writes_wait_until_what_is_on_its_way_has_arrived";
    let Some(server) = pubsub::google(test) else { return };
    server.topic("replies").await;
    let down = Fault { method: "Publish", code: "UNAVAILABLE", times: -1, reason: "" };
    server.fault(&down).await;
    let sink = sink(&server, |config| config.buffer_bytes_max = 2500);
    let write = || {
        let sink = sink.clone();
        tokio::spawn(async move { sink.write(message(900, "")).await })
    };
    let (first, second) = (write(), write());
    until("two writes", || sink.counts().bytes > 2000).await;
    let third = write();
    until("the wait", || sink.counts().waited == 1).await;
    // Nobody awaits it any more, and the client still has it: its room is not free.
    first.abort();
    assert!(timeout(WAIT_MAX, first).await.unwrap().unwrap_err().is_cancelled());
    assert!(sink.counts().bytes > 2000);
    server.clear_faults().await;
    second.await.unwrap().unwrap();
    third.await.unwrap().unwrap();
    until("an empty buffer", || sink.counts().bytes == 0).await;
    assert_eq!(server.messages("replies").await.len(), 3);
    assert_eq!((sink.counts().written, sink.trouble()), (2, None));
}

#[tokio::test]
async fn a_write_that_fails_says_why_and_does_not_stop_its_key() {
    let test = "a_write_that_fails_says_why_and_does_not_stop_its_key";
    let Some(server) = pubsub::google(test) else { return };
    let sink = sink(&server, |config| config.timeout = Duration::from_secs(5));
    let error = sink.write(message(1, "k")).await.unwrap_err();
    assert!(error.message().contains("projects/test/topics/replies: NOT_FOUND"), "{error}");
    assert_eq!(sink.trouble(), Some(error.to_string()));
    server.topic("replies").await;
    sink.write(message(1, "k")).await.unwrap();
    assert_eq!((sink.trouble(), sink.counts().failed), (None, 1));

    let error = sink.write(message(10_000_001, "k")).await.unwrap_err();
    assert_eq!(error.retry(), outrigger_core::Retry::Permanent, "{error}");
    assert_eq!(sink.trouble(), None, "the message is to blame");
}
