//! What of a configuration counts while the process runs: the one place that knows where each such setting is kept.
//!
//! Each part takes all of its settings in one stroke, so that none goes by half of them. The settings are marked in
//! the table (`config/settings`); what is not marked needs a restart.

use super::wiring;
use crate::{
    config::{self, Config},
    dispatch::Target,
    proxy,
    registry::Tune,
};
use outrigger_core::{Intake, LiveSpan};
use std::sync::Arc;

/// The parts whose settings may change.
pub(super) struct Live {
    pub(super) target: Arc<Target>,
    /// The others, each as it is configured: what is its own needs a restart, what it inherits does not.
    pub(super) others: Vec<(Arc<Target>, config::Target)>,
    pub(super) intake: Intake,
    pub(super) tune: Tune,
    /// Not the proxy itself: who holds that holds the drain.
    pub(super) proxy: Option<Arc<proxy::Tuning>>,
    /// `drain.lame_duck`.
    pub(super) lame_duck: LiveSpan,
    /// `drain.deadline`.
    pub(super) drain_deadline: LiveSpan,
    /// `drain.storage_timeout`.
    pub(super) storage_timeout: LiveSpan,
}

/// How long each part of a drain may take, in the order of the settings.
pub(super) fn spans(drain: &config::Drain) -> [LiveSpan; 3] {
    [drain.lame_duck, drain.deadline, drain.storage_timeout].map(LiveSpan::new)
}

impl Live {
    /// All targets, the function first.
    pub(super) fn targets(&self) -> Vec<Arc<Target>> {
        std::iter::once(&self.target).chain(self.others.iter().map(|(other, _)| other)).cloned().collect()
    }

    /// Goes by `config` from here on. Takes each part's lock for a moment at most.
    pub(super) fn apply(&self, config: &Config) {
        (self.tune)(&config.function);
        self.intake.resize(config.window.events, config.window.bytes);
        self.target.treat(wiring::settings(config));
        for (target, own) in &self.others {
            target.treat(wiring::target_settings(&config.delivery, own));
        }
        if let (Some(proxy), Some(settings)) = (&self.proxy, &config.proxy) {
            proxy.set(settings);
        }
        self.lame_duck.set(config.drain.lame_duck);
        self.drain_deadline.set(config.drain.deadline);
        self.storage_timeout.set(config.drain.storage_timeout);
    }
}
