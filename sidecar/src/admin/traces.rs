//! The timeline of one event, as people and programs see it: `GET /trace?id=…` on the owner's socket.
//!
//! Timelines are kept in memory, for as long as there is room and the process lives; beside them stands what the journal has,
//! which outlives it: the event while it waits or is kept, and its dead letters.

use super::{Admin, Answer as Reply, json_answer, line};
use crate::{
    control::Control,
    dead_api::{Dead, Filter, Summary},
    dispatch::now,
    events_api::{self, Events, Happened},
    registry::{Kept, Traces},
    settle::unix_ms,
};
use http::StatusCode;
use outrigger_core::{
    Result, Timeline,
    timeline::{Answer, Ending, Step},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

impl Admin {
    /// The same with what plugins keep, who may control it, and the timelines of events, which are sent what is counted
    /// here.
    #[must_use]
    pub fn with(
        self,
        kept: Option<Arc<dyn Kept>>,
        control: Option<Arc<Control>>,
        traces: Option<Arc<dyn Traces>>,
    ) -> Arc<Self> {
        let admin = Arc::new(Self { traces, kept, control, ..self });
        if let Some(traces) = &admin.traces {
            traces.report(&admin);
        }
        admin
    }

    /// Everything that is known of an event.
    pub(super) async fn trace(&self, query: Option<&str>) -> Reply {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let id = pairs.into_iter().find_map(|(name, value)| (name == "id").then_some(value));
        let Some(id) = id else { return line(StatusCode::BAD_REQUEST, "which event: ?id=") };
        match known(self.traces.as_deref(), self.events.as_deref(), self.dead.as_deref(), &id).await {
            Ok(known) => json_answer(StatusCode::OK, &json!(known)),
            Err(error) => line(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        }
    }

    /// Everything that is counted, as it is now.
    #[cfg(feature = "trace")]
    #[must_use]
    pub fn families(&self) -> Vec<outrigger_trace::metrics::Family> {
        self.refresh();
        self.metrics.families()
    }
}

/// What is known of an event.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// Its timelines in memory, the oldest first: several where it came again or goes to several targets. Null where
    /// none are kept.
    pub timelines: Option<Vec<Told>>,
    /// Since when timelines are known, in Unix milliseconds.
    pub since_ms: Option<u64>,
    /// The journal's events of this id, waiting and kept, the oldest first; null where there is no journal.
    pub events: Option<Vec<InJournal>>,
    /// Its dead letters in the journal; null where there is no journal.
    pub dead: Option<Vec<Summary>>,
}

impl Known {
    /// Whether anything is known.
    #[must_use]
    pub fn is_anything(&self) -> bool {
        fn any<T>(all: Option<&Vec<T>>) -> bool {
            all.is_some_and(|all| !all.is_empty())
        }
        any(self.timelines.as_ref()) || any(self.events.as_ref()) || any(self.dead.as_ref())
    }
}

/// An event in the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InJournal {
    /// What a list says of it.
    #[serde(flatten)]
    pub summary: events_api::Summary,
    /// What happened to it, the oldest first.
    pub history: Vec<Happened>,
}

/// One timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The event's id.
    pub id: String,
    /// The event's source.
    pub source: String,
    /// The event's type.
    #[serde(rename = "type")]
    pub ty: String,
    /// The source that it came by.
    pub origin: String,
    /// Its position there.
    pub position: String,
    /// Its ordering key.
    pub key: Option<String>,
    /// Where it goes.
    pub target: Option<String>,
    /// Its trace, for whoever has a collector.
    pub trace: Option<String>,
    /// When its source received it, in Unix milliseconds.
    pub received_ms: u64,
    /// When it was let in.
    pub began_ms: u64,
    /// What happened, each with the microseconds since it was let in.
    pub steps: Vec<ToldStep>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToldStep {
    /// Since it was let in, in microseconds.
    pub at_us: u64,
    /// Its name, for programs.
    pub step: String,
    /// What it says, for people.
    pub what: String,
}

/// Everything that is known of the events of this id.
///
/// # Errors
/// When the journal cannot be read.
pub async fn known(
    trace: Option<&dyn Traces>,
    events: Option<&dyn Events>,
    dead: Option<&dyn Dead>,
    id: &str,
) -> Result<Known> {
    let events = match events {
        Some(events) => Some(in_journal(events, id).await?),
        None => None,
    };
    let letters = match dead {
        Some(dead) => Some(letters(dead, id).await?),
        None => None,
    };
    let (now, now_ms) = (now(), unix_ms());
    let ago =
        |at: std::time::Instant| u64::try_from(now.saturating_duration_since(at).as_millis()).unwrap_or(0);
    let told = |timeline: &Timeline| {
        let began = timeline.began()?;
        told(timeline, now_ms.saturating_sub(ago(began)))
    };
    Ok(Known {
        timelines: trace.map(|trace| trace.timelines(id).iter().filter_map(told).collect()),
        since_ms: trace.and_then(Traces::known_since).map(|at| now_ms.saturating_sub(ago(at))),
        events,
        dead: letters,
    })
}

