//! What brokers push by HTTP, behind the ingress' own trait.

use crate::config;
use outrigger_core::{Inbound, Result};
use std::sync::Arc;

/// Reads what Pub/Sub pushes.
///
/// # Errors
/// When the adapter is not compiled in.
#[cfg(feature = "pubsub")]
pub fn pubsub(config: &config::PubsubPush) -> Result<Arc<dyn Inbound>> {
    Ok(Arc::new(outrigger_pubsub::push::Push { topic: config.topic.as_str().into() }))
}

/// Says that Pub/Sub is not there.
///
/// # Errors
/// Always.
#[cfg(not(feature = "pubsub"))]
pub fn pubsub(_config: &config::PubsubPush) -> Result<Arc<dyn Inbound>> {
    Err(super::left_out("pubsub", "leave ingress.pubsub_push out"))
}

/// Reads what Event Grid pushes.
///
/// # Errors
/// When the adapter is not compiled in.
#[cfg(feature = "eventgrid")]
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
