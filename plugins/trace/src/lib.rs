//! Spans, metrics and timelines of events, for Outrigger.
//!
//! What happens to an event is noted in its [`outrigger_core::Timeline`], which costs a few nanoseconds a step. Everything
//! else is made of that once the event is settled, and most of it in a thread beside the path.
//!
//! In reading order: [`config`]; [`context`] reads and writes where in a trace somebody is (W3C, B3, X-Ray); `begin` decides
//! at the start of a timeline, `finish` at its end, whether it is kept; [`ring`] keeps the last ones for people;
//! [`spans`] makes spans of them (pure); `queue`, `export`, `otlp`, `post` and `answer` bring those to a collector, and [`metrics`] what is
//! counted.
//!
//! Nothing here can fail an event: what finds no room is dropped and counted.

mod answer;
mod begin;
pub mod config;
pub mod context;
mod export;
mod finish;
mod hex;
pub mod metrics;
mod otlp;
mod post;
mod queue;
pub mod ring;
pub mod spans;

pub use config::{Config, Export, Outward, Propagator, Protocol, Sampling, Tls, Way, Whereto};

use export::Exporter;
use outrigger_core::{
    BoxFuture, Error, Event, Kind, Observe, Plugin, Result, Settlement, Timeline,
    timeline::{Ended, Subject},
};
use ring::Ring;
use std::sync::{Arc, Mutex, PoisonError};

/// Its configured name.
pub const NAME: &str = "trace";

/// The plugin. Cheap to share.
#[derive(Clone)]
pub struct Trace(Arc<Inner>);

struct Inner {
    begin: begin::Begin,
    keep: finish::Keep,
    ring: Ring,
    exporter: Option<Exporter>,
}

/// What it did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events and requests whose spans the collector has.
    pub exported: u64,
    /// Those whose spans were dropped: the queue was full, or the collector did not take them.
    pub dropped: u64,
    /// Those that wait in the queue.
    pub queued: u64,
    /// Requests to the collector that failed, of spans and of metrics.
    pub failed: u64,
}

impl Trace {
    /// The plugin, its thread started. Connects to nobody before there is something to send.
    ///
    /// # Errors
    /// `Invalid` when a setting is not what the exporter takes; `Storage` when there can be no thread.
    pub fn new(config: Config) -> Result<Self> {
        let exporter = config.export.map(Exporter::start).transpose()?;
        let rng = Mutex::new(config.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed));
        Ok(Self(Arc::new(Inner {
            begin: begin::Begin::new(config.sampling, &config.propagators, config.baggage, rng),
            keep: finish::Keep { errors: config.errors, slow: config.slow },
            ring: Ring::new(config.ring_events, config.ring_bytes),
            exporter,
        })))
    }

    /// Says where what is counted is read, for the collector. Without it no metrics are sent.
    pub fn report(&self, gather: metrics::Gather) {
        if let Some(exporter) = &self.0.exporter {
            exporter.report(gather);
        }
    }

    /// The timelines of events of this id that are still known, the oldest first.
    #[must_use]
    pub fn timelines(&self, id: &str) -> Vec<Timeline> {
        self.0.ring.of(id)
    }

    /// When the oldest timeline that is still known began; none where there is none.
    #[must_use]
    pub fn known_since(&self) -> Option<std::time::Instant> {
        self.0.ring.since()
    }

    /// What it did so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.exporter.as_ref().map(Exporter::counts).unwrap_or_default()
    }
}

impl Plugin for Trace {
    fn name(&self) -> &str {
        NAME
    }

    fn observe(&self) -> Option<Arc<dyn Observe>> {
        Some(self.0.clone())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if let Some(exporter) = &self.0.exporter {
                exporter.close().await;
            }
        })
    }
}

impl Observe for Inner {
    fn began(&self, event: Option<&mut Event>, headers: &[(String, String)], timeline: &Timeline) {
        self.begin.begin(event.as_deref(), headers, timeline);
        if timeline.about().is_some_and(|about| about.subject == Subject::Event) {
            self.ring.push(timeline.clone());
        }
    }

    fn branched(&self, timelines: &[Timeline]) {
        for timeline in timelines {
            self.ring.push(timeline.clone());
        }
    }

    /// Of an event that goes to several targets all is kept or nothing: parts of a trace explain little.
    fn finished(&self, _event: Option<&Event>, _settlement: &Settlement, timeline: &Timeline) {
        match timeline.end() {
            Ended::Alone => self.ring.ended(self.end(timeline)),
            Ended::Open => {}
            Ended::All(all) => self.end_together(all),
        }
    }

    fn answered(&self, timeline: &Timeline) {
        self.end(timeline);
    }
}

impl Inner {
    /// Keeps the spans of what has ended where they are to be kept. Gives back its steps.
    fn end(&self, timeline: &Timeline) -> usize {
        let (keeps, steps) = self.keep.judge(timeline);
        if let Some(exporter) = self.exporter.as_ref().filter(|_| keeps) {
            exporter.push(timeline.clone());
        }
        steps
    }

    /// The same of an event that went to several targets.
    fn end_together(&self, all: Vec<Timeline>) {
        let judged: Vec<_> = all.iter().map(|timeline| self.keep.judge(timeline)).collect();
        if let Some(exporter) = self.exporter.as_ref().filter(|_| judged.iter().any(|(keeps, _)| *keeps)) {
            for timeline in all {
                exporter.push(timeline);
            }
        }
        for (_, steps) in judged {
            self.ring.ended(steps);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn invalid(what: impl std::fmt::Display) -> Error {
    Error::new(Kind::Invalid, format!("trace: {what}"))
}
