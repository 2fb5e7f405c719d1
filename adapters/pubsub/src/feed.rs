//! One stream of a subscription: read while there is room, opened again when it ends.

use crate::{
    decode::Message,
    desk::Desk,
    status::{Board, Counts, lock},
    trouble,
};
use google_cloud_pubsub::{
    client::Subscriber,
    model,
    subscriber::{MessageStream, handler::Handler},
};
use outrigger_core::Drain;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

/// The first wait before a stream that was refused is opened again; it doubles.
const RETRY_MIN: Duration = Duration::from_millis(500);
/// A stream that was not refused for so long is one that is open.
const OPEN_AFTER: Duration = Duration::from_secs(3);

/// Streams that are not read any more, until all that came by them is settled and Pub/Sub has been told.
pub(crate) type Ends = Arc<Mutex<JoinSet<()>>>;

/// One stream, with what it needs.
pub(crate) struct Feed {
    /// The number of the subscription.
    pub(crate) at: usize,
    pub(crate) subscription: String,
    pub(crate) subscriber: Subscriber,
    pub(crate) desk: Arc<Desk<Handler>>,
    pub(crate) board: Arc<Board>,
    pub(crate) ends: Ends,
    /// Rung when Pub/Sub can be reached again: the client itself may wait for a minute.
    pub(crate) again: Arc<Notify>,
}

/// Why a stream is read no more.
enum End {
    Drain,
    Again,
    Refused,
}

impl Feed {
    /// Reads until the drain starts.
    pub(crate) async fn run(self, mut drain: Drain) {
        let mut wait = RETRY_MIN;
        loop {
            let opened = Instant::now();
            let mut stream = self.open();
            let end = self.read(&mut stream, &mut drain).await;
            self.leave(&stream);
            drop(stream);
            if matches!(end, End::Drain) {
                return;
            }
            if matches!(end, End::Refused) {
                let was_open = opened.elapsed() > OPEN_AFTER;
                wait = if was_open { RETRY_MIN } else { wait.min(self.desk.config.retry_max) };
                tokio::select! {
                    biased; // no dice that nobody handed in
                    () = drain.started() => return,
                    () = sleep(wait) => {}
                }
                wait *= 2;
            }
        }
    }

    fn open(&self) -> MessageStream {
        let config = &self.desk.config;
        let streams = i64::try_from(config.streams * config.subscriptions.len()).unwrap_or(1).max(1);
        let share = |most: usize| (i64::try_from(most).unwrap_or(i64::MAX) / streams).max(1);
        Counts::one(&self.desk.counts.streams);
        self.subscriber
            .subscribe(&self.subscription)
            .set_max_outstanding_messages(share(config.events_max))
            .set_max_outstanding_bytes(share(config.bytes_max))
            .set_max_lease_extension(config.lease)
            // Ours ends before: what is too old is given back at once, and not left to the end of its lease.
            .set_max_lease(config.lease_max + config.lease)
            .build()
    }

    async fn read(&self, stream: &mut MessageStream, drain: &mut Drain) -> End {
        let open_at = Instant::now() + OPEN_AFTER;
        let again = self.again.notified();
        tokio::pin!(again);
        let mut heard = false;
        loop {
            if !self.desk.has_room() {
                tokio::select! {
                    biased; // no dice that nobody handed in
                    () = drain.started() => return End::Drain,
                    () = self.desk.room() => {}
                }
            }
            // Dropped only where the stream is, too: the client begins a stream anew that is cancelled while it opens.
            let next = stream.next();
            tokio::pin!(next);
            let came = loop {
                tokio::select! {
                    biased;
                    () = drain.started() => return End::Drain,
                    came = &mut next => break came,
                    () = &mut again => return End::Again,
                    () = sleep_until(open_at), if !heard && self.board.is_refused(self.at) => {
                        self.board.open(self.at);
                    }
                }
            };
            match came {
                Some(Ok((message, handler))) => {
                    if !heard {
                        heard = true;
                        self.board.well(self.at);
                    }
                    let deliveries = handler.delivery_attempt();
                    self.desk.take(self.at, &ours(message), deliveries, handler);
                }
                Some(Err(error)) => {
                    let error = trouble::error(&error, &format!("reading from {}", self.subscription));
                    self.board.refused(self.at, error.to_string());
                    return End::Refused;
                }
                None => return End::Refused,
            }
        }
    }

    /// The stream goes on keeping the leases of what came by it, and ends when all of that is settled.
    fn leave(&self, stream: &MessageStream) {
        let token = stream.shutdown_token();
        let mut ends = lock(&self.ends);
        while ends.try_join_next().is_some() {}
        ends.spawn(async move { token.shutdown().await });
    }
}

/// Google's message as ours; nothing is copied.
fn ours(message: model::Message) -> Message {
    let publish_time = message.publish_time.and_then(|time| {
        let nanos = i128::from(time.seconds()) * 1_000_000_000 + i128::from(time.nanos());
        OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?.format(&Rfc3339).ok()
    });
    Message {
        data: message.data,
        attributes: message.attributes,
        id: message.message_id,
        publish_time,
        ordering_key: message.ordering_key,
    }
}
