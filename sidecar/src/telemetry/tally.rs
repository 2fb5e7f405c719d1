//! What one target counts, and what each rule of the routes does.

use super::{Ended, Metrics, made::Maker};
use crate::config::FUNCTION;
use outrigger_core::{Code, Error, OnAnother, Result, TargetId};
use prometheus::{IntCounter, IntCounterVec};
use std::{sync::Arc, time::Duration};

/// The counters with a target or a rule as their label.
pub(super) struct Targets {
    delivered: IntCounterVec,
    failed: IntCounterVec,
    dead: IntCounterVec,
    duplicates: IntCounterVec,
    routed: IntCounterVec,
    discarded: IntCounterVec,
    rule_failed: IntCounterVec,
}

impl Targets {
    pub(super) fn new(made: &Maker<'_>) -> Result<Self> {
        let of_target = |name, help| made.counters(name, help, &["target"]);
        let of_rule = |name, help| made.counters(name, help, &["rule"]);
        Ok(Self {
            delivered: of_target("outrigger_target_delivered_total", "Events that the target has")?,
            failed: of_target("outrigger_target_failures_total", "Attempts at the target that failed")?,
            dead: of_target(
                "outrigger_target_dead_lettered_total",
                "Events that the target failed for good, now dead letters",
            )?,
            duplicates: of_target(
                "outrigger_target_duplicates_total",
                "Events that came again and that the target had already",
            )?,
            routed: of_rule(
                "outrigger_routed_events_total",
                "Events, by the first rule that they fitted; otherwise is none",
            )?,
            discarded: of_rule("outrigger_discarded_events_total", "Those of them that were discarded")?,
            rule_failed: of_rule(
                "outrigger_route_failures_total",
                "Events on which the rule's expression went wrong, so that they did not fit it",
            )?,
        })
    }
}

/// What one target counts: what is told of the function, where it is that, and its own numbers, where there are several.
pub struct Tally {
    all: Arc<Metrics>,
    is_function: bool,
    own: Option<Own>,
}

struct Own {
    delivered: IntCounter,
    failed: IntCounter,
    dead: IntCounter,
    duplicates: IntCounter,
}

impl Tally {
    /// The tally of `target`, which is one of several or the only one.
    #[must_use]
    pub fn new(all: Arc<Metrics>, target: &TargetId, is_one_of_several: bool) -> Self {
        let of = |counters: &IntCounterVec| counters.with_label_values(&[&*target.0]);
        let own = is_one_of_several.then(|| Own {
            delivered: of(&all.targets.delivered),
            failed: of(&all.targets.failed),
            dead: of(&all.targets.dead),
            duplicates: of(&all.targets.duplicates),
        });
        Self { all, is_function: &*target.0 == FUNCTION, own }
    }

    /// One event was delivered, so long after its admission.
    pub fn delivered(&self, latency: Duration) {
        if self.is_function {
            self.all.delivered(latency);
        }
        self.note(|own| &own.delivered);
    }

    /// One attempt ended, with a status of the 2xx or without a success.
    pub fn attempted(&self, outcome: Result<u16, &Error>, took: Duration) {
        if outcome.is_err() {
            self.note(|own| &own.failed);
        }
        if self.is_function {
            self.all.attempted(outcome, took);
        }
    }

    /// A failed attempt is followed by another.
    pub fn retried(&self) {
        if self.is_function {
            self.all.retried();
        }
    }

    /// An event holds its key.
    pub fn parked(&self) {
        self.all.parked();
    }

    /// An event became a dead letter.
    pub fn dead(&self, code: Code) {
        self.all.dead(code);
        self.note(|own| &own.dead);
    }

    /// A dead letter could not be written.
    pub fn dead_failed(&self) {
        self.all.dead_failed();
    }

    /// A reply is kept.
    pub fn replied(&self) {
        self.all.replied();
    }

    /// A reply was not passed on, as its line is too long.
    pub fn reply_cut(&self) {
        self.all.reply_cut();
    }

    /// A reply could not be written.
    pub fn reply_failed(&self) {
        self.all.reply_failed();
    }

    /// An event left in another way.
    pub fn ended(&self, how: Ended) {
        self.all.ended(how);
        if let Ended::Duplicate = how {
            self.note(|own| &own.duplicates);
        }
    }

    /// An event had the name of another one and another payload.
    pub fn conflicting(&self, then: OnAnother) {
        self.all.conflicting(then);
    }

    fn note(&self, counter: impl FnOnce(&Own) -> &IntCounter) {
        if let Some(own) = &self.own {
            counter(own).inc();
        }
    }
}

/// What the rules did: of each, and last of events that fitted none.
pub struct RuleCounts(Vec<OfRule>);

struct OfRule {
    routed: IntCounter,
    discarded: IntCounter,
    failed: IntCounter,
}

impl RuleCounts {
    /// Those of the rules of these names, in their order, from zero on.
    #[must_use]
    pub fn new<'a>(metrics: &Metrics, names: impl Iterator<Item = &'a str>) -> Self {
        let of = |name: &str| OfRule {
            routed: metrics.targets.routed.with_label_values(&[name]),
            discarded: metrics.targets.discarded.with_label_values(&[name]),
            failed: metrics.targets.rule_failed.with_label_values(&[name]),
        };
        Self(names.chain(["otherwise"]).map(of).collect())
    }

    /// An event went by that rule, or by none, to somewhere or nowhere.
    pub fn routed(&self, by: Option<usize>, is_discarded: bool) {
        let of = &self.0[by.unwrap_or(self.0.len() - 1)];
        of.routed.inc();
        if is_discarded {
            of.discarded.inc();
        }
    }

    /// The rule's expression went wrong.
    pub fn failed(&self, rule: usize) {
        self.0[rule].failed.inc();
    }
}
