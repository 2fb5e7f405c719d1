//! How a target is treated, and what it works with.

use crate::telemetry::Metrics;
use fastrand::Rng;
use outrigger_core::{
    Call, DeadLetters, Ledger, Observe, Sink,
    decide::{breaker, step::Policy, verdict::Statuses},
};
use std::sync::Arc;

/// What happens to an event that the function failed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnPoison {
    /// It becomes a dead letter, and its key goes on.
    Skip,
    /// It holds its key until somebody releases it.
    Park,
}

/// How a target is treated.
#[derive(Debug, Clone)]
pub struct Settings {
    /// When an event is given up.
    pub policy: Policy,
    /// What the target's answers mean.
    pub statuses: Statuses,
    /// What happens to an event that is given up.
    pub on_poison: OnPoison,
    /// Calls at the same time, at least 1.
    pub concurrency: usize,
    /// Calls per second.
    pub per_second: Option<f64>,
    /// Retries over all events: fraction of first attempts, retries per second, burst.
    pub retry_budget: (f64, f64, f64),
    /// When calls pause because the target is down.
    pub breaker: breaker::Settings,
    /// How many [hops](outrigger_core::event::lineage::HOPS) a reply may have that is passed on.
    pub hops_max: u32,
}

/// What a target works with.
pub struct Parts {
    /// How it is called.
    pub call: Arc<dyn Call>,
    /// Where given-up events rest.
    pub dead: Arc<dyn DeadLetters>,
    /// Where events go that it answers with; none drops them.
    pub replies: Option<Arc<dyn Sink>>,
    /// What is already done; asked only where deduplication is on.
    pub ledger: Option<Arc<dyn Ledger>>,
    /// Who sees finished events.
    pub observers: Vec<Arc<dyn Observe>>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The dice.
    pub rng: Rng,
}
