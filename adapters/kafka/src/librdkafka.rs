//! The client in production: a consumer of librdkafka.
//!
//! Rebalances are only noted when they come; the reader answers them when it is ready, and librdkafka waits for
//! that (up to `max.poll.interval.ms`). What must ask a broker runs on tokio's blocking threads.

use crate::{
    Config,
    client::{Client, Damage, Happened, Start, Tail, Take, TopicPartition, Trouble, TroubleKind},
    hand_over::hand_over,
    login::Login,
    probe, starts, stats,
    trouble::{error, told, trouble},
};
use futures_util::task::AtomicWaker;
use outrigger_core::{BoxFuture, Error, Kind, Result, decide::watermark::Commit};
use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, RebalanceProtocol},
    error::{KafkaError, KafkaResult},
    types::RDKafkaRespErr,
};
use std::{
    collections::VecDeque,
    error::Error as StdError,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// How long a question may take.
pub(crate) const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long leaving the group may take.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// A consumer that is subscribed.
pub struct Librdkafka {
    consumer: Arc<BaseConsumer<Events>>,
    config: Arc<Config>,
    waker: Arc<AtomicWaker>,
}

/// What librdkafka calls while it is polled.
pub(crate) struct Events {
    happened: Mutex<VecDeque<Happened>>,
    /// Whether anything was called since the last poll: there may be more.
    called: AtomicBool,
    /// Nobody answers rebalances any more.
    leaving: AtomicBool,
    login: Arc<Login>,
}

impl Librdkafka {
    /// Makes a consumer and subscribes it. Connects in the background.
    ///
    /// # Errors
    /// When librdkafka refuses a property or a topic.
    pub fn connect(config: &Arc<Config>) -> Result<Arc<Self>> {
        let (properties, login) = config.consumer()?;
        let events = Events::new(login);
        let waker = Arc::new(AtomicWaker::new());
        let made: KafkaResult<BaseConsumer<Events>> = properties.create_with_context(events);
        let mut consumer = made.map_err(|e| error(&e, "the client cannot be made"))?;
        let woken = waker.clone();
        consumer.set_nonempty_callback(move || woken.wake());
        let topics: Vec<&str> = config.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(|e| error(&e, "ingress.kafka.topics"))?;
        Ok(Arc::new(Self { consumer: Arc::new(consumer), config: config.clone(), waker }))
    }

    fn pop(&self) -> Option<Happened> {
        self.consumer.context().queue().pop_front()
    }

    fn poll_once(&self, take: &mut Take<'_>) -> Option<Happened> {
        match self.consumer.poll(Duration::ZERO) {
            Some(Ok(message)) => {
                hand_over(&message, take);
                Some(Happened::Record)
            }
            Some(Err(failed)) => {
                // Whatever else it is was told by the context already, in more words.
                let trouble = trouble(&failed, "while fetching");
                let own = trouble.filter(|it| !matches!(it.kind, TroubleKind::Outage | TroubleKind::Refused));
                own.map(Happened::Trouble)
            }
            None => None,
        }
    }

    /// By the protocol of the group: beside what was, or instead of it.
    fn is_incremental(&self) -> bool {
        matches!(self.consumer.rebalance_protocol(), RebalanceProtocol::Cooperative)
    }

    async fn blocking<T: Send + 'static>(
        doing: &'static str,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let ended = tokio::task::spawn_blocking(job).await;
        ended.unwrap_or_else(|e| Err(Error::new(Kind::Interrupted, format!("kafka: {doing}: {e}"))))
    }
}

impl Drop for Librdkafka {
    /// Whoever drops it does not answer rebalances any more either, and librdkafka's end waits for an answer.
    fn drop(&mut self) {
        self.consumer.context().leaving.store(true, Ordering::Relaxed);
    }
}

