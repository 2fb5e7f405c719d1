//! Spans on their way: from timelines to requests that a collector takes.

use super::{REFUSED, Shared, tick};
use crate::{
    answer::Failure,
    config::Export,
    otlp::Line,
    spans::{self, Anchor, Drawing},
};
use opentelemetry::InstrumentationScope;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::InstrumentationScope as Scope,
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use outrigger_core::{Result, Timeline};
use prost::Message as _;
use std::{
    sync::atomic::Ordering,
    time::{Instant, SystemTime},
};

/// What makes requests of spans.
pub(super) struct Spans {
    line: Option<Line>,
    resource: Resource,
    scope: InstrumentationScope,
    drawing: Drawing,
    bytes_max: usize,
}

/// The spans of some events, one event after the other.
#[derive(Debug, Default, PartialEq)]
struct Part {
    spans: Vec<Span>,
    /// How many are of each event.
    counts: Vec<usize>,
    bytes: usize,
}

impl Part {
    fn add(&mut self, spans: Vec<Span>, bytes: usize) {
        self.counts.push(spans.len());
        self.spans.extend(spans);
        self.bytes += bytes;
    }

    /// Both halves; whole events stay together. None of a single event.
    fn halved(mut self) -> std::result::Result<[Self; 2], Self> {
        if self.counts.len() < 2 {
            return Err(self);
        }
        let counts = self.counts.split_off(self.counts.len() / 2);
        let spans = self.spans.split_off(self.counts.iter().sum());
        let bytes = self.bytes / 2;
        let second = Self { spans, counts, bytes };
        Ok([Self { bytes, ..self }, second])
    }
}

impl Spans {
    pub(super) fn new(export: &Export) -> Result<Self> {
        let scope =
            InstrumentationScope::builder("outrigger").with_version(env!("CARGO_PKG_VERSION")).build();
        Ok(Self {
            line: export.traces.as_ref().map(Line::new).transpose()?,
            resource: crate::metrics::resource(&export.resource),
            drawing: Drawing::new(scope.clone(), export.attribute_chars, &export.outward),
            scope,
            bytes_max: export.batch_bytes,
        })
    }

    /// As few parts as there can be that are not larger than a request may be, unless one event alone is.
    fn parts(&self, timelines: &[Timeline]) -> Vec<Part> {
        let anchor = Anchor(Instant::now(), SystemTime::now());
        let mut parts: Vec<Part> = Vec::new();
        for timeline in timelines {
            let mut drawn = Vec::new();
            spans::add(timeline, anchor, &self.drawing, &mut drawn);
            let spans: Vec<_> = drawn.into_iter().map(Span::from).collect();
            // Each span has its tag and its length before it.
            let bytes = spans.iter().map(|span| span.encoded_len() + 6).sum();
            match parts.last_mut() {
                Some(part) if part.bytes + bytes <= self.bytes_max => part.add(spans, bytes),
                _ => {
                    let mut part = Part::default();
                    part.add(spans, bytes);
                    parts.push(part);
                }
            }
        }
        parts
    }

    fn request(&self, spans: Vec<Span>) -> ExportTraceServiceRequest {
        let scope = Scope {
            name: self.scope.name().to_owned(),
            version: self.scope.version().unwrap_or_default().to_owned(),
            ..Scope::default()
        };
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, schema_url: String::new() }];
        let resource = Some(self.resource.clone());
        let resource_spans = vec![ResourceSpans { resource, scope_spans, schema_url: String::new() }];
        ExportTraceServiceRequest { resource_spans }
    }
}

