//! Control events: what sources that are marked `control: true` may have done here by an event.
//!
//! There is one: `io.outrigger.cache.invalidate`. Its data is a JSON object with `key`, `tag` and `prefix`, each a text or
//! a list of texts, or `all: true`. A control event is for this process and goes to no function. From a source that is not
//! marked it does nothing and is discarded, so that it cannot reach by way of a function what it must not reach by itself.
//! Where nothing is kept, there is nothing to control, and it is an event like any other.

use crate::{
    cache_api::Forget,
    config::Config,
    ingress::{Accept, Answering},
    registry::{Kept, Series},
};
use outrigger_core::{BoxFuture, DeadLetter, Event, Key, Result};
use serde_json::Value;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The type of the event that has what is kept forgotten.
pub const INVALIDATE: &str = "io.outrigger.cache.invalidate";

/// Whose control events count, and what they reach.
pub struct Control {
    marked: Vec<String>,
    kept: Arc<dyn Kept>,
    done: AtomicU64,
    discarded: AtomicU64,
    malformed: AtomicU64,
}

impl Control {
    /// By the configuration; none where there is nothing to control: marks of deduplication cannot be forgotten.
    #[must_use]
    pub fn new(config: &Config, kept: Option<&Arc<dyn Kept>>) -> Option<Arc<Self>> {
        if config.results.is_none() && config.responses.is_none() {
            return None;
        }
        let count = AtomicU64::default;
        let (done, discarded, malformed) = (count(), count(), count());
        Some(Arc::new(Self {
            marked: config.control.clone(),
            kept: kept?.clone(),
            done,
            discarded,
            malformed,
        }))
    }

    /// Does what a control event of the source of this name says, if it may. Gives back whether it is one, which is then
    /// settled with that.
    pub fn takes(&self, source: &str, event: &Event) -> bool {
        if event.ty() != INVALIDATE {
            return false;
        }
        let id = event.id();
        let counter = if !self.marked.iter().any(|marked| marked == source) {
            tracing::warn!(
                source,
                id,
                "a control event is discarded, as its source is not marked control: true"
            );
            &self.discarded
        } else if let Some(wanted) = wanted(event) {
            let forgotten: u64 = wanted.iter().map(|what| self.kept.forget(what)).sum();
            tracing::info!(source, id, forgotten, "what was kept is forgotten, by a control event");
            &self.done
        } else {
            tracing::warn!(
                source,
                id,
                "a control event says nothing that is known: key, tag, prefix or all: true"
            );
            &self.malformed
        };
        counter.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Its numbers.
    pub fn series(&self) -> Series {
        let of = |outcome: &str, count: &AtomicU64| (vec![outcome.to_owned()], count.load(Ordering::Relaxed));
        Series {
            name: "outrigger_control_events_total",
            help: "Control events, by what became of them",
            labels: &["outcome"],
            is_counter: true,
            rows: vec![
                of("done", &self.done),
                of("discarded", &self.discarded),
                of("malformed", &self.malformed),
            ],
        }
    }

    /// The same way of answering, with control events taken out before they are accepted: what comes from the journal
    /// does not tell any more who sent it.
    #[must_use]
    pub fn before(control: Option<&Arc<Self>>, answering: Answering, source: &str) -> Answering {
        match (control, answering) {
            (Some(control), Answering::Durable { accept }) => {
                let (control, source) = (control.clone(), source.into());
                Answering::Durable { accept: Arc::new(Gate { control, source, accept }) }
            }
            (_, answering) => answering,
        }
    }
}

/// What an event wants forgotten; `None` where it says nothing, or anything that is not known.
fn wanted(event: &Event) -> Option<Vec<Forget>> {
    let data: serde_json::Map<String, Value> = serde_json::from_slice(event.data()?).ok()?;
    let mut wanted = Vec::new();
    for (name, value) in &data {
        let single = std::slice::from_ref(value);
        for value in value.as_array().map_or(single, Vec::as_slice) {
            let text = match value {
                Value::String(text) if name != "all" => text,
                Value::Bool(true) if name == "all" => "true",
                _ => return None,
            };
            wanted.push(Forget::of(name, text)?);
        }
    }
    Some(wanted).filter(|wanted| !wanted.is_empty())
}

/// Before the journal.
struct Gate {
    control: Arc<Control>,
    source: Arc<str>,
    accept: Arc<dyn Accept>,
}

impl Accept for Gate {
    fn accept(
        &self,
        mut events: Vec<(Event, Option<Key>)>,
        letters: Vec<DeadLetter>,
    ) -> BoxFuture<'_, Result<()>> {
        events.retain(|(event, _)| !self.control.takes(&self.source, event));
        self.accept.accept(events, letters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Process, Purpose, read};
    use std::sync::Mutex;

