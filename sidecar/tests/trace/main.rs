//! Traces on the shipped binary, before OpenTelemetry's own collector.
//!
//! | module | what stands there |
//! |---|---|
//! | `kafka` | from a topic to the function and to the reply topic: one trace |
//! | `http` | senders by HTTP: journal, batches, the proxy, other ways of telling a trace |
//! | `kept` | what is kept although it is not sampled; metrics; how OTLP is spoken |
//! | `hang` | row 36: a collector that hangs, is slow, or is not there |
//! | `pairs` | timelines beside each part of the cache |
//! | `several` | events that go to several targets |
//! | `timeline` | `outrigger trace`, without any collector |
//!
//! Where the collector or Kafka is absent, each says that it was skipped.

#![allow(clippy::float_cmp, reason = "metrics are counts: whole numbers, which are exact")]

#[path = "../common/mod.rs"]
mod common;
mod hang;
mod http;
mod kafka;
mod kept;
mod pairs;
mod several;
mod timeline;

use common::Site;
use outrigger_function::Function;
use outrigger_testkit::otelcol::{Collector, Span};

/// A trace of somebody before us.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A site that sends its spans to `collector` at once, by gRPC.
fn traced(site: Site, collector: &Collector) -> Site {
    let site = site.set("trace.export", "otlp").set("trace.endpoint", &collector.grpc());
    site.set("trace.interval", "20ms")
        .set("delivery.backoff.initial", "5ms")
        .set("delivery.backoff.max", "20ms")
}

/// The spans of the event `id` and of what lies below them, by their names.
fn of_event<'a>(spans: &'a [Span], id: &str) -> Vec<&'a Span> {
    let whole = spans.iter().find(|span| span.get("cloudevents.event_id") == id);
    let Some(whole) = whole else { return Vec::new() };
    std::iter::once(whole).chain(spans.iter().filter(|span| span.parent == whole.id)).collect()
}

fn named<'a>(spans: &[&'a Span], name: &str) -> &'a Span {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name}: {spans:#?}"))
}

/// The header that the function saw of the event `id`.
fn told(function: &Function, id: &str, header: &str) -> Option<String> {
    let record = function.log().into_iter().find(|record| record.id.as_deref() == Some(id))?;
    record.headers.into_iter().find(|(name, _)| name == header).map(|(_, value)| value)
}
