//! What the tests share: brokers, waiting for what has no event, and a path that does as it is told.

use outrigger_kafka::Cluster;
use outrigger_testkit::{
    kafka::{self, Broker},
    process::WAIT_MAX,
};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A broker that one test at a time may stop, freeze and cut off. It runs again whenever a test gets it.
pub(crate) type Harmed = tokio::sync::MutexGuard<'static, Option<Broker>>;

/// The broker that may be harmed, or `None` after the skip of `test`.
pub(crate) async fn harmed(test: &str) -> Option<(Harmed, Broker)> {
    static HARMED: tokio::sync::Mutex<Option<Broker>> = tokio::sync::Mutex::const_new(None);
    let mut held = HARMED.lock().await;
    if held.is_none() {
        *held = Some(kafka::broker(test).await?);
    }
    let broker = held.clone()?;
    if broker.pid().is_none() {
        broker.start_again().await;
    }
    Some((held, broker))
}

/// A cluster that begins at `bootstrap`, with librdkafka's properties.
pub(crate) fn cluster(bootstrap: &str, properties: &[(&str, &str)]) -> Cluster {
    let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    // A broker that comes back is noticed at once, so that tests of it are quick.
    let quick = [("reconnect.backoff.max.ms".to_owned(), "200".to_owned())];
    Cluster {
        brokers: vec![bootstrap.to_owned()],
        client_id: "test".to_owned(),
        tls: None,
        sasl: None,
        properties: quick.into_iter().chain(properties).collect(),
    }
}

/// Looks until there is something to see; `what` names it where there never is.
pub(crate) async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "never seen: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}
