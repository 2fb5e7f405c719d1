//! Results of functions that are pure by the user's word: the same input is not worked out twice.
//!
//! The input is what JSON Pointers find in the event, as its JSON form has it; the key is that, with the event's source
//! and type and the target, so that one sender's result never answers another. An event in which a pointer finds nothing
//! is not looked up. Only answers of the 2xx are kept, and never a failure. The reply event that is served again gets an
//! id of its own, which is the same for the same event, and nothing of the event that it was worked out for.

mod seen;

use crate::{Invalidate, invalidate::Recent, store::Store};
use aws_lc_rs::digest::{Context, SHA256};
use outrigger_core::{
    BoxFuture, Call, CallCx, Event, Reply, Result, Step, Value as Attribute, event::lineage,
};
use seen::Seen;
use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// What a result takes besides its own bytes: it, its `Arc`, and what the allocator adds to its pieces.
const AROUND_BYTES: usize = size_of::<Kept>() + 128;
/// What a header takes besides its own bytes.
const HEADER_BYTES: usize = 64;

/// What is kept, for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What the function's answer depends on, as JSON Pointers of the event's JSON form.
    pub key: Vec<String>,
    /// How long a result is good.
    pub ttl: Duration,
    /// What results may take of memory.
    pub bytes_max: u64,
    /// Whether an answer without a reply is a result.
    pub keep_empty: bool,
    /// What results are tagged with, as JSON Pointers: the values found, and each member of an array.
    pub tags: Vec<String>,
}

/// How it stands, for metrics and people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events that were answered without a call.
    pub hits: u64,
    /// Events whose result was not there.
    pub misses: u64,
    /// Events in which a pointer found nothing.
    pub passed: u64,
    /// Results that are kept now.
    pub entries: u64,
    /// What they take of memory, in bytes.
    pub bytes: u64,
}

/// What came out.
pub struct Results {
    settings: Settings,
    store: Store<Arc<Kept>>,
    hits: AtomicU64,
    misses: AtomicU64,
    passed: AtomicU64,
    /// A call that began before one of these may have seen what is no more.
    recent: Recent,
}

struct Kept {
    reply: Reply,
    cause: Cause,
    tags: Vec<String>,
    until: Instant,
}

/// The event that a result was worked out for.
struct Cause {
    source: Box<str>,
    id: Box<str>,
    correlation: Option<Box<str>>,
}

impl Cause {
    fn of(event: &Event) -> Self {
        let correlation = event.text(lineage::CORRELATION).map(Into::into);
        Self { source: event.source().into(), id: event.id().into(), correlation }
    }

    fn is(&self, event: &Event) -> bool {
        (&*self.source, &*self.id) == (event.source(), event.id())
    }

    /// Whether a reply's attribute names it, or the flow that it is of.
    fn is_named_by(&self, text: &str) -> bool {
        [Some(&self.id), self.correlation.as_ref()].into_iter().flatten().any(|own| **own == *text)
    }

    fn bytes(&self) -> usize {
        self.source.len() + self.id.len() + self.correlation.as_ref().map_or(0, |text| text.len())
    }
}

impl Results {
    /// Nothing is kept yet.
    #[must_use]
    pub fn new(settings: Settings) -> Arc<Self> {
        let store = Store::new(settings.bytes_max);
        let count = AtomicU64::default;
        Arc::new(Self {
            settings,
            store,
            hits: count(),
            misses: count(),
            passed: count(),
            recent: Recent::default(),
        })
    }

    /// `inner` with results before it.
    #[must_use]
    pub fn before(self: Arc<Self>, inner: Arc<dyn Call>) -> Arc<dyn Call> {
        Arc::new(Remembered { results: self, inner })
    }

    /// Forgets what is asked for; the key is the JSON array of source, type, target and values, and a prefix its beginning,
    /// with blanks or without. Gives back how many. What is worked out meanwhile is not kept where it is meant.
    pub fn invalidate(&self, what: &Invalidate) -> u64 {
        let what = match what {
            Invalidate::Key(key) => Invalidate::Key(seen::canonical(key).unwrap_or_else(|| seen::dense(key))),
            Invalidate::Prefix(prefix) => Invalidate::Prefix(seen::dense(prefix)),
            other => other.clone(),
        };
        let mut log = self.recent.log();
        log.note(what.clone());
        match &what {
            Invalidate::Key(key) => u64::from(self.store.remove(key).is_some()),
            what => self.store.retain(|key, kept| !what.means(key, kept.tags.iter())),
        }
    }

