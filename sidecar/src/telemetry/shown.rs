//! What is read when somebody asks: gauges, and the series of components.

use super::{Metrics, made::Maker};
use crate::registry::Series;
use prometheus::{IntCounter, IntCounterVec, IntGaugeVec};
use std::sync::PoisonError;

/// A metric of a component, registered when it is first shown.
pub(super) enum Shown {
    Gauges(IntGaugeVec),
    Counters(IntCounterVec),
    Counter(IntCounter),
}

impl Metrics {
    /// Sets the gauge `name`, which is registered when it is first set: a component that is absent shows nothing.
    pub fn set(&self, name: &'static str, help: &'static str, value: u64) {
        let mut gauges = self.gauges.lock().unwrap_or_else(PoisonError::into_inner);
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        if let Some(gauge) = gauges.get(name) {
            gauge.set(value);
        } else if let Ok(gauge) = (Maker(&self.registry)).gauge(name, help) {
            gauge.set(value);
            gauges.insert(name, gauge);
        }
    }

    /// Shows `series` as it is now: rows that are gone are shown no more.
    pub fn show(&self, series: &Series) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let made = Maker(&self.registry);
        if !shown.contains_key(series.name) {
            let metric = match (series.is_counter, series.labels) {
                (true, []) => made.counter(series.name, series.help).map(Shown::Counter),
                (true, labels) => made.counters(series.name, series.help, labels).map(Shown::Counters),
                (false, labels) => made.gauges(series.name, series.help, labels).map(Shown::Gauges),
            };
            let Ok(metric) = metric else { return };
            shown.insert(series.name, metric);
        }
        match shown.get(series.name) {
            Some(Shown::Gauges(gauges)) => {
                gauges.reset();
                for (labels, value) in &series.rows {
                    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
                    gauges.with_label_values(&labels).set(i64::try_from(*value).unwrap_or(i64::MAX));
                }
            }
            Some(Shown::Counters(counters)) => {
                for (labels, value) in &series.rows {
                    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
                    let counter = counters.with_label_values(&labels);
                    counter.inc_by(value.saturating_sub(counter.get()));
                }
            }
            Some(Shown::Counter(counter)) => {
                let value: u64 = series.rows.iter().map(|(_, value)| value).sum();
                counter.inc_by(value.saturating_sub(counter.get()));
            }
            None => {}
        }
    }
}