    #[derive(Default)]
    struct Spy(Mutex<Vec<Forget>>);

    impl Kept for Spy {
        fn series(&self) -> Vec<Series> {
            Vec::new()
        }

        fn stats(&self) -> Value {
            Value::Null
        }

        fn forget(&self, what: &Forget) -> u64 {
            self.0.lock().unwrap().push(what.clone());
            1
        }
    }

    fn control(spy: &Arc<Spy>) -> Control {
        let (kept, count) = (spy.clone(), AtomicU64::default);
        Control {
            marked: vec!["kafka".to_owned()],
            kept,
            done: count(),
            discarded: count(),
            malformed: count(),
        }
    }

    #[test]
    fn where_only_marks_are_kept_there_is_nothing_to_control() {
        let kept: Arc<dyn Kept> = Arc::new(Spy::default());
        let control = |cache: &str| {
            let text = format!("function: {{url: http://127.0.0.1:1}}\ncache: {{{cache}}}");
            let config = read(&Process, "", &text, &[], Purpose::Look).unwrap();
            Control::new(&config, Some(&kept))
        };
        assert!(control("dedup: {window: 1h}").is_none());
        assert!(control("dedup: {window: 1h}, results: {key: /data/q}").is_some());
    }

    fn event(ty: &str, data: &str) -> Event {
        Event::new("1", "/s", ty).unwrap().with_data("application/json", data.to_owned().into()).unwrap()
    }

    #[test]
    fn a_marked_source_has_forgotten_what_it_says() {
        let spy = Arc::new(Spy::default());
        let control = control(&spy);
        let said = event(INVALIDATE, r#"{"key": "a", "tag": ["b", "c"], "prefix": ["d"], "all": true}"#);
        assert!(control.takes("kafka", &said));
        let mut forgotten = spy.0.lock().unwrap().clone();
        forgotten.sort_by_key(|what| format!("{what:?}"));
        let text = str::to_owned;
        let tags = [Forget::Tag(text("b")), Forget::Tag(text("c"))];
        let expected =
            [&[Forget::All, Forget::Key(text("a")), Forget::Prefix(text("d"))], &tags[..]].concat();
        assert_eq!(forgotten, expected);
        assert_eq!(control.series().rows[0], (vec!["done".to_owned()], 1));
    }

    #[test]
    fn another_source_has_nothing_done_and_its_control_event_goes_nowhere() {
        let spy = Arc::new(Spy::default());
        let control = control(&spy);
        assert!(control.takes("http", &event(INVALIDATE, r#"{"all": true}"#)));
        assert!(!control.takes("http", &event("order", r#"{"all": true}"#)));
        assert!(!control.takes("kafka", &event("io.outrigger.test", r#"{"all": true}"#)));
        assert!(spy.0.lock().unwrap().is_empty());
        assert_eq!(control.series().rows[1], (vec!["discarded".to_owned()], 1));
    }

    #[test]
    fn what_says_anything_unknown_does_nothing() {
        let spy = Arc::new(Spy::default());
        let control = control(&spy);
        let wrong = [
            "",
            "[]",
            "{}",
            r#"{"all": false}"#,
            r#"{"all": "true"}"#,
            r#"{"key": 1}"#,
            r#"{"key": "a", "x": "b"}"#,
        ];
        for data in wrong {
            assert!(control.takes("kafka", &event(INVALIDATE, data)), "{data}");
        }
        assert!(spy.0.lock().unwrap().is_empty());
        assert_eq!(control.series().rows[2], (vec!["malformed".to_owned()], wrong.len() as u64));
    }
}