    /// How it stands.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let of = |count: &AtomicU64| count.load(Relaxed);
        Stats {
            hits: of(&self.hits),
            misses: of(&self.misses),
            passed: of(&self.passed),
            entries: self.store.len() as u64,
            bytes: self.store.bytes(),
        }
    }

    /// What is kept under the key and still good.
    fn find(&self, key: &str) -> Option<Arc<Kept>> {
        let kept = self.store.get(key)?;
        if kept.until > Instant::now() {
            return Some(kept);
        }
        self.store.remove(key);
        None
    }

    /// Keeps a reply, if it is one that is kept and nothing that means it was forgotten since then.
    fn keep(&self, key: String, cause: &Event, (tags, since): (Vec<String>, u64), reply: &Reply) {
        let is_empty = reply.event.is_none() && reply.body.is_empty();
        let is_success = (200..300).contains(&reply.status);
        if !is_success || (is_empty && !self.settings.keep_empty) {
            return;
        }
        let log = self.recent.log();
        if log.has(since, |what| what.means(&key, tags.iter())) {
            return;
        }
        let cause = Cause::of(cause);
        let weight = weight(reply, &tags) + cause.bytes() as u64;
        let until = Instant::now() + self.settings.ttl;
        self.store.insert(key, Arc::new(Kept { reply: reply.clone(), cause, tags, until }), weight);
    }
}

/// The call of the function with results before it.
struct Remembered {
    results: Arc<Results>,
    inner: Arc<dyn Call>,
}

impl Call for Remembered {
    fn call<'a>(&'a self, events: &'a [Event], cx: &'a CallCx) -> BoxFuture<'a, Result<Vec<Reply>>> {
        Box::pin(async move {
            let results = &*self.results;
            let [event] = events else { return self.inner.call(events, cx).await };
            let seen = Seen::of(event);
            // An event that is tried again is the same one.
            let once = u64::from(cx.attempt <= 1);
            let Some(key) = seen.key(&cx.target.0, &results.settings.key) else {
                results.passed.fetch_add(once, Relaxed);
                return self.inner.call(events, cx).await;
            };
            if let Some(kept) = results.find(&key) {
                results.hits.fetch_add(1, Relaxed);
                if cx.timeline.is_on() {
                    cx.timeline.note(Step::Recalled, Instant::now().into_std());
                }
                return Ok(vec![again(&kept, event)]);
            }
            results.misses.fetch_add(once, Relaxed);
            let tags = seen.tags(&results.settings.tags);
            let since = results.recent.log().count();
            let replies = self.inner.call(events, cx).await?;
            if let [reply] = &*replies {
                results.keep(key, event, (tags, since), reply);
            }
            Ok(replies)
        })
    }
}

/// The reply once more. For another event the id of its event is its own, and it does not name the first one as its cause.
/// For the same event it is the same again, so that a redelivery makes no second one.
fn again(kept: &Kept, cause: &Event) -> Reply {
    let mut reply = kept.reply.clone();
    if let Some(event) = reply.event.as_mut().filter(|_| !kept.cause.is(cause)) {
        let mut hash = Context::new(&SHA256);
        for part in [event.id(), cause.source(), cause.id()] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let mut id = String::with_capacity(32);
        for byte in &hash.finish().as_ref()[..16] {
            let _ = write!(id, "{byte:02x}");
        }
        let _ = event.set("id", Attribute::String(&id)); // hexadecimal digits are an id
        for name in [lineage::CAUSATION, lineage::CORRELATION] {
            if event.text(name).is_some_and(|told| kept.cause.is_named_by(&told)) {
                event.remove(name);
            }
        }
        for name in ["traceparent", "tracestate"] {
            event.remove(name);
        }
    }
    reply
}

/// What a result takes of memory; for its key and for keeping it the store adds what they take.
fn weight(reply: &Reply, tags: &[String]) -> u64 {
    let headers = reply.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER_BYTES);
    let tags = tags.iter().map(|tag| tag.len() + size_of::<String>());
    let event = reply.event.as_ref().map_or(0, Event::size);
    (AROUND_BYTES + reply.body.len() + event + headers.sum::<usize>() + tags.sum::<usize>()) as u64
}

#[cfg(test)]
mod tests;
