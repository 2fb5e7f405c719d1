//! What goes wrong with accepting.

use std::{io, sync::atomic::Ordering::Relaxed, time::Duration};

use super::Counts;
use crate::limits::Limits;

/// What goes wrong with accepting: said once per streak, and waited out longer and longer.
#[derive(Default)]
pub(super) struct Trouble {
    failures: u32,
    capped: bool,
}

impl Trouble {
    pub(super) fn accepted(&mut self) {
        self.failures = 0;
    }

    pub(super) fn below_cap(&mut self) {
        self.capped = false;
    }

    pub(super) fn at_cap(&mut self, limits: &Limits, counts: &Counts) {
        if !std::mem::replace(&mut self.capped, true) {
            counts.paused.fetch_add(1, Relaxed);
            let open = limits.connections_max;
            tracing::warn!(open, "as many connections as allowed are open; new ones wait");
        }
    }

    /// How long to wait before accepting again. A connection that was reset before we took it costs
    /// nothing; anything else (EMFILE, ENFILE, ENOBUFS) needs others to finish first: 10 ms up to 1 s.
    pub(super) fn after(&mut self, error: &io::Error) -> Duration {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
        if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) {
            return Duration::ZERO;
        }
        if self.failures == 0 {
            tracing::warn!(%error, "accepting connections fails; trying again until it works");
        }
        self.failures = (self.failures + 1).min(8);
        Duration::from_millis(10 << (self.failures - 1)).min(Duration::from_secs(1))
    }
}