impl Client for Librdkafka {
    fn poll(&self, cx: &mut Context<'_>, take: &mut Take<'_>) -> Poll<Happened> {
        let events = self.consumer.context();
        for registered in [false, true] {
            // What was called may have been the last thing before more that is there already.
            loop {
                if let Some(happened) = self.pop() {
                    return Poll::Ready(happened);
                }
                if let Some(happened) = self.poll_once(take) {
                    return Poll::Ready(happened);
                }
                if !events.called.swap(false, Ordering::Relaxed) {
                    break;
                }
            }
            if !registered {
                self.waker.register(cx.waker());
            }
        }
        Poll::Pending
    }

    fn starts(&self, partitions: Vec<TopicPartition>) -> BoxFuture<'static, Result<Vec<Start>>> {
        let (consumer, start) = (self.consumer.clone(), self.config.start);
        Box::pin(Self::blocking("where to begin", move || starts::of(&*consumer, &partitions, start)))
    }

    fn assign(&self, starts: &[Start]) -> Result<()> {
        let mut list = TopicPartitionList::with_capacity(starts.len());
        for start in starts {
            let added =
                list.add_partition_offset(&start.at.topic, start.at.partition, Offset::Offset(start.offset));
            added.map_err(|e| error(&e, "an offset to begin with"))?;
        }
        let assigned = if self.is_incremental() {
            self.consumer.incremental_assign(&list)
        } else {
            self.consumer.assign(&list)
        };
        assigned.map_err(|e| error(&e, "taking partitions"))
    }

    fn unassign(&self, partitions: &[TopicPartition]) -> Result<()> {
        let given_up = if self.is_incremental() {
            self.consumer.incremental_unassign(&list(partitions))
        } else {
            self.consumer.unassign()
        };
        given_up.map_err(|e| error(&e, "giving partitions up"))
    }

    fn lost(&self) -> bool {
        self.consumer.assignment_lost()
    }

    fn commit(
        &self,
        commits: Vec<(TopicPartition, Commit)>,
    ) -> BoxFuture<'static, Result<Vec<(TopicPartition, String)>>> {
        let consumer = self.consumer.clone();
        Box::pin(Self::blocking("a commit", move || {
            let mut list = TopicPartitionList::with_capacity(commits.len());
            for (at, commit) in &commits {
                let mut place = list.add_partition(&at.topic, at.partition);
                let set = place.set_offset(Offset::Offset(commit.offset));
                set.map_err(|e| error(&e, "an offset to commit"))?;
                place.set_metadata(&commit.metadata);
            }
            let committed = consumer.commit(&list, CommitMode::Sync);
            let mut failed: Vec<_> = list
                .elements()
                .iter()
                .filter_map(|e| e.error().err().map(|why| (at(e.topic(), e.partition()), why.to_string())))
                .collect();
            if let (Err(why), true) = (committed, failed.is_empty()) {
                failed = commits.into_iter().map(|(at, _)| (at, why.to_string())).collect();
            }
            Ok(failed)
        }))
    }

    fn pause(&self, partitions: &[TopicPartition]) {
        noted(self.consumer.pause(&list(partitions)), "a pause");
    }

    fn resume(&self, partitions: &[TopicPartition]) {
        noted(self.consumer.resume(&list(partitions)), "the end of a pause");
    }

    fn seek(&self, at: &TopicPartition, offset: i64) {
        noted(self.consumer.seek(&at.topic, at.partition, Offset::Offset(offset), Duration::ZERO), "a seek");
    }

    fn find_damage(&self, suspects: Vec<(TopicPartition, i64)>) -> BoxFuture<'static, Vec<Damage>> {
        let config = self.config.clone();
        Box::pin(async move {
            let search = move || Ok(probe::find_damage(&config, suspects));
            Self::blocking("a search for damage", search).await.unwrap_or_default()
        })
    }

    fn find_empty(&self, tails: Vec<Tail>) -> BoxFuture<'static, Vec<Tail>> {
        let config = self.config.clone();
        Box::pin(async move {
            let search = move || Ok(probe::find_empty(&config, tails));
            Self::blocking("a search for markers", search).await.unwrap_or_default()
        })
    }

    fn leave(&self) -> BoxFuture<'static, ()> {
        let consumer = self.consumer.clone();
        consumer.context().leaving.store(true, Ordering::Relaxed);
        Box::pin(async move {
            let left = tokio::task::spawn_blocking(move || {
                let deadline = Instant::now() + LEAVE_TIMEOUT;
                noted(consumer.close_queue(), "leaving the group");
                while !consumer.closed() && Instant::now() < deadline {
                    let _ = consumer.poll(Duration::from_millis(50)); // what comes now belongs to the next owner
                }
            });
            let _ = left.await; // it is the last thing that is asked of this client
        })
    }
}

