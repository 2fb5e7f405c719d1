//! What brokers push by HTTP, behind the ingress' own trait.

use crate::{
    config,
    ingress::{
        cloudevents::CloudEvents,
        confirm::Confirmer,
        github::GitHub,
        plain::{Ids, Plain},
    },
};
use fastrand::Rng;
use outrigger_core::{Inbound, Result};
use std::sync::Arc;

/// Whether what the configuration asks for is compiled in, and its files can be used. Nobody is asked.
///
/// # Errors
/// What is wrong, with the setting.
pub fn check(config: &config::Config) -> Result<()> {
    if let Some(push) = &config.ingress.pubsub_push {
        pubsub(push, &[])?;
    }
    for of in &config.ingress.origins {
        origin(of, Rng::with_seed(0))?;
        Confirmer::of_sns(of, &config.outgoing)?;
    }
    let Some(webhook) = &config.ingress.eventgrid_webhook else { return Ok(()) };
    eventgrid(webhook)?;
    Confirmer::of(webhook, &config.outgoing).map(drop)
}

/// Reads what Pub/Sub pushes, and of its messages the attributes of a hop.
///
/// # Errors
/// When the adapter is not compiled in.
#[cfg(feature = "pubsub")]
#[expect(clippy::unnecessary_wraps, reason = "without the adapter there is an error")]
pub fn pubsub(config: &config::PubsubPush, hop: &'static [&'static str]) -> Result<Arc<dyn Inbound>> {
    Ok(Arc::new(outrigger_pubsub::push::Push { topic: config.topic.as_str().into(), hop }))
}

/// Says that Pub/Sub is not there.
///
/// # Errors
/// Always.
#[cfg(not(feature = "pubsub"))]
pub fn pubsub(_config: &config::PubsubPush, _hop: &'static [&'static str]) -> Result<Arc<dyn Inbound>> {
    Err(super::left_out("pubsub", "leave ingress.pubsub_push out"))
}

/// Reads what Event Grid pushes.
///
/// # Errors
/// When the adapter is not compiled in.
#[cfg(feature = "eventgrid")]
#[expect(clippy::unnecessary_wraps, reason = "without the adapter there is an error")]
pub fn eventgrid(config: &config::EventGridWebhook) -> Result<Arc<dyn Inbound>> {
    use outrigger_eventgrid::webhook::{Validation, Webhook};
    let validation = match config.validation {
        config::Validation::Answer => Validation::Answer,
        config::Validation::Follow => Validation::Follow(config.validation_hosts.clone()),
        config::Validation::Refuse => Validation::Refuse,
    };
    Ok(Arc::new(Webhook { batch_events_max: config.batch_events_max, validation }))
}

/// Says that Event Grid is not there.
///
/// # Errors
/// Always.
#[cfg(not(feature = "eventgrid"))]
pub fn eventgrid(_config: &config::EventGridWebhook) -> Result<Arc<dyn Inbound>> {
    Err(super::left_out("eventgrid", "leave ingress.eventgrid_webhook out"))
}

/// Reads what one kind of other senders sends. `random` is for ids of requests that bring none.
///
/// # Errors
/// When its adapter is not compiled in.
pub fn origin(config: &config::Origin, random: Rng) -> Result<Arc<dyn Inbound>> {
    let events = CloudEvents { batch_events_max: config.batch_events_max };
    match config.from {
        config::From::Http => Ok(Arc::new(Plain {
            events,
            source: config.source().to_owned(),
            ty: config.ty().to_owned(),
            id_header: config.id_header.clone(),
            ids: Ids::new(random),
        })),
        config::From::GitHub => Ok(Arc::new(GitHub { answers: events })),
        config::From::Aws(service) => {
            aws(service, config.source.clone(), config.batch_events_max, &config.topics)
        }
    }
}

/// Reads what a service of AWS sends.
///
/// # Errors
/// When the adapter is not compiled in.
#[cfg(feature = "aws")]
#[expect(clippy::unnecessary_wraps, reason = "without the adapter there is an error")]
pub(super) fn aws(
    service: config::Service,
    queue: Option<String>,
    batch_events_max: usize,
    topics: &[String],
) -> Result<Arc<dyn Inbound>> {
    use outrigger_aws::{Push, Subscriptions, decode::Origin};
    let origin = match service {
        config::Service::EventBridge => Origin::EventBridge,
        config::Service::Lambda => Origin::Lambda,
        config::Service::S3 => Origin::S3,
        config::Service::Sns => Origin::Sns,
        config::Service::Sqs => Origin::Sqs,
    };
    let subscriptions =
        if topics.is_empty() { Subscriptions::Refuse } else { Subscriptions::Follow(topics.to_vec()) };
    Ok(Arc::new(Push { origin, queue, batch_events_max, subscriptions }))
}

/// Says that AWS is not there.
///
/// # Errors
/// Always.
#[cfg(not(feature = "aws"))]
pub(super) fn aws(
    _service: config::Service,
    _queue: Option<String>,
    _batch_events_max: usize,
    _topics: &[String],
) -> Result<Arc<dyn Inbound>> {
    Err(super::left_out("aws", "leave its ingress.origins out"))
}