async fn in_journal(events: &dyn Events, id: &str) -> Result<Vec<InJournal>> {
    let mut found = Vec::new();
    let mut filter = events_api::Filter {
        id: Some(id.to_owned()),
        limit: Some(crate::dead_api::PAGE_MAX),
        ..events_api::Filter::default()
    };
    loop {
        let page = events.list(filter.clone()).await?;
        for summary in page.events {
            // One that is gone meanwhile has nothing left to tell.
            if let Some(shown) = events.show(&summary.seq.to_string()).await? {
                found.push(InJournal { summary: shown.summary, history: shown.history });
            }
        }
        filter.after = page.next;
        if filter.after.is_none() {
            return Ok(found);
        }
    }
}

/// The filter finds text anywhere; the id is meant.
async fn letters(dead: &dyn Dead, id: &str) -> Result<Vec<Summary>> {
    let mut found = Vec::new();
    let mut filter =
        Filter { text: Some(id.to_owned()), limit: Some(crate::dead_api::PAGE_MAX), ..Filter::default() };
    loop {
        let page = dead.list(filter.clone()).await?;
        found.extend(page.letters.into_iter().filter(|letter| letter.event_id == id));
        filter.after = page.next;
        if filter.after.is_none() {
            return Ok(found);
        }
    }
}

fn told(timeline: &Timeline, began_ms: u64) -> Option<Told> {
    let about = timeline.about()?;
    let step = |(step, at): (Step, std::time::Duration)| ToldStep {
        at_us: u64::try_from(at.as_micros()).unwrap_or(u64::MAX),
        step: name(step).to_owned(),
        what: what(step),
    };
    Some(Told {
        id: about.id().to_owned(),
        source: about.source().to_owned(),
        ty: about.ty().to_owned(),
        origin: about.origin.to_string(),
        position: about.position.to_string(),
        key: about.key.as_ref().map(|key| key.name().into_owned()),
        target: timeline.target().map(ToString::to_string),
        trace: timeline.trace().map(|trace| format!("{:032x}", trace.own.trace)),
        received_ms: about.received_ms,
        began_ms,
        steps: timeline.steps().into_iter().map(step).collect(),
    })
}

fn name(step: Step) -> &'static str {
    match step {
        Step::Received => "received",
        Step::Routed(_) => "routed",
        Step::Omitted(_) | Step::OmittedReplies(_) => "omitted",
        Step::Queued { .. } => "queued",
        Step::HeldUp => "held-up",
        Step::Attempted(_) => "attempted",
        Step::Recalled => "recalled",
        Step::Answered(_) => "answered",
        Step::BackedOff => "backed-off",
        Step::Parked => "parked",
        Step::Replying => "replying",
        Step::Replied(_) => "replied",
        Step::Buried(_) => "dead-lettered",
        Step::Duplicate => "duplicate",
        Step::Dropped(_) => "dropped",
        Step::Spilled => "spilled",
        Step::Settled(_) => "settled",
    }
}

fn what(step: Step) -> String {
    match step {
        Step::Received => "let in".to_owned(),
        Step::Routed(0) => "discarded by a rule".to_owned(),
        Step::Routed(count) => format!("goes to {count} targets, each with a timeline of its own"),
        Step::Omitted(attempts) => format!("… so many attempts are left out here: {attempts}"),
        Step::OmittedReplies(replies) => format!("… and so many replies: {replies}"),
        Step::Queued { wait, ahead } => {
            use outrigger_core::timeline::Wait;
            let why = match wait {
                Wait::Nothing => return "queued; nothing is in its way".to_owned(),
                Wait::NotReady => "the function is not ready",
                Wait::Breaker => "the function is down, its breaker open",
                Wait::Key => "an event of its key comes first",
                Wait::Concurrency => "as many calls as allowed are under way",
                Wait::Turn => "others stand before it",
            };
            format!("waits: {why} ({ahead} events wait before it)")
        }
        Step::HeldUp => "the breaker was open meanwhile".to_owned(),
        Step::Attempted(attempt) => format!("attempt {attempt}"),
        Step::Recalled => "a kept result answers; the function is not called".to_owned(),
        Step::Answered(answer) => answered(answer),
        Step::BackedOff => "waits for the next attempt".to_owned(),
        Step::Parked => "parked: it holds its key (outrigger parked)".to_owned(),
        Step::Replying => "its reply is being written".to_owned(),
        Step::Replied(true) => "the reply is kept".to_owned(),
        Step::Replied(false) => "the reply could not be written; it is tried again".to_owned(),
        Step::Buried(code) => format!("given up: a dead letter ({code})"),
        Step::Duplicate => "the target has it already".to_owned(),
        Step::Dropped(code) => format!("dropped: {code}"),
        Step::Spilled => "kept in the journal until its target has room".to_owned(),
        Step::Settled(Ending::Acknowledged) => "settled: acknowledged".to_owned(),
        Step::Settled(Ending::Released) => "settled: released, to be delivered again".to_owned(),
        Step::Settled(Ending::Rejected(code)) => format!("settled: rejected ({code})"),
    }
}

fn answered(Answer { status, failed }: Answer) -> String {
    match (status, failed) {
        (0, None) => "done".to_owned(),
        (status, None) => format!("answered {status}"),
        (0, Some(kind)) => format!("failed: {kind:?}"),
        (status, Some(_)) => format!("failed: status {status}"),
    }
}
