//! What is counted, and how it is logged.
//!
//! Names follow OpenTelemetry's conventions in Prometheus' spelling (units and `_total` last). Labels are bounded:
//! names from the configuration, codes and statuses, never anything that an event brings. Gauges are read when
//! somebody asks.

#[cfg(feature = "trace")]
mod families;
mod labels;
mod made;
mod shown;
mod tally;

use crate::ingress::webhook::Refusal;
use hdrhistogram::Histogram as Percentiles;
use labels::{ByLabel, failure_label, status_label};
use made::Maker;
use outrigger_core::{Code, Error, Kind, OnAnother, Result};
use outrigger_net::auth::Why;
use prometheus::{Encoder, Histogram, IntCounter, IntCounterVec, IntGauge, Registry, TextEncoder};
use shown::Shown;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tally::Targets;
pub use tally::{RuleCounts, Tally};

const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// How an event left, when it was neither delivered nor dead-lettered.
#[derive(Debug, Clone, Copy)]
pub enum Ended {
    /// A caller who waited was told that it failed.
    Rejected,
    /// The caller hung up before its turn.
    Abandoned,
    /// Its mark said that the target has it already.
    Duplicate,
}

/// What became of a configuration that was read again.
#[derive(Debug, Clone, Copy)]
pub enum Reloaded {
    /// It holds, as far as it can without a restart.
    Applied,
    /// It has mistakes, and the old one holds.
    Refused,
}

impl Reloaded {
    const fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
        }
    }
}

/// All counters of the process.
pub struct Metrics {
    registry: Registry,
    accepted: IntCounter,
    delivered: IntCounter,
    retried: IntCounter,
    parked: IntCounter,
    dead: IntCounterVec,
    dead_failed: IntCounter,
    replied: IntCounter,
    reply_cut: IntCounter,
    reply_failed: IntCounter,
    ended: IntCounterVec,
    conflicting: IntCounterVec,
    refused: IntCounterVec,
    webhook_refused: IntCounterVec,
    delivery_seconds: Histogram,
    attempt_seconds: ByLabel,
    request_seconds: ByLabel,
    pushed: IntCounterVec,
    /// By target and by rule: empty where there are no routes.
    targets: Targets,
    proxy_seconds: ByLabel,
    proxy_refused: IntCounterVec,
    restarts: IntCounter,
    reloads: IntCounterVec,
    plugin_panics: IntCounterVec,
    gauges: Mutex<HashMap<&'static str, IntGauge>>,
    shown: Mutex<HashMap<&'static str, Shown>>,
    percentiles: Mutex<Percentiles<u64>>,
}

/// The counters that the live table shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Totals {
    /// Events accepted by the ingress.
    pub accepted: u64,
    /// Events that the function has.
    pub delivered: u64,
    /// Attempts that were followed by another.
    pub retried: u64,
    /// Events that became dead letters.
    pub dead_lettered: u64,
    /// Median from admission to delivery, in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile of the same.
    pub p99_ms: f64,
}

