//! A real Kafka for tests: brokers that are started, stopped, killed, cut off and secured, and a client that
//! knows what is really in them.
//!
//! Every test begins with the line that skips it where Kafka is not there:
//!
//! ```no_run
//! # use outrigger_testkit::kafka;
//! # async fn a_record_comes_back() {
//! let Some(kafka) = kafka::shared("a_record_comes_back").await else { return };
//! let client = kafka.client();
//! client.create_topic("orders", 3, &[]).await.unwrap();
//! # }
//! ```
//!
//! [`shared`] gives the one broker of this test process, on which each test takes topics and groups of its own
//! names; [`broker`] one that the test may stop and kill; [`broker_with`] one with settings; [`cluster`] several;
//! [`secure`] one with TLS, logins and rules.
//!
//! The jars come from `scripts/kafka.sh`. A broker is a JVM of about 250 MB, is ready after two seconds where two
//! cores are idle, listens on 127.0.0.1 only, and dies with the test process however that ends.

mod broker;
mod certificates;
mod client;
mod home;
mod node;
mod read;
mod record;
mod secure;
mod settings;

use std::{future::Future, process::Command};

use tokio::sync::OnceCell;

pub use broker::{Broker, Cluster};
pub use client::{Client, Transaction};
pub use rdkafka::{
    config::ClientConfig,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
pub use read::Committed;
pub use record::{Record, Stored};
pub use secure::{Door, Login, Resource, SecureBroker};
pub use settings::Settings;

use home::Home;

/// One broker for every test of this process that does not harm it, or `None` after the test `test` was
/// reported as skipped. Tests that share it share its topics and groups, too: each takes names of its own.
///
/// # Panics
/// It did not start; with what it wrote.
pub async fn shared(test: &str) -> Option<&'static Broker> {
    static SHARED: OnceCell<Broker> = OnceCell::const_new();
    let home = found(test)?;
    Some(SHARED.get_or_init(|| Broker::start(home, Settings::default())).await)
}

/// A broker of its own for the test `test`, or `None` after that was reported as skipped.
///
/// # Panics
/// As [`shared`].
pub async fn broker(test: &str) -> Option<Broker> {
    broker_with(test, Settings::default()).await
}

/// As [`broker`], with settings.
///
/// # Panics
/// As [`shared`].
pub async fn broker_with(test: &str, settings: Settings) -> Option<Broker> {
    or_skip(test, |home| Broker::start(home, settings)).await
}

/// A cluster of `nodes` brokers that are controllers as well, or `None` after the test `test` was reported as
/// skipped. Of three, any one may be killed: topics have three replicas, and two suffice.
///
/// # Panics
/// As [`shared`].
pub async fn cluster(test: &str, nodes: u16) -> Option<Cluster> {
    cluster_with(test, nodes, Settings::default()).await
}

/// As [`cluster`], with settings that hold for each node.
///
/// # Panics
/// As [`shared`].
pub async fn cluster_with(test: &str, nodes: u16, settings: Settings) -> Option<Cluster> {
    or_skip(test, |home| Cluster::start(home, nodes, settings)).await
}

/// One secure broker for every test of this process that does not harm it, as [`shared`].
///
/// # Panics
/// As [`shared`].
pub async fn secure(test: &str) -> Option<&'static SecureBroker> {
    static SHARED: OnceCell<SecureBroker> = OnceCell::const_new();
    let home = found(test)?;
    Some(SHARED.get_or_init(|| SecureBroker::start(home, Settings::default())).await)
}

/// A secure broker of its own for the test `test`, as [`broker_with`].
///
/// # Panics
/// As [`shared`].
pub async fn secure_with(test: &str, settings: Settings) -> Option<SecureBroker> {
    or_skip(test, |home| SecureBroker::start(home, settings)).await
}

/// One of Kafka's own tools, with the JVM's own settings as Kafka's scripts start it, or `None` where Kafka is
/// absent.
#[must_use]
pub fn tool(class: &str, arguments: &[&str]) -> Option<Command> {
    Some(Home::find().ok()?.tool(class, arguments))
}

async fn or_skip<T, F: Future<Output = T>>(test: &str, start: impl FnOnce(Home) -> F) -> Option<T> {
    Some(start(found(test)?).await)
}

/// Kafka's home, or `None` after the skip of `test`. The prefix lets one line excuse all of them where a test
/// run may leave Kafka out.
fn found(test: &str) -> Option<Home> {
    match Home::find() {
        Ok(home) => Some(home),
        Err(absent) => {
            crate::skip(&format!("kafka/{test}"), &absent);
            None
        }
    }
}
