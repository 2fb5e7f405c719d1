//! What of a client's settings may change while it works. Each is read where it is needed, by one atomic load.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use outrigger_core::LiveSpan;

use crate::config::Config;

/// The times and the size of a client that may change.
#[derive(Debug)]
pub struct Tuning {
    pub(crate) timeout: LiveSpan,
    pub(crate) connect_timeout: LiveSpan,
    pub(crate) idle_timeout: LiveSpan,
    idle_connections_max: AtomicUsize,
}

impl Tuning {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            timeout: LiveSpan::new(config.timeout),
            connect_timeout: LiveSpan::new(config.connect_timeout),
            idle_timeout: LiveSpan::new(config.idle_timeout),
            idle_connections_max: AtomicUsize::new(config.idle_connections_max),
        }
    }

    /// Takes [`Config::timeout`], [`Config::connect_timeout`], [`Config::idle_timeout`] and
    /// [`Config::idle_connections_max`] from `config`, for requests that are sent from here on. One that is sent at
    /// this moment may go by some of the old ones still.
    pub fn set(&self, config: &Config) {
        self.timeout.set(config.timeout);
        self.connect_timeout.set(config.connect_timeout);
        self.idle_timeout.set(config.idle_timeout);
        self.idle_connections_max.store(config.idle_connections_max, Relaxed);
    }

    pub(crate) fn idle_connections_max(&self) -> usize {
        self.idle_connections_max.load(Relaxed)
    }
}
