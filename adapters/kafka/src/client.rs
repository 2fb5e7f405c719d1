//! What the reader asks of Kafka. librdkafka answers in production ([`crate::Librdkafka`]), a simulated broker in
//! the simulation: the reader cannot tell them apart.

use crate::decode::Record;
use outrigger_core::{BoxFuture, Result, decide::watermark::Commit};
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Arc<str>,
    /// Its number there.
    pub partition: i32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// Where an assigned partition begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The partition.
    pub at: TopicPartition,
    /// The first offset to read.
    pub offset: i64,
    /// What the last commit says beyond its own offset, which is `missing` before this one; empty where there was
    /// none.
    pub metadata: String,
    /// Whether the group had no commit yet, so that this one is to be written down.
    pub fresh: bool,
    /// How many records are gone between the last commit and the first one that the broker still has.
    pub missing: i64,
}

/// Headers of a record as they are handed over.
pub type Headers<'a> = std::iter::Copied<std::slice::Iter<'a, (&'a str, Option<&'a [u8]>)>>;

/// Takes each record that is fetched.
pub type Take<'t> = dyn for<'a> FnMut(Record<'a, Headers<'a>>) + 't;

/// What happened at the broker.
#[derive(Debug)]
pub enum Happened {
    /// A record was handed over.
    Record,
    /// Partitions are ours from now on, once they are [assigned](Client::assign).
    Assigned(Vec<TopicPartition>),
    /// Partitions are to be given up; the broker waits for [`Client::unassign`], within its rebalance timeout.
    Revoked(Vec<TopicPartition>),
    /// Something failed; the client goes on by itself.
    Trouble(Trouble),
    /// The numbers of the partitions, every now and then.
    Stats(Stats),
}

/// A failure that the client reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What happened and what to do, in one line.
    pub message: String,
    /// What it is about.
    pub kind: TroubleKind,
}

/// What a failure is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TroubleKind {
    /// No broker can be reached, or they do not let us in: over once one is connected.
    Outage,
    /// A topic or the group says no; it may pass.
    Refused,
    /// A batch of records is damaged: its partition cannot go on. Where the client can tell, which and from where.
    Corrupt(Option<(TopicPartition, i64)>),
    /// The client itself can do no more: it must be made anew.
    Fatal,
    /// Another member of the same name took our place: going on would fight with it.
    Fenced,
}

/// Records of a partition that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The partition.
    pub at: TopicPartition,
    /// The first offset that cannot be read.
    pub from: i64,
    /// The first one behind it that can; `None` where that was not found.
    pub until: Option<i64>,
}

/// What lies between where a partition is read from and an end that was heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// The partition.
    pub at: TopicPartition,
    /// The offset that is read next.
    pub from: i64,
    /// The end.
    pub end: i64,
}

/// What the client knows of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// The offset after the last record that a reader may see, per partition.
    pub ends: Vec<(TopicPartition, i64)>,
    /// Partitions that are fetched to their end: nothing is to come, though the last offsets hold no record
    /// (markers of transactions, compaction).
    pub read: Vec<TopicPartition>,
    /// How many brokers are connected.
    pub brokers_up: usize,
    /// Brokers that are known and not connected.
    pub brokers_down: Vec<String>,
    /// Rebalances of the group so far, as the client counts them.
    pub rebalances: u64,
    /// How far the client is in joining its group, in the client's words.
    pub join_state: String,
}

impl Stats {
    /// Whether the client is in its group, with or without partitions.
    #[must_use]
    pub fn is_joined(&self) -> bool {
        self.join_state == "steady"
    }
}

/// A consumer of a group. Calls do not block, but for the futures.
pub trait Client: Send + Sync + 'static {
    /// The next thing that happened.
    fn poll(&self, cx: &mut Context<'_>, take: &mut Take<'_>) -> Poll<Happened>;

    /// Where the partitions begin: by the group's commits, else by the configured start.
    fn starts(&self, partitions: Vec<TopicPartition>) -> BoxFuture<'static, Result<Vec<Start>>>;

    /// Reads these partitions from their starts on, beside the ones before.
    ///
    /// # Errors
    /// When the client refuses.
    fn assign(&self, starts: &[Start]) -> Result<()>;

    /// Gives these partitions up.
    ///
    /// # Errors
    /// When the client refuses.
    fn unassign(&self, partitions: &[TopicPartition]) -> Result<()>;

    /// Whether the group took the assignment away without asking: nothing of it may be committed.
    fn lost(&self) -> bool;

    /// Commits; gives back those that the broker did not take, each with the reason.
    fn commit(
        &self,
        commits: Vec<(TopicPartition, Commit)>,
    ) -> BoxFuture<'static, Result<Vec<(TopicPartition, String)>>>;

    /// Fetches no more from these partitions.
    fn pause(&self, partitions: &[TopicPartition]);

    /// Fetches from these partitions again, from where it was.
    fn resume(&self, partitions: &[TopicPartition]);

    /// Fetches from `offset` on. Records that are on their way may still come first.
    fn seek(&self, at: &TopicPartition, offset: i64);

    /// Which of these partitions are damaged where each is read from, for a client that cannot tell when it meets
    /// the damage ([`TroubleKind::Corrupt`] without a place).
    fn find_damage(&self, suspects: Vec<(TopicPartition, i64)>) -> BoxFuture<'static, Vec<Damage>> {
        drop(suspects);
        Box::pin(async { Vec::new() })
    }

    /// Those of these that have no record for a reader: markers of transactions, and what was aborted.
    fn find_empty(&self, tails: Vec<Tail>) -> BoxFuture<'static, Vec<Tail>> {
        drop(tails);
        Box::pin(async { Vec::new() })
    }

    /// Leaves the group, in bounded time.
    fn leave(&self) -> BoxFuture<'static, ()>;
}

/// Makes a client that is subscribed: at the start, and when the last one can do no more.
pub type Connect<C> = Arc<dyn Fn() -> Result<Arc<C>> + Send + Sync>;
