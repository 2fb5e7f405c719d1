//! The source's handle.

use crate::{
    Ask, Config, Librdkafka, Status,
    board::{Board, Command, Leaving},
    client::{Client, Connect, TopicPartition},
    source::Reader,
};
use outrigger_core::{BoxFuture, Drain, Error, Intake, Kind, Result, Retry, Source};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::oneshot;

/// How long the start waits before it asks again whether there is a token to enter with.
const ENTER_AGAIN: Duration = Duration::from_millis(250);

/// Kafka as a source. `C` is librdkafka but in a simulation.
pub struct Kafka<C = Librdkafka> {
    config: Arc<Config>,
    board: Arc<Board>,
    connect: Connect<C>,
    running: AtomicBool,
}

impl Kafka<Librdkafka> {
    /// The source over librdkafka. Nothing is connected before it runs.
    #[must_use]
    pub fn new(config: Config) -> Arc<Self> {
        let config = Arc::new(config);
        let settings = config.clone();
        Self::with_client(config, Arc::new(move || Librdkafka::connect(&settings)))
    }
}

impl<C: Client> Kafka<C> {
    /// The source over clients that `connect` makes.
    #[must_use]
    pub fn with_client(config: Arc<Config>, connect: Connect<C>) -> Arc<Self> {
        Arc::new(Self { config, board: Arc::default(), connect, running: AtomicBool::new(false) })
    }

    /// The first client, once there is a token to enter with; `None` when the drain comes before.
    async fn enter(&self, drain: &mut Drain) -> Result<Option<Arc<C>>> {
        loop {
            let error = match (self.connect)() {
                Ok(client) => return Ok(Some(client)),
                Err(error) if error.retry() == Retry::Permanent => return Err(error),
                Err(error) => error.to_string(),
            };
            if self.board.trouble(Some(error.clone())) {
                tracing::warn!(source = %self.config.name, "{error}; it is tried again");
            }
            tokio::select! {
                biased; // no dice that nobody handed in
                () = drain.started() => return Ok(None),
                () = tokio::time::sleep(ENTER_AGAIN) => {}
            }
        }
    }

    /// Its numbers.
    #[must_use]
    pub fn status(&self) -> Status {
        self.board.status()
    }

    /// What is in the way of records, in one line; `None` when nothing is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let status = self.board.status();
        let damaged = status
            .partitions
            .iter()
            .find(|p| p.paused.as_ref().is_some_and(|why| why.starts_with("damaged")));
        if let Some(partition) = damaged {
            let why = partition.paused.as_deref().unwrap_or_default();
            return Some(format!("{}/{} is {why}", partition.topic, partition.partition));
        }
        let waits = || format!("not in the group {} yet: waiting for an assignment", self.config.group);
        status.trouble.or_else(|| (!status.joined).then(waits))
    }

    /// Asks something for the partitions of `topic` that are ours, or for one of them. Gives back which.
    ///
    /// # Errors
    /// `Invalid` when none of them is ours, or what is asked makes no sense there.
    pub async fn ask(&self, ask: Ask, topic: &str, partition: Option<i32>) -> Result<Vec<TopicPartition>> {
        let (answer, answered) = oneshot::channel();
        let command = Command { ask, topic: topic.to_owned(), partition, answer };
        if !self.board.commands.push(command) {
            return Err(Error::new(Kind::Overloaded, "kafka: too much is asked at once; try again"));
        }
        let done = answered.await.unwrap_or_else(|_| Err("the source has stopped".to_owned()));
        done.map_err(|why| Error::new(Kind::Invalid, format!("kafka: {why}")))
    }
}

impl<C: Client> Source for Kafka<C> {
    fn name(&self) -> &str {
        &self.config.name
    }

    /// May run once. It goes on after the drain's start, without fetching, until [`Source::close`].
    fn run(self: Arc<Self>, intake: Intake, drain: Drain) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            if self.running.swap(true, Ordering::SeqCst) {
                return Err(Error::new(Kind::Invalid, "the Kafka source was already run"));
            }
            let board = self.board.clone();
            let _leaving = Leaving(board.clone()); // also where there is no client to begin with
            let mut drain = drain;
            let Some(client) = self.enter(&mut drain).await? else { return Ok(()) };
            Reader::new(self.config.clone(), board, self.connect.clone(), client, intake).run(drain).await
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let left = self.board.left.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            if self.running.load(Ordering::SeqCst) && !self.board.closed.load(Ordering::Acquire) {
                self.board.closing.notify_one();
                left.await;
            }
            self.board.last_words()
        })
    }
}

impl<C> fmt::Debug for Kafka<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka").field("group", &self.config.group).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cluster;
    use outrigger_core::{Admit, Delivery, decide::window::Window, drain};
    use std::{collections::BTreeMap, time::Duration};

    struct Nobody;
    impl Admit for Nobody {
        fn admit(&self, _: Delivery) {}
    }

    fn without_client(kind: Kind) -> (Arc<Kafka>, Intake) {
        let cluster = Cluster {
            brokers: vec!["nowhere:1".to_owned()],
            client_id: "test".to_owned(),
            tls: None,
            sasl: None,
            properties: BTreeMap::new(),
        };
        let connect: Connect<Librdkafka> = Arc::new(move || Err(Error::new(kind, "no client")));
        let source = Kafka::with_client(Arc::new(Config::new(cluster, "group", &["t"])), connect);
        (source, Intake::new(Window::new(1, usize::MAX), Arc::new(Nobody)))
    }

    async fn closes(source: &Kafka) {
        tokio::time::timeout(Duration::from_mins(1), source.close()).await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_can_never_have_a_client_fails_and_closes_at_once() {
        let (source, intake) = without_client(Kind::Invalid);
        let (_stop, draining) = drain::channel();
        source.clone().run(intake, draining).await.unwrap_err();
        closes(&source).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_has_no_client_yet_says_why_tries_on_and_ends_with_the_drain() {
        let (source, intake) = without_client(Kind::Unreachable);
        let (stop, draining) = drain::channel();
        let running = tokio::spawn(source.clone().run(intake, draining));
        while source.status().trouble.is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(source.trouble(), Some("no client".to_owned()));
        assert!(!running.is_finished());
        stop.start();
        running.await.unwrap().unwrap();
        closes(&source).await;
    }
}
