//! Everything that is counted, for whoever sends it on.

use super::Metrics;
use outrigger_trace::metrics::{Family, Point, Value};
use prometheus::proto::{Metric, MetricType};

impl Metrics {
    /// What is counted at this moment, by the names of the text exposition.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        let families = self.registry.gather();
        let family = |family: &prometheus::proto::MetricFamily| {
            let kind = family.get_field_type();
            let points = family.get_metric().iter().filter_map(|metric| point(kind, metric)).collect();
            Family { name: family.name().to_owned(), help: family.help().to_owned(), points }
        };
        families.iter().map(family).collect()
    }
}

fn point(kind: MetricType, metric: &Metric) -> Option<Point> {
    let value = match kind {
        MetricType::COUNTER => Value::Counter(metric.get_counter().get_value()),
        MetricType::GAUGE => Value::Gauge(metric.get_gauge().get_value()),
        MetricType::HISTOGRAM => {
            let histogram = metric.get_histogram();
            let buckets = histogram.get_bucket().iter();
            let buckets = buckets.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
            // The last one is all, which OTLP does not name.
            let buckets = buckets.filter(|(bound, _)| bound.is_finite()).collect();
            Value::Histogram { sum: histogram.get_sample_sum(), count: histogram.get_sample_count(), buckets }
        }
        _ => return None,
    };
    let labels = metric.get_label().iter();
    let labels = labels.map(|label| (label.name().to_owned(), label.value().to_owned())).collect();
    Some(Point { labels, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_shown_is_what_is_sent() {
        let metrics = Metrics::new().unwrap();
        metrics.delivered(Duration::from_millis(3));
        metrics.set("outrigger_test", "a gauge", 7);
        let families = metrics.families();
        let get =
            |name: &str| families.iter().find(|family| family.name == name).unwrap().points[0].value.clone();
        assert_eq!(get("outrigger_events_delivered_total"), Value::Counter(1.0));
        assert_eq!(get("outrigger_test"), Value::Gauge(7.0));
        let Value::Histogram { count, buckets, .. } = get("outrigger_delivery_duration_seconds") else {
            panic!("a histogram")
        };
        assert_eq!((count, buckets.len()), (1, super::super::SECONDS.len()));
    }
}
