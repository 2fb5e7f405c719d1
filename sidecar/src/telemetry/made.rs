//! How metrics are made and registered.

use super::{ByLabel, SECONDS};
use outrigger_core::{Error, Kind, Result};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use std::sync::Mutex;

pub(super) struct Maker<'a>(pub(super) &'a Registry);

impl Maker<'_> {
    pub(super) fn keep<M: prometheus::core::Collector + Clone + 'static>(
        &self,
        made: prometheus::Result<M>,
    ) -> Result<M> {
        let kept = made.and_then(|metric| self.0.register(Box::new(metric.clone())).map(|()| metric));
        kept.map_err(|error| Error::new(Kind::Invalid, format!("a metric cannot be registered: {error}")))
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> Result<IntCounter> {
        self.keep(IntCounter::new(name, help))
    }

    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        self.keep(IntCounterVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> Result<IntGauge> {
        self.keep(IntGauge::new(name, help))
    }

    pub(super) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec> {
        self.keep(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn histogram(&self, name: &str, help: &str) -> Result<Histogram> {
        self.keep(Histogram::with_opts(HistogramOpts::new(name, help).buckets(SECONDS.to_vec())))
    }

    pub(super) fn histograms(&self, name: &str, help: &str, label: &str) -> Result<ByLabel> {
        let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
        let all = self.keep(HistogramVec::new(options, &[label]))?;
        Ok(ByLabel { all, used: Mutex::default() })
    }
}