impl Events {
    pub(crate) fn new(login: Arc<Login>) -> Self {
        let [called, leaving] = [false, false].map(AtomicBool::new);
        Self { happened: Mutex::default(), called, leaving, login }
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<Happened>> {
        self.happened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client keeps the password that it was made with.
    fn enter_anew(&self) {
        if self.login.is_outdated() {
            let message = "kafka: the password in kafka.sasl.password_file was changed".to_owned();
            self.note(Happened::Trouble(Trouble { message, kind: TroubleKind::Fatal }));
        }
    }

    fn note(&self, happened: Happened) {
        self.queue().push_back(happened);
        self.called.store(true, Ordering::Relaxed);
    }
}

impl ClientContext for Events {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.called.store(true, Ordering::Relaxed);
        log(level, facility, message);
    }

    fn stats_raw(&self, text: &[u8]) {
        if let Some(stats) = stats::read(text) {
            if stats.brokers_up > 0 {
                self.login.let_in();
            }
            self.note(Happened::Stats(stats));
        }
        self.enter_anew();
        self.called.store(true, Ordering::Relaxed);
    }

    fn error(&self, failed: KafkaError, reason: &str) {
        let trouble = told(&failed, reason, &self.login);
        self.enter_anew();
        match trouble {
            // A fatal error comes again as the last message of the consumer.
            Some(Trouble { kind: TroubleKind::Corrupt(_) | TroubleKind::Fatal, .. }) | None => {
                self.called.store(true, Ordering::Relaxed);
            }
            Some(trouble) => self.note(Happened::Trouble(trouble)),
        }
    }

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn StdError>> {
        self.called.store(true, Ordering::Relaxed);
        self.login.token()
    }
}

impl ConsumerContext for Events {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        what: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        if self.leaving.load(Ordering::Relaxed) {
            let given_up = match consumer.rebalance_protocol() {
                RebalanceProtocol::Cooperative => consumer.incremental_unassign(partitions),
                _ => consumer.unassign(),
            };
            return noted(given_up, "giving partitions up at the end");
        }
        let partitions = partitions.elements().iter().map(|e| at(e.topic(), e.partition())).collect();
        self.note(if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            Happened::Assigned(partitions)
        } else {
            Happened::Revoked(partitions)
        });
    }

    fn commit_callback(&self, _result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        self.called.store(true, Ordering::Relaxed);
    }
}

/// librdkafka's log lines among ours.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => {
            tracing::warn!(facility, "librdkafka: {message}");
        }
        RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => {
            tracing::info!(facility, "librdkafka: {message}");
        }
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => tracing::debug!(facility, "librdkafka: {message}"),
    }
}

pub(crate) fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition }
}

fn list(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for at in partitions {
        list.add_partition(&at.topic, at.partition);
    }
    list
}

/// What librdkafka refuses here is no loss: the reader notices that its wish did not come true.
fn noted(done: KafkaResult<()>, what: &str) {
    if let Err(error) = done {
        tracing::debug!(%error, "kafka: {what} was refused");
    }
}