/// The spans of a request, back again.
fn spans_of(request: ExportTraceServiceRequest) -> Vec<Span> {
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

impl Shared {
    /// Until the process ends; then all that wait are sent.
    pub(super) async fn spans(&self, spans: &Spans, export: &Export) {
        let mut tick = tick(export.interval);
        loop {
            let is_last = tokio::select! {
                biased;
                () = self.ending() => true,
                () = self.queue.enough() => false,
                _ = tick.tick() => false,
            };
            loop {
                let batch = self.queue.take();
                let is_done = batch.is_empty();
                self.sending.store(batch.len() as u64, Ordering::Relaxed);
                self.send(spans, &batch).await;
                self.sending.store(0, Ordering::Relaxed);
                if is_done || !is_last {
                    break;
                }
            }
            if is_last {
                return;
            }
        }
    }

    async fn send(&self, spans: &Spans, timelines: &[Timeline]) {
        let Some(line) = &spans.line else { return };
        // The first is sent first: those that wait stand in a heap, the last on top.
        let mut parts = spans.parts(timelines);
        parts.reverse();
        while let Some(Part { spans: sent, counts, bytes }) = parts.pop() {
            let (events, request) = (counts.len() as u64, spans.request(sent));
            let failure = match line.tell(&request).await {
                Ok(None) => {
                    self.exported.fetch_add(events, Ordering::Relaxed);
                    continue;
                }
                Ok(Some(refused)) => {
                    // It counts spans, and does not say of which events.
                    let lost = refused.count.min(events);
                    self.exported.fetch_add(events - lost, Ordering::Relaxed);
                    self.queue.dropped.fetch_add(lost, Ordering::Relaxed);
                    self.complain("spans", &refused.why, REFUSED);
                    continue;
                }
                Err(failure) => failure,
            };
            if let Failure::TooLarge(why) = &failure
                && let Ok([first, second]) = (Part { spans: spans_of(request), counts, bytes }).halved()
            {
                self.complain("spans", why, "the collector finds a request too large and gets it in halves");
                parts.extend([second, first]);
                continue;
            }
            self.queue.dropped.fetch_add(events, Ordering::Relaxed);
            self.failed("spans", failure.why());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Outward;
    use outrigger_core::{
        About,
        timeline::{Carry, Ending, Leg, Place, Step, Trace},
    };
    use std::{sync::Arc, time::Duration};

    struct Silent;

    impl Carry for Silent {
        fn carry(&self, _: &Trace, _: Leg, _: &mut dyn FnMut(&'static str, &str)) {}
    }

    fn timeline(path_bytes: usize) -> Timeline {
        let about = About::request(&"proxy".into(), ["GET", &"p".repeat(path_bytes), "http"], 1);
        let timeline = Timeline::start(Instant::now(), about);
        timeline.set_trace(Trace {
            own: Place { trace: 7, span: 8, sampled: true },
            parent: None,
            parent_is_remote: false,
            links: Vec::new(),
            state: None,
            baggage: None,
            carrier: Arc::new(Silent),
        });
        timeline.note(Step::Settled(Ending::Acknowledged), Instant::now());
        timeline
    }

    fn spans(chars_max: usize, bytes_max: usize) -> Spans {
        let second = Duration::from_secs(1);
        Spans::new(&Export {
            traces: None,
            metrics: None,
            queue_events: 1,
            queue_bytes: 1,
            batch_events: 1,
            batch_bytes: bytes_max,
            attribute_chars: chars_max,
            interval: second,
            metrics_interval: second,
            flush_timeout: second,
            resource: vec![("service.name".to_owned(), "s".to_owned())],
            outward: Outward::default(),
        })
        .unwrap()
    }

    #[test]
    fn a_request_is_no_larger_than_it_may_be_unless_one_event_is() {
        let spans = spans(usize::MAX, 20_000);
        let timelines = [100, 100, 9_000, 9_000, 9_000, 50_000, 100].map(timeline);
        let parts = spans.parts(&timelines);
        let counts: Vec<_> = parts.iter().map(|part| part.counts.len()).collect();
        assert_eq!(counts, [4, 1, 1, 1]);
        for part in parts {
            let (count, bytes) = (part.counts.len(), part.bytes);
            let request = spans.request(part.spans);
            let whole = request.encoded_len();
            assert!(whole < bytes + 200 && (whole < 20_200 || count == 1), "{whole} of {bytes}");
        }
    }

    #[test]
    fn a_request_that_is_too_large_is_halved_between_events() {
        let spans = spans(usize::MAX, usize::MAX);
        let [part] = <[Part; 1]>::try_from(spans.parts(&[1, 2, 3].map(timeline))).unwrap();
        let all = part.spans.clone();
        let counts = part.counts.clone();
        let request = spans.request(part.spans);
        let part = Part { spans: spans_of(request), counts, bytes: 9 };
        let [first, second] = part.halved().unwrap();
        assert_eq!((first.counts.len(), second.counts.len()), (1, 2));
        assert_eq!([&*first.spans, &*second.spans].concat(), all);
        assert!(first.halved().is_err(), "a single event stays whole");
    }
}
