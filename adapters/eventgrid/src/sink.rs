//! A topic that is written: replies of the function, and dead letters with their reason.
//!
//! What comes while a request is under way goes together with the next one, so that batches grow with the load and a
//! single event never waits for company. A batch that is refused is halved until the one event is found that is to
//! blame. What waits is bounded in bytes.

use crate::{
    config::Endpoint,
    credential::Place,
    encode::{self, Schema},
    service::{Call, Service},
    trouble::Asked,
};
use bytes::Bytes;
use outrigger_core::{BoxFuture, DeadLetter, DeadLetters, Error, Event, Kind, Result, Retry, Sink};
use std::{
    borrow::Cow,
    collections::VecDeque,
    fmt, mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use time::OffsetDateTime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// The largest answer: it holds nothing but an error's words.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// What an event takes in the queue beyond its bytes.
const AROUND_BYTES: usize = 128;

/// A topic to write.
#[derive(Debug, Clone)]
pub struct SinkConfig {
    /// The namespace, or the custom topic.
    pub endpoint: Endpoint,
    /// Its name in readiness, such as `replies`.
    pub name: Cow<'static, str>,
    /// The topic of the namespace; a custom topic is named by its URL alone.
    pub topic: String,
    /// How events are written; a namespace takes CloudEvents only.
    pub schema: Schema,
    /// The most events in one request.
    pub batch_events_max: usize,
    /// The most bytes of events in one request; a single larger one is left to the service to judge.
    pub batch_bytes_max: usize,
    /// The most bytes of events that wait for their request.
    pub buffer_bytes_max: usize,
}

impl SinkConfig {
    /// This topic, everything else by default.
    #[must_use]
    pub fn new(endpoint: Endpoint, name: impl Into<Cow<'static, str>>, topic: &str) -> Self {
        Self {
            endpoint,
            name: name.into(),
            topic: topic.to_owned(),
            schema: Schema::CloudEvents,
            batch_events_max: 1000,
            batch_bytes_max: 1_000_000,
            buffer_bytes_max: 8 << 20,
        }
    }
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct EventGridSink(Arc<Inner>);

struct Inner {
    config: SinkConfig,
    service: Service,
    path: String,
    what: String,
    queue: Mutex<Queue>,
    /// What is free of the buffer, in bytes.
    room: Arc<Semaphore>,
    room_max: u32,
    trouble: Mutex<Option<String>>,
    written: AtomicU64,
    failed: AtomicU64,
    requests: AtomicU64,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Somebody sends, and looks again when that is done.
    sending: bool,
}

struct Waiting {
    member: Bytes,
    done: oneshot::Sender<Result<()>>,
    _room: OwnedSemaphorePermit,
}

/// What a sink did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SinkCounts {
    /// Events that the service has.
    pub written: u64,
    /// Events that it does not have, whether or not they may be tried again.
    pub failed: u64,
    /// Requests.
    pub requests: u64,
}

impl EventGridSink {
    /// The sink. Connects nowhere yet.
    #[must_use]
    pub fn new(config: SinkConfig) -> Self {
        let service = Service::new(config.endpoint.clone());
        let (path, what) = match config.endpoint.place {
            Place::Namespace => {
                (format!("/topics/{}:publish", config.topic), format!("topic {}", config.topic))
            }
            Place::Topic => {
                let host = config.endpoint.url.host().unwrap_or_default().to_owned();
                (service.path().to_owned(), format!("custom topic {host}"))
            }
        };
        let room_max = u32::try_from(config.buffer_bytes_max).unwrap_or(u32::MAX).max(1);
        Self(Arc::new(Inner {
            service,
            path,
            what,
            queue: Mutex::default(),
            room: Arc::new(Semaphore::new(room_max as usize)),
            room_max,
            trouble: Mutex::default(),
            written: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            config,
        }))
    }

    /// Its name in readiness.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.config.name
    }

    /// What the last write failed of, in one line; `None` after one that succeeded.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        lock(&self.0.trouble).clone()
    }

    /// What it did so far.
    #[must_use]
    pub fn counts(&self) -> SinkCounts {
        SinkCounts {
            written: self.0.written.load(Ordering::Relaxed),
            failed: self.0.failed.load(Ordering::Relaxed),
            requests: self.0.requests.load(Ordering::Relaxed),
        }
    }

    async fn write(&self, event: &Event) -> Result<()> {
        let inner = &self.0;
        let member = encode::member(event, inner.config.schema, OffsetDateTime::now_utc())?;
        // One that is larger than the buffer takes all of it.
        let bytes = u32::try_from(member.len() + AROUND_BYTES).unwrap_or(u32::MAX).min(inner.room_max);
        let room = inner.room.clone().acquire_many_owned(bytes).await;
        let room = room.map_err(|_| Error::new(Kind::Closed, "eventgrid: the sink is closed"))?;
        let (done, written) = oneshot::channel();
        let begins = {
            let mut queue = lock(&inner.queue);
            queue.waiting.push_back(Waiting { member, done, _room: room });
            !mem::replace(&mut queue.sending, true)
        };
        if begins {
            tokio::spawn(inner.clone().send_all());
        }
        written.await.unwrap_or_else(|_| {
            Err(Error::new(Kind::Interrupted, format!("eventgrid: {}: the write was cut off", inner.what)))
        })
    }
}

