//! A topic that is written: replies of the function, and dead letters with their reason.
//!
//! A write counts once Pub/Sub has given the message an id. Google's client bounds nothing that waits, so the buffer is
//! bounded here, and a write waits its turn while it is full. A key whose message failed is paused by the client, and
//! resumed here: the failed message is tried again by who wrote it, before the next of its key.

use crate::{
    Mode, SinkConfig,
    encode::{self, MESSAGE_BYTES_MAX, Outgoing},
    publisher::Live,
    status::lock,
    trouble,
};
use google_cloud_pubsub::{error::PublishError, model::Message, publisher::PublishFuture};
use outrigger_core::{
    BoxFuture, DeadLetter, DeadLetters, Error, Event, Kind, Result, Retry, Sink, Timeline, event::Format,
};
use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use tokio::{
    runtime::Handle,
    sync::{OnceCell, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// What a message takes in the client beyond its bytes.
const AROUND_BYTES: usize = 256;

/// What a sink did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SinkCounts {
    /// Messages that Pub/Sub has.
    pub written: u64,
    /// Writes that failed, whether or not they may be tried again.
    pub failed: u64,
    /// Writes that found the buffer full and waited.
    pub waited: u64,
    /// Bytes of messages that wait for their acknowledgement now.
    pub bytes: usize,
}

/// See the module. Cheap to share.
pub struct PubsubSink {
    config: SinkConfig,
    topic: String,
    /// Made by the first write, which has a runtime.
    live: OnceCell<Live>,
    /// What is free of the buffer, in bytes.
    room: Arc<Semaphore>,
    room_max: u32,
    trouble: Mutex<Option<String>>,
    written: AtomicU64,
    failed: AtomicU64,
    waited: AtomicU64,
}

impl PubsubSink {
    /// The sink. Nothing is connected before the first write.
    ///
    /// # Errors
    /// `Invalid` when the topic's name is none.
    pub fn new(config: SinkConfig) -> Result<Arc<Self>> {
        let topic = config.whole_topic()?;
        let room_max = u32::try_from(config.buffer_bytes_max).unwrap_or(u32::MAX).max(1);
        Ok(Arc::new(Self {
            config,
            topic,
            live: OnceCell::new(),
            room: Arc::new(Semaphore::new(room_max as usize)),
            room_max,
            trouble: Mutex::default(),
            written: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            waited: AtomicU64::new(0),
        }))
    }

    /// Its name in readiness.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// What the last write failed of, in one line; `None` after one that succeeded.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    /// What it did so far.
    #[must_use]
    pub fn counts(&self) -> SinkCounts {
        SinkCounts {
            written: self.written.load(Relaxed),
            failed: self.failed.load(Relaxed),
            waited: self.waited.load(Relaxed),
            bytes: self.room_max as usize - self.room.available_permits(),
        }
    }

    /// Writes the message; Pub/Sub has it when this returns. Dropping the future leaves that open.
    ///
    /// # Errors
    /// As [`Sink::send`].
    pub async fn write(&self, message: Outgoing) -> Result<()> {
        let written = self.try_write(message).await;
        let count = if written.is_ok() { &self.written } else { &self.failed };
        count.fetch_add(1, Relaxed);
        // Where the message is to blame, nothing is in the way of others.
        let error = written.as_ref().err().filter(|error| error.retry() != Retry::Permanent);
        *lock(&self.trouble) = error.map(ToString::to_string);
        written
    }

    fn message(&self, event: &Event) -> Outgoing {
        match self.config.mode {
            Mode::Binary => encode::event(event),
            Mode::Structured => encode::structured(event, Format::Json),
            Mode::Protobuf => encode::structured(event, Format::Protobuf),
        }
    }

    async fn try_write(&self, message: Outgoing) -> Result<()> {
        let bytes = message.size();
        if bytes > MESSAGE_BYTES_MAX {
            let topic = &self.topic;
            return Err(Error::new(
                Kind::Invalid,
                format!("pubsub: a message of {bytes} bytes for {topic}; Pub/Sub takes {MESSAGE_BYTES_MAX}"),
            ));
        }
        let room = self.room(bytes + AROUND_BYTES).await?;
        let live = self.live.get_or_try_init(|| Live::new(&self.config, &self.topic)).await?;
        let key = message.ordering_key;
        let publisher = live.publisher(&key);
        let outgoing = Message::new()
            .set_data(message.data)
            .set_attributes(message.attributes)
            .set_ordering_key(key.as_str());
        let mut sent = Sent { future: Some(publisher.publish(outgoing)), room: Some(room) };
        let Err(failed) = sent.acknowledged().await else { return Ok(()) };
        if !key.is_empty() {
            publisher.resume_publish(key);
        }
        let doing = format!("writing to {}", self.topic);
        Err(match failed {
            PublishError::Rpc(error) => trouble::error(&error, &doing),
            other => Error::new(Kind::Unreachable, format!("pubsub: {doing}: {other}")),
        })
    }

    /// Waits until the buffer has room for so many bytes. What is larger than the buffer takes all of it.
    async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        let wanted = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.room_max);
        if let Ok(room) = self.room.clone().try_acquire_many_owned(wanted) {
            return Ok(room);
        }
        self.waited.fetch_add(1, Relaxed);
        if let Ok(Ok(room)) = timeout(self.config.timeout, self.room.clone().acquire_many_owned(wanted)).await
        {
            return Ok(room);
        }
        let message = format!(
            "pubsub: the {} bytes that may wait for {} are not acknowledged; it is tried again",
            self.room_max, self.topic
        );
        Err(Error::new(Kind::Overloaded, message))
    }
}

/// A message on its way. Its room is taken until it is acknowledged or has failed, also where nobody waits any more.
struct Sent {
    future: Option<PublishFuture>,
    room: Option<OwnedSemaphorePermit>,
}

impl Sent {
    async fn acknowledged(&mut self) -> Result<String, PublishError> {
        let Some(future) = &mut self.future else { return Err(PublishError::Shutdown) };
        let done = future.await;
        self.future = None;
        done
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let (Some(future), Ok(runtime)) = (self.future.take(), Handle::try_current()) else { return };
        let room = self.room.take();
        runtime.spawn(async move {
            let _ = future.await; // nobody asks any more
            drop(room);
        });
    }
}

impl Sink for PubsubSink {
    /// The ordering key is the event's `partitionkey`.
    ///
    /// # Errors
    /// `Unreachable`, `TimedOut` or `Overloaded` while Pub/Sub cannot take it; `Storage` when the topic is not there or
    /// forbidden; `Invalid` when the message is too large or refused for what it is.
    fn send<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.write(self.message(event)))
    }

    /// The place in the trace is told by attributes, such as `traceparent`, as far as there is room for them.
    fn send_within<'a>(&'a self, event: &'a Event, timeline: &'a Timeline) -> BoxFuture<'a, Result<()>> {
        let mut message = self.message(event);
        timeline.carry(&mut |name, value| {
            encode::add(&mut message, name, value);
        });
        Box::pin(self.write(message))
    }
}

impl DeadLetters for PubsubSink {
    fn put<'a>(&'a self, letter: &'a DeadLetter) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.write(encode::dead_letter(letter)))
    }
}

impl fmt::Debug for PubsubSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PubsubSink").field("topic", &self.topic).finish_non_exhaustive()
    }
}
