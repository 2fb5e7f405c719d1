//! What a broker's adapter is to the rest: sources, homes of what is written, and how they are.

use crate::config;
use outrigger_core::{BoxFuture, DeadLetter, DeadLetters, Intake, Result, Retry, Sink, Source};
use std::sync::Arc;

/// A source of a broker: how it is, and what its owner may ask of it.
pub trait Feed: Send + Sync + 'static {
    /// The source itself.
    fn source(&self) -> Arc<dyn Source>;

    /// What keeps events from coming in, in one line; `None` when nothing does.
    fn trouble(&self) -> Option<String>;

    /// How it is, in a few words, while there is no trouble.
    fn note(&self) -> String;

    /// Its numbers.
    fn series(&self) -> Vec<Series>;

    /// Everything, for `outrigger kafka status`.
    fn status(&self) -> serde_json::Value;

    /// Does what the owner asks for these partitions, and names them.
    ///
    /// # Errors
    /// When none of them is ours, or it makes no sense there.
    fn ask<'a>(
        &'a self,
        wish: Wish,
        topic: &'a str,
        partition: Option<i32>,
    ) -> BoxFuture<'a, Result<Vec<String>>>;
}

/// What an owner may ask of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Fetch no more.
    Pause,
    /// Fetch again.
    Resume,
    /// Go on at this offset; without one, behind what is damaged.
    Skip {
        /// The offset.
        to: Option<i64>,
    },
}

/// The numbers of one metric: one row for each set of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Its name.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// The labels' names.
    pub labels: &'static [&'static str],
    /// Whether it only grows.
    pub is_counter: bool,
    /// The labels' values, and the number.
    pub rows: Vec<(Vec<String>, u64)>,
}

/// What the configuration asks of brokers.
#[derive(Default)]
pub struct Brokers {
    /// Where events come from.
    pub feeds: Vec<Arc<dyn Feed>>,
    /// Where replies go.
    pub replies: Option<Arc<dyn Sink>>,
    /// Where dead letters go.
    pub dead: Option<Arc<dyn DeadLetters>>,
    /// How those homes are.
    pub homes: Vec<Arc<dyn Home>>,
    /// The targets that are topics, by their names.
    pub targets: Vec<(String, Arc<dyn Sink>)>,
    /// Who reads a range of a topic once more.
    pub replays: Option<Arc<dyn Replays>>,
}

impl Brokers {
    /// A source of one broker, and the topics of it that replies and dead letters go to.
    #[cfg(any(feature = "eventgrid", feature = "http", feature = "kafka", feature = "pubsub"))]
    pub(super) fn of<S: Sink + DeadLetters + Home>(
        feed: Option<Arc<dyn Feed>>,
        replies: Option<Arc<S>>,
        dead: Option<Arc<S>>,
    ) -> Self {
        let homes = [&replies, &dead].into_iter().flatten().map(|sink| sink.clone() as Arc<dyn Home>);
        Self {
            feeds: feed.into_iter().collect(),
            homes: homes.collect(),
            replies: replies.map(|sink| sink as _),
            dead: dead.map(|sink| sink as _),
            targets: Vec::new(),
            replays: None,
        }
    }

    /// The same, with topics that are targets.
    #[cfg(any(feature = "eventgrid", feature = "kafka", feature = "pubsub"))]
    pub(super) fn with_targets<S: Sink + Home>(mut self, targets: Vec<(String, Arc<S>)>) -> Self {
        for (name, sink) in targets {
            self.homes.push(sink.clone());
            self.targets.push((name, sink));
        }
        self
    }

    /// These and those. That two do not ask for the same home is a rule of the configuration.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.feeds.extend(other.feeds);
        self.homes.extend(other.homes);
        self.targets.extend(other.targets);
        Self {
            replies: self.replies.or(other.replies),
            dead: self.dead.or(other.dead),
            replays: self.replays.or(other.replays),
            ..self
        }
    }
}

/// Reads ranges of topics once more, through the same path and without their groups.
pub trait Replays: Send + Sync + 'static {
    /// Begins with a topic (or one of its partitions), from there to there.
    ///
    /// # Errors
    /// When another one runs.
    fn start(
        &self,
        place: (&str, Option<i32>),
        range: (config::Start, Option<config::Start>),
        intake: Intake,
    ) -> Result<()>;

    /// How far the last one is: `{read, settled, released, done, failed}`; null where there was none.
    fn progress(&self) -> serde_json::Value;

    /// Reads no more.
    fn stop(&self);
}

/// A topic that is written, for readiness and metrics.
pub trait Home: Send + Sync + 'static {
    /// Its name in readiness.
    fn name(&self) -> &str;

    /// What keeps it from being written, in one line; `None` when nothing does.
    fn trouble(&self) -> Option<String>;

    /// Its numbers.
    fn series(&self) -> Vec<Series> {
        Vec::new()
    }
}

/// Dead letters go to the first home. What it can never take, such as one that is too large for it, goes to the
/// second, where there is one; what it cannot take now is pushed back.
pub struct Homes {
    /// The first.
    pub first: Arc<dyn DeadLetters>,
    /// The second.
    pub second: Option<Arc<dyn DeadLetters>>,
}

impl DeadLetters for Homes {
    fn put<'a>(&'a self, letter: &'a DeadLetter) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            match (self.first.put(letter).await, &self.second) {
                (Err(error), Some(second)) if error.retry() == Retry::Permanent => {
                    tracing::warn!(%error, "a dead letter goes into the journal instead");
                    second.put(letter).await
                }
                (done, _) => done,
            }
        })
    }
}
