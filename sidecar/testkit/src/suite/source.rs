//! The parties: the broker with its place, and the sidecar under test.

use std::{
    future::Future,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::{Capabilities, Routes};
use crate::{Launch, Outgoing, Proxy, process::WAIT_MAX};

/// An adapter's broker for the suite: how a place is had on it, and what it can do.
pub trait Adapter: Source + Sized + 'static {
    /// What it can do.
    const CAPABILITIES: Capabilities;

    /// A place that no other test knows (a topic and its group, a subscription, a journal), on a broker that is there
    /// when this returns; `None` after the test was reported as skipped ([`crate::skip`]). `name` is made of letters,
    /// digits and `-`, and is unique among the tests of the source.
    fn place(name: &str, way: Way) -> impl Future<Output = Option<Self>> + Send;
}

/// How the sidecar shall reach the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As it likes.
    Direct,
    /// Through a [`Proxy`] that no other test uses and that does not stand between the broker and the test.
    Proxied,
}

/// A place on a broker.
pub trait Source: Send + Sync {
    /// The settings by which the sidecar reads it: path and value in YAML.
    fn settings(&self) -> Vec<(String, String)>;

    /// Publishes events in their order, by a client that shares no code with the sidecar. Done when each is durable
    /// at the broker.
    ///
    /// # Errors
    /// Not all are known to be: some may be there.
    fn publish<'a>(&'a self, events: &'a [Outgoing]) -> BoxFuture<'a, Result<(), String>>;

    /// How many of the published events are not settled, by the broker's own account. `sidecar` is running; only a
    /// source whose broker is the sidecar itself asks it.
    ///
    /// # Errors
    /// The broker did not say.
    fn unsettled<'a>(&'a self, sidecar: &'a Sidecar) -> BoxFuture<'a, Result<usize, String>>;

    /// How many of them are handed out to the sidecar at this moment, where the broker knows.
    fn handed_out(&self) -> BoxFuture<'_, Option<usize>> {
        Box::pin(std::future::ready(None))
    }

    /// The proxy before it, if it was asked for and there is a connection to cut.
    fn proxy(&self) -> Option<&Proxy> {
        None
    }
}

/// The sidecar under test: the shipped binary, or one with a flaw that the suite must find.
pub trait Subject: Send + Sync {
    /// How it is started with this setup in its folder.
    fn launch(&self, sidecar: &Sidecar, setup: &Setup) -> Launch;

    /// How many events it holds in memory, by its own account.
    ///
    /// # Errors
    /// It did not say.
    fn in_hand<'a>(&'a self, sidecar: &'a Sidecar) -> BoxFuture<'a, Result<usize, String>>;

    /// Its dead letters.
    ///
    /// # Errors
    /// It did not say.
    fn letters<'a>(&'a self, sidecar: &'a Sidecar) -> BoxFuture<'a, Result<Vec<Letter>, String>>;

    /// How many events it has discarded by the rule of this name, since its process began.
    ///
    /// # Errors
    /// It did not say.
    fn discarded<'a>(&'a self, sidecar: &'a Sidecar, rule: &'a str) -> BoxFuture<'a, Result<usize, String>>;

    /// How many marks it has on its disk, of events that a target has.
    ///
    /// # Errors
    /// It did not say.
    fn marks<'a>(&'a self, sidecar: &'a Sidecar) -> BoxFuture<'a, Result<usize, String>>;

    /// How long anything is waited for before the scenario fails.
    fn patience(&self) -> Duration {
        WAIT_MAX
    }
}

/// Where a sidecar lives.
#[derive(Debug, Clone)]
pub struct Sidecar {
    /// Its folder, which outlives each of its processes.
    pub folder: PathBuf,
    /// Where it answers `/readyz`.
    pub admin: SocketAddr,
}

/// What a sidecar is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// The function's URL.
    pub function: String,
    /// Calls at once.
    pub concurrency: usize,
    /// Events in memory at once.
    pub window: usize,
    /// Calls of an event until it is a dead letter.
    pub attempts_max: u32,
    /// How long a drain may take, in milliseconds.
    pub drain_ms: u64,
    /// Which events go where.
    pub routes: Routes,
    /// The source's own settings.
    pub source: Vec<(String, String)>,
}

/// A dead letter, as far as the suite looks at it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Letter {
    /// The event's id.
    pub id: String,
    /// How often the function was called with it.
    pub attempts: u64,
}

impl Sidecar {
    /// A path in the folder.
    #[must_use]
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.join(name)
    }
}
