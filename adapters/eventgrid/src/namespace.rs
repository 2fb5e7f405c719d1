//! What a namespace is asked about one subscription: for events, and to take their outcomes.

use crate::{
    config::Config,
    decode::{self, Answer, Fate},
    locks::{Batch, Verb},
    service::{Call, Service},
    trouble::Asked,
};
use bytes::Bytes;
use outrigger_core::{Error, Kind, Result};
use std::time::Duration;

/// The largest answer that names lock tokens: one is at most a few hundred bytes.
const FATES_BYTES_MAX: usize = 4 << 20;
const JSON: &str = "application/json";

/// The subscription.
#[derive(Debug)]
pub(crate) struct Namespace {
    service: Service,
    /// `/topics/T/eventsubscriptions/S`
    path: String,
    /// For people.
    what: String,
    section: &'static str,
    bytes_max: usize,
}

impl Namespace {
    pub(crate) fn new(config: &Config) -> Self {
        let Config { topic, subscription, .. } = config;
        Self {
            service: Service::new(config.endpoint.clone()),
            path: format!("/topics/{topic}/eventsubscriptions/{subscription}"),
            what: format!("topic {topic}, subscription {subscription}"),
            section: config.endpoint.section,
            bytes_max: config.receive_bytes_max,
        }
    }

    /// Asks for at most `events_max` events, and has the service wait up to `wait` for the first of them.
    ///
    /// # Errors
    /// As [`Service::post`]; `BadAnswer` also where the answer holds no events as they should be.
    ///
    /// # Cancellation
    /// Dropping the future ends the wait; events that were under way come again once their locks have ended.
    pub(crate) async fn receive(&self, events_max: usize, wait: Duration) -> Result<Answer> {
        let (path, wait_s) = (&self.path, wait.as_secs());
        let call = Call {
            path: format!("{path}:receive?maxEvents={events_max}&maxWaitTime={wait_s}"),
            content_type: None,
            body: Bytes::new(),
            wait,
            bytes_max: self.bytes_max,
            asked: self.asked(),
        };
        let body = self.service.post(call).await?;
        decode::events(&body).map_err(|why| self.bad(&why))
    }

    /// Tells what became of events.
    ///
    /// # Errors
    /// As [`Service::post`]; then none of it counts.
    pub(crate) async fn tell(&self, verb: Verb, batch: &Batch) -> Result<Vec<Fate>> {
        match verb {
            Verb::Acknowledge => self.ask("acknowledge", batch).await,
            Verb::Reject => self.ask("reject", batch).await,
            Verb::Release(delay) => {
                self.ask(&format!("release?releaseDelayInSeconds={}", delay.seconds()), batch).await
            }
        }
    }

    /// Asks for locks to be renewed.
    ///
    /// # Errors
    /// As [`Service::post`]; then none is.
    pub(crate) async fn renew(&self, batch: &Batch) -> Result<Vec<Fate>> {
        self.ask("renewLock", batch).await
    }

    async fn ask(&self, action: &str, batch: &Batch) -> Result<Vec<Fate>> {
        let tokens = || batch.iter().map(|(_, token)| &**token);
        let call = Call {
            path: format!("{}:{action}", self.path),
            content_type: Some(JSON),
            body: decode::lock_tokens(tokens()),
            wait: Duration::ZERO,
            bytes_max: FATES_BYTES_MAX,
            asked: self.asked(),
        };
        let body = self.service.post(call).await?;
        decode::fates(&body, tokens()).map_err(|why| self.bad(&why))
    }

    fn asked(&self) -> Asked<'_> {
        Asked { what: &self.what, role: "EventGrid Data Receiver", section: self.section }
    }

    fn bad(&self, why: &str) -> Error {
        Error::new(Kind::BadAnswer, format!("eventgrid: {}: {why}; it is tried again", self.what))
    }
}
