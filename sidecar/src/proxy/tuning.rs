//! What of the proxy's settings may change while it works. Each is read once per request, by one atomic load.

use crate::{config, dispatch::Patience};
use outrigger_core::LiveSpan;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The times and the size of the proxy that may change.
#[derive(Debug)]
pub struct Tuning {
    wait: LiveSpan,
    waiting_max: AtomicUsize,
    pub(super) upload_timeout: LiveSpan,
    pub(super) rest_max: LiveSpan,
}

impl Tuning {
    pub(super) fn new(config: &config::Proxy) -> Self {
        Self {
            wait: LiveSpan::new(config.wait),
            waiting_max: AtomicUsize::new(config.waiting_max),
            upload_timeout: LiveSpan::new(config.upload_timeout),
            rest_max: LiveSpan::new(config.stream_idle_timeout),
        }
    }

    /// Goes by `config` from the next request on.
    pub fn set(&self, config: &config::Proxy) {
        self.wait.set(config.wait);
        self.waiting_max.store(config.waiting_max, Relaxed);
        self.upload_timeout.set(config.upload_timeout);
        self.rest_max.set(config.stream_idle_timeout);
    }

    pub(super) fn patience(&self) -> Patience {
        Patience { wait: self.wait.get(), waiting_max: self.waiting_max.load(Relaxed) }
    }
}
