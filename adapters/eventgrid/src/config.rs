//! Every setting of the source, and of a place that is spoken to.

use crate::credential::{Credential, Place};
use http::Uri;
use outrigger_net::{client::Proxies, tls::ClientTls};
use std::{sync::Arc, time::Duration};

/// A place where Event Grid is spoken.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// A namespace's URL without a path, or a custom topic's with its path (`/api/events`).
    pub url: Uri,
    /// Which of the two it is.
    pub place: Place,
    /// The version of the protocol: `2024-06-01` for a namespace, `2018-01-01` for a custom topic.
    pub api_version: String,
    /// Who we are there.
    pub credential: Arc<Credential>,
    /// Whom we believe over https.
    pub tls: Arc<ClientTls>,
    /// The proxies on the way there.
    pub proxies: Proxies,
    /// How long one request may take, beside the wait of a long poll.
    pub timeout: Duration,
    /// The section of the configuration that says so, such as `eventgrid`, for what is told.
    pub section: &'static str,
}

/// A source: one subscription of one topic of a namespace.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its name in metrics, keys and dead letters.
    pub name: Arc<str>,
    /// The namespace.
    pub endpoint: Endpoint,
    /// The topic.
    pub topic: String,
    /// The subscription to it.
    pub subscription: String,
    /// The attributes that may be an event's ordering key, the first that it has.
    pub key: Vec<String>,
    /// Requests for events that are out at once, at least 1.
    pub polls: usize,
    /// How long the service may wait for events before it answers without any: 10 s to 2 min.
    pub wait: Duration,
    /// The most events that are asked for at once, 1 to 100.
    pub receive_events_max: usize,
    /// The largest answer with events; one that is longer is asked for again in smaller pieces.
    pub receive_bytes_max: usize,
    /// The most events in hand, with those whose outcome the service has not taken yet.
    pub events_max: usize,
    /// How long the subscription locks an event for who received it.
    pub lock: Duration,
    /// How long an event is held at most; one that nobody has begun with goes back then. Event Grid renews no lock
    /// beyond an hour.
    pub hold_max: Duration,
    /// How long the service keeps an event back that went back because it was held so long.
    pub hold_delay: Delay,
    /// How long it keeps an event back that goes back otherwise, such as at a drain.
    pub release_delay: Delay,
    /// How long an outcome waits for others to be told with it.
    pub tell_every: Duration,
    /// The most outcomes that are told at once.
    pub tell_events_max: usize,
    /// Requests that tell outcomes that are out at once, at least 1.
    pub tells: usize,
    /// The first wait and the longest after a request that failed.
    pub backoff: (Duration, Duration),
    /// How long the last outcomes of a drain may take.
    pub leave_timeout: Duration,
    /// Where waits get their jitter from.
    pub jitter: fastrand::Rng,
}

impl Config {
    /// The source of this subscription, everything else by default.
    #[must_use]
    pub fn new(endpoint: Endpoint, topic: &str, subscription: &str) -> Self {
        Self {
            name: "eventgrid".into(),
            endpoint,
            topic: topic.to_owned(),
            subscription: subscription.to_owned(),
            key: vec!["partitionkey".to_owned()],
            polls: 1,
            wait: Duration::from_mins(1),
            receive_events_max: 100,
            receive_bytes_max: 16 << 20,
            events_max: 2048,
            lock: Duration::from_mins(1),
            hold_max: Duration::from_mins(55),
            hold_delay: Delay::Hour,
            release_delay: Delay::None,
            tell_every: Duration::from_millis(20),
            tell_events_max: 100,
            tells: 2,
            backoff: (Duration::from_millis(500), Duration::from_secs(30)),
            leave_timeout: Duration::from_secs(5),
            jitter: fastrand::Rng::new(),
        }
    }
}

/// How long the service keeps an event back: it knows these five.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Delay {
    /// Not at all.
    None,
    /// 10 s.
    TenSeconds,
    /// 60 s.
    Minute,
    /// 600 s.
    TenMinutes,
    /// 3,600 s.
    Hour,
}

impl Delay {
    /// All of them, the shortest first.
    pub const ALL: [Self; 5] = [Self::None, Self::TenSeconds, Self::Minute, Self::TenMinutes, Self::Hour];

    /// Its length.
    #[must_use]
    pub fn seconds(self) -> u16 {
        match self {
            Self::None => 0,
            Self::TenSeconds => 10,
            Self::Minute => 60,
            Self::TenMinutes => 600,
            Self::Hour => 3600,
        }
    }

    /// The shortest that is at least `wait`, or the longest that there is.
    #[must_use]
    pub fn at_least(wait: Duration) -> Self {
        let long_enough = |delay: &Self| Duration::from_secs(delay.seconds().into()) >= wait;
        Self::ALL.into_iter().find(long_enough).unwrap_or(Self::Hour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_becomes_the_next_longer_delay_that_the_service_knows() {
        for (ms, expected) in [
            (0, 0),
            (1, 10),
            (10_000, 10),
            (10_001, 60),
            (60_001, 600),
            (600_001, 3600),
            (3_600_000, 3600),
            (9_000_000, 3600),
        ] {
            assert_eq!(Delay::at_least(Duration::from_millis(ms)).seconds(), expected, "{ms} ms");
        }
    }
}
