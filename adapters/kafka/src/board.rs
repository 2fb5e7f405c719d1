//! What is known of the source from outside, and what its owner asks of it.

use crate::client::TopicPartition;
use outrigger_core::Error;
use serde::Serialize;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::sync::{Notify, oneshot};

/// The most commands that wait.
const COMMANDS_MAX: usize = 64;

/// One partition, as metrics and `outrigger kafka` show it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PartitionStatus {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset that is read first after a restart.
    pub next: i64,
    /// The offset after the last record that was fetched.
    pub position: i64,
    /// Records that are behind: from `next` to the partition's end, as last heard.
    pub lag_records: u64,
    /// The age of the oldest record that is not settled, in seconds; 0 where nothing is behind.
    pub lag_seconds: u64,
    /// Records in lanes and at the function.
    pub in_flight: usize,
    /// Why it is not fetched from, if it is not.
    pub paused: Option<String>,
    /// How long ago the broker took a commit, in milliseconds, while one is due; else 0.
    pub commit_age_ms: u64,
}

/// The whole source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Every partition that is ours.
    pub partitions: Vec<PartitionStatus>,
    /// Assignments and revocations so far.
    pub rebalances: u64,
    /// Outcomes that came after their partition was lost: those records are delivered again elsewhere.
    pub fenced: u64,
    /// Commits that the broker took.
    pub commits: u64,
    /// Commits that it did not.
    pub commits_failed: u64,
    /// Clients that were made anew because the last one stopped.
    pub heals: u64,
    /// Records that were gone from the broker before they were read.
    pub missing: u64,
    /// Brokers that are known and not connected.
    pub brokers_down: Vec<String>,
    /// Whether the group has us, with or without partitions.
    pub joined: bool,
    /// What is in the way; `None` while records come in or there are none.
    pub trouble: Option<String>,
}

/// What the owner asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Fetch no more; what was fetched goes on.
    Pause,
    /// Fetch again.
    Resume,
    /// Pass over everything that was not fetched yet below this offset; without one, over what is damaged.
    Skip {
        /// The first offset to read.
        to: Option<i64>,
    },
}

/// What is asked, for which partitions, and who waits for the answer.
pub(crate) struct Command {
    pub(crate) ask: Ask,
    pub(crate) topic: String,
    /// All of the topic where there is none.
    pub(crate) partition: Option<i32>,
    pub(crate) answer: oneshot::Sender<Result<Vec<TopicPartition>, String>>,
}

#[derive(Default)]
pub(crate) struct Commands {
    queue: Mutex<VecDeque<Command>>,
    came: Notify,
}

impl Commands {
    /// False when too many wait already.
    pub(crate) fn push(&self, command: Command) -> bool {
        let mut queue = lock(&self.queue);
        let fits = queue.len() < COMMANDS_MAX;
        if fits {
            queue.push_back(command);
            self.came.notify_one();
        }
        fits
    }

    /// The next one. Cancel safe.
    pub(crate) async fn next(&self) -> Command {
        loop {
            if let Some(command) = lock(&self.queue).pop_front() {
                return command;
            }
            self.came.notified().await;
        }
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct Board {
    status: Mutex<Status>,
    pub(crate) fenced: Arc<AtomicU64>,
    pub(crate) commands: Commands,
    pub(crate) closing: Notify,
    pub(crate) closed: AtomicBool,
    pub(crate) left: Notify,
    last_words: Mutex<Option<Error>>,
    /// Why the last commit failed.
    refusal: Mutex<Option<String>>,
}

/// Whatever ends the loop, whoever waits for its end hears of it.
pub(crate) struct Leaving(pub(crate) Arc<Board>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.left.notify_waiters();
    }
}

impl Board {
    pub(crate) fn status(&self) -> Status {
        Status { fenced: self.fenced.load(Ordering::Relaxed), ..lock(&self.status).clone() }
    }

    pub(crate) fn partitions(&self, partitions: Vec<PartitionStatus>) {
        self.change().partitions = partitions;
    }

    /// Gives back whether this is news: a client says the same again and again, with other details in parentheses.
    pub(crate) fn trouble(&self, trouble: Option<String>) -> bool {
        fn head(text: Option<&String>) -> Option<&str> {
            text.map(|text| text.split(" (").next().unwrap_or(text))
        }
        let mut status = self.change();
        let news = head(status.trouble.as_ref()) != head(trouble.as_ref());
        status.trouble = trouble;
        news
    }

    pub(crate) fn brokers_down(&self, brokers: Vec<String>) {
        self.change().brokers_down = brokers;
    }

    pub(crate) fn rebalanced(&self) {
        self.change().rebalances += 1;
    }

    pub(crate) fn committed(&self, taken: usize, failed: usize) {
        let mut status = self.change();
        if failed == 0 {
            *lock(&self.refusal) = None;
        }
        status.commits += taken as u64;
        status.commits_failed += failed as u64;
    }

    /// Whether commits did not fail for that reason the last time: said ten times a second, nobody reads it.
    pub(crate) fn is_news(&self, why: &str) -> bool {
        let mut refusal = lock(&self.refusal);
        let is_news = refusal.as_deref() != Some(why);
        *refusal = Some(why.to_owned());
        is_news
    }

    pub(crate) fn joined(&self) {
        self.change().joined = true;
    }

    pub(crate) fn healed(&self) {
        let mut status = self.change();
        (status.joined, status.heals) = (false, status.heals + 1);
    }

    /// What the last commit came to, for [`outrigger_core::Source::close`].
    pub(crate) fn say(&self, last: Result<(), Error>) {
        *lock(&self.last_words) = last.err();
    }

    pub(crate) fn last_words(&self) -> Result<(), Error> {
        lock(&self.last_words).take().map_or(Ok(()), Err)
    }

    pub(crate) fn missing(&self, records: i64) {
        self.change().missing += u64::try_from(records).unwrap_or(0);
    }

    fn change(&self) -> MutexGuard<'_, Status> {
        lock(&self.status)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
