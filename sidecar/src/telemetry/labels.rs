//! Values by label: of statuses and failures there are few, and they are known.

use outrigger_core::{Error, Kind};
use prometheus::{Histogram, HistogramVec};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Histograms by one label. Looking one up among all labels costs more than noting a value, so the few that are
/// used are kept beside.
pub(super) struct ByLabel {
    pub(super) all: HistogramVec,
    pub(super) used: Mutex<Vec<(&'static str, Histogram)>>,
}

impl ByLabel {
    pub(super) fn observe(&self, label: &'static str, took: Duration) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let known = used.iter().find(|(known, _)| std::ptr::eq(*known, label));
        if let Some((_, histogram)) = known {
            return histogram.observe(took.as_secs_f64());
        }
        let histogram = self.all.with_label_values(&[label]);
        histogram.observe(took.as_secs_f64());
        used.push((label, histogram));
    }
}

/// A bounded set of labels for statuses: the ones that operators look for, and classes for the rest.
pub(super) fn status_label(status: u16) -> &'static str {
    match status {
        200 => "200",
        202 => "202",
        204 => "204",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        408 => "408",
        409 => "409",
        413 => "413",
        415 => "415",
        429 => "429",
        431 => "431",
        500 => "500",
        502 => "502",
        503 => "503",
        504 => "504",
        _ => ["1xx", "2xx", "3xx", "4xx", "5xx"][usize::from((status / 100).clamp(1, 5) - 1)],
    }
}

pub(super) fn failure_label(error: &Error) -> &'static str {
    match error.kind() {
        Kind::Unreachable => "unreachable",
        Kind::TimedOut => "timeout",
        Kind::BadAnswer => "bad_answer",
        _ => "interrupted",
    }
}