impl Metrics {
    /// Registers everything at zero.
    ///
    /// # Errors
    /// Two metrics of one name: a mistake in this file.
    pub fn new() -> Result<Self> {
        let registry = Registry::new();
        let made = Maker(&registry);
        Ok(Self {
            reloads: reloads(&made)?,
            plugin_panics: plugin_panics(&made)?,
            webhook_refused: webhook_refused(&made)?,
            accepted: made.counter("outrigger_events_accepted_total", "Events accepted by the ingress")?,
            delivered: made.counter("outrigger_events_delivered_total", "Events that the function has")?,
            retried: made
                .counter("outrigger_events_retried_total", "Failed attempts that are followed by another")?,
            parked: made
                .counter("outrigger_events_parked_total", "Events that were parked and hold their key")?,
            dead: dead(&made)?,
            dead_failed: made.counter(
                "outrigger_dead_letter_failures_total",
                "Dead letters that could not be written; their events are kept",
            )?,
            replied: made.counter("outrigger_replies_total", "Replies that are kept where they go")?,
            reply_cut: made.counter("outrigger_replies_cut_total", "Replies beyond replies.hops_max")?,
            reply_failed: made.counter(
                "outrigger_reply_failures_total",
                "Replies that could not be written; their events are kept",
            )?,
            ended: made.counters(
                "outrigger_events_ended_total",
                "Events that ended in another way",
                &["how"],
            )?,
            conflicting: conflicting(&made)?,
            refused: made.counters(
                "outrigger_auth_refused_total",
                "Requests of senders who were not let in",
                &["listener", "reason"],
            )?,
            delivery_seconds: made.histogram(
                "outrigger_delivery_duration_seconds",
                "From admission to the function's success",
            )?,
            attempt_seconds: made.histograms(
                "http_client_request_duration_seconds",
                "Calls of the function",
                "http_response_status_code",
            )?,
            request_seconds: made.histograms(
                "http_server_request_duration_seconds",
                "Requests to the ingress",
                "http_response_status_code",
            )?,
            pushed: pushed(&made)?,
            targets: Targets::new(&made)?,
            proxy_seconds: made.histograms(
                "outrigger_proxy_request_duration_seconds",
                "Requests that pass through, to the head of their answer",
                "http_response_status_code",
            )?,
            proxy_refused: made.counters(
                "outrigger_proxy_refused_total",
                "Requests that were not passed through, or not answered by the function",
                &["reason"],
            )?,
            restarts: made
                .counter("outrigger_function_restarts_total", "Restarts of the supervised function")?,
            gauges: Mutex::default(),
            shown: Mutex::default(),
            percentiles: Mutex::new(percentiles()?),
            registry,
        })
    }

    /// `count` events were accepted.
    pub fn accepted(&self, count: usize) {
        self.accepted.inc_by(count as u64);
    }

    /// One event was delivered, so long after its admission.
    pub fn delivered(&self, latency: Duration) {
        self.delivered.inc();
        self.delivery_seconds.observe(latency.as_secs_f64());
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.percentiles.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(us.max(1));
    }

    /// One attempt ended, with a status of the 2xx or without a success.
    pub fn attempted(&self, outcome: Result<u16, &Error>, took: Duration) {
        let label = match outcome {
            Ok(status) => status_label(status),
            Err(error) => error.http_status().map_or(failure_label(error), status_label),
        };
        self.attempt_seconds.observe(label, took);
    }

    /// One request to the ingress was answered.
    pub fn requested(&self, status: u16, took: Duration) {
        self.request_seconds.observe(status_label(status), took);
    }

    /// A broker that pushes was answered so, at the path of this name.
    pub fn pushed(&self, source: &str, status: u16) {
        self.pushed.with_label_values(&[source, status_label(status)]).inc();
    }

    /// One request was answered by way of the proxy.
    pub fn proxied(&self, status: u16, took: Duration) {
        self.proxy_seconds.observe(status_label(status), took);
    }

    /// One request was not passed through, or not answered by the function.
    pub fn proxy_refused(&self, reason: &'static str) {
        self.proxy_refused.with_label_values(&[reason]).inc();
    }

    /// A failed attempt is followed by another.
    pub fn retried(&self) {
        self.retried.inc();
    }

    /// An event holds its key.
    pub fn parked(&self) {
        self.parked.inc();
    }

    /// An event became a dead letter.
    pub fn dead(&self, code: Code) {
        self.dead.with_label_values(&[code.name()]).inc();
    }

    /// A dead letter could not be written.
    pub fn dead_failed(&self) {
        self.dead_failed.inc();
    }

    /// A reply is kept.
    pub fn replied(&self) {
        self.replied.inc();
    }

    /// A reply was not passed on, as its line is too long.
    pub fn reply_cut(&self) {
        self.reply_cut.inc();
    }

    /// A reply could not be written.
    pub fn reply_failed(&self) {
        self.reply_failed.inc();
    }

    /// An event left in another way.
    pub fn ended(&self, how: Ended) {
        let label = match how {
            Ended::Rejected => "rejected",
            Ended::Abandoned => "abandoned",
            Ended::Duplicate => "duplicate",
        };
        self.ended.with_label_values(&[label]).inc();
    }