impl Inner {
    /// Sends until nothing waits.
    async fn send_all(self: Arc<Self>) {
        loop {
            let batch = {
                let mut queue = lock(&self.queue);
                let batch = self.next_batch(&mut queue);
                queue.sending = !batch.is_empty();
                batch
            };
            if batch.is_empty() {
                return;
            }
            self.send(batch).await;
        }
    }

    fn next_batch(&self, queue: &mut Queue) -> Vec<Waiting> {
        let (mut batch, mut bytes) = (Vec::new(), 2);
        while let Some(next) = queue.waiting.front() {
            bytes += next.member.len() + 1;
            let full = batch.len() >= self.config.batch_events_max || bytes > self.config.batch_bytes_max;
            if full && !batch.is_empty() {
                break;
            }
            batch.extend(queue.waiting.pop_front());
        }
        batch
    }

    /// Sends the batch, or where it is refused its halves.
    async fn send(&self, batch: Vec<Waiting>) {
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            let sent = self.post(encode::batch(part.iter().map(|waiting| &waiting.member))).await;
            let refused = sent.as_ref().is_err_and(|error| error.retry() == Retry::Permanent);
            if refused && part.len() > 1 {
                let second = part.split_off(part.len() / 2);
                parts.extend([second, part]); // the first half goes first
                continue;
            }
            // An event that is refused is to blame itself: whatever else was in the way is not, as the service answered.
            let trouble = sent.as_ref().err().filter(|_| !refused).map(ToString::to_string);
            self.note(trouble);
            let count = if sent.is_ok() { &self.written } else { &self.failed };
            count.fetch_add(part.len() as u64, Ordering::Relaxed);
            for waiting in part {
                let _ = waiting.done.send(sent.clone()); // nobody waits any more where a drain ended
            }
        }
    }

    async fn post(&self, body: Bytes) -> Result<()> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let call = Call {
            path: self.path.clone(),
            content_type: Some(self.config.schema.content_type()),
            body,
            wait: Duration::ZERO,
            bytes_max: ANSWER_BYTES_MAX,
            asked: Asked {
                what: &self.what,
                role: "EventGrid Data Sender",
                section: self.config.endpoint.section,
            },
        };
        self.service.post(call).await.map(drop)
    }

    fn note(&self, trouble: Option<String>) {
        *lock(&self.trouble) = trouble;
    }
}

impl Sink for EventGridSink {
    /// # Errors
    /// `Unreachable`, `Interrupted`, `TimedOut` or a `Status` while the service cannot take it; `Storage` when the topic
    /// is not there or forbidden; `Invalid` when the event is too large, or the schema has no place for its data.
    fn send<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.write(event))
    }
}

impl DeadLetters for EventGridSink {
    fn put<'a>(&'a self, letter: &'a DeadLetter) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.write(&encode::dead_letter(letter)?).await })
    }
}

impl fmt::Debug for EventGridSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventGridSink").field("what", &self.0.what).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