    /// An event had the name of another one and another payload.
    pub fn conflicting(&self, then: OnAnother) {
        let outcome = match then {
            OnAnother::Deliver => "delivered",
            OnAnother::Bury => "rejected",
            OnAnother::Drop => "dropped",
        };
        self.conflicting.with_label_values(&[outcome]).inc();
    }

    /// A listener lets in only whom it knows: its refusals are shown from zero on.
    pub fn guarded(&self, listener: &str) {
        for why in Why::ALL {
            self.refused.with_label_values(&[listener, why.name()]);
        }
    }

    /// A listener did not let a request in.
    pub fn refused(&self, listener: &str, why: Why) {
        self.refused.with_label_values(&[listener, why.name()]).inc();
    }

    /// A webhook's handshake was refused.
    pub fn webhook_refused(&self, why: Refusal) {
        self.webhook_refused.with_label_values(&[why.name()]).inc();
    }

    /// The configuration was read again.
    pub fn reloaded(&self, result: Reloaded) {
        self.reloads.with_label_values(&[result.name()]).inc();
    }

    /// A plugin is there: its panics are shown from zero on.
    pub fn plugin_guarded(&self, plugin: &str) {
        self.plugin_panics.with_label_values(&[plugin]);
    }

    /// A plugin panicked.
    pub fn plugin_panicked(&self, plugin: &str) {
        self.plugin_panics.with_label_values(&[plugin]).inc();
    }

    /// The supervised function was started again.
    pub fn restarted(&self) {
        self.restarts.inc();
    }

    /// The counters of the live table.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let percentiles = self.percentiles.lock().unwrap_or_else(PoisonError::into_inner);
        let ms =
            |quantile| Duration::from_micros(percentiles.value_at_quantile(quantile)).as_secs_f64() * 1_000.0;
        Totals {
            accepted: self.accepted.get(),
            delivered: self.delivered.get(),
            retried: self.retried.get(),
            dead_lettered: Code::ALL
                .iter()
                .map(|code| self.dead.with_label_values(&[code.name()]).get())
                .sum(),
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
        }
    }

    /// The text exposition.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        // Writing to memory cannot fail, and the names were checked when they were registered.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8(text).unwrap_or_default()
    }
}

/// By what became of them, from zero on.
fn plugin_panics(made: &Maker<'_>) -> Result<IntCounterVec> {
    let what = "Panics of plugins, without which what they were asked for went on";
    made.counters("outrigger_plugin_panics_total", what, &["plugin"])
}

fn conflicting(made: &Maker<'_>) -> Result<IntCounterVec> {
    let what = "Events with the source and id of another one, and another payload";
    made.counters("outrigger_events_conflicting_total", what, &["outcome"])
}

fn pushed(made: &Maker<'_>) -> Result<IntCounterVec> {
    let labels = &["source", "http_response_status_code"];
    made.counters("outrigger_pushed_requests_total", "Requests to the paths of brokers that push", labels)
}

fn dead(made: &Maker<'_>) -> Result<IntCounterVec> {
    let (name, help) = ("outrigger_events_dead_lettered_total", "Events that became dead letters");
    let dead = made.counters(name, help, &["reason"])?;
    for code in Code::ALL {
        dead.with_label_values(&[code.name()]);
    }
    Ok(dead)
}

fn reloads(made: &Maker<'_>) -> Result<IntCounterVec> {
    let (name, help) = ("outrigger_config_reloads_total", "Configurations that were read again");
    let reloads = made.counters(name, help, &["result"])?;
    for result in [Reloaded::Applied, Reloaded::Refused] {
        reloads.with_label_values(&[result.name()]);
    }
    Ok(reloads)
}

/// By reason, from zero on.
fn webhook_refused(made: &Maker<'_>) -> Result<IntCounterVec> {
    let (name, help) = ("outrigger_webhook_refused_total", "Handshakes of webhooks that were refused");
    let refused = made.counters(name, help, &["reason"])?;
    for why in Refusal::ALL {
        refused.with_label_values(&[why.name()]);
    }
    Ok(refused)
}

fn percentiles() -> Result<Percentiles<u64>> {
    Percentiles::new_with_bounds(1, 3_600_000_000, 2)
        .map_err(|error| Error::new(Kind::Invalid, error.to_string()))
}

#[cfg(test)]
mod tests;
