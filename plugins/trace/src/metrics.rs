//! What is counted, as OTLP has it: the same names and labels as for Prometheus. Pure.

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
        ResourceMetrics, ScopeMetrics, Sum, metric::Data, number_data_point,
    },
    resource::v1::Resource,
};
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// Reads what is counted.
pub type Gather = Arc<dyn Fn() -> Vec<Family> + Send + Sync>;

/// The series of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// The name.
    pub name: String,
    /// What it is.
    pub help: String,
    /// Its series.
    pub points: Vec<Point>,
}

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Names and values.
    pub labels: Vec<(String, String)>,
    /// Its value.
    pub value: Value,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// What only grows.
    Counter(f64),
    /// What is now.
    Gauge(f64),
    /// How many were at most how much.
    Histogram {
        /// The sum of all.
        sum: f64,
        /// How many.
        count: u64,
        /// Upper bounds, each with how many are at most that; without the last, which is all.
        buckets: Vec<(f64, u64)>,
    },
}

/// The request that tells of `families` since the start of the process, the first of the `times`.
#[must_use]
pub fn request(
    families: Vec<Family>,
    resource: &[(String, String)],
    (started, now): (SystemTime, SystemTime),
) -> ExportMetricsServiceRequest {
    let times = (nanos(started), nanos(now));
    let metrics = families.into_iter().filter_map(|family| metric(family, times)).collect();
    let scope = InstrumentationScope {
        name: "outrigger".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(self::resource(resource)),
            scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics, schema_url: String::new() }],
            schema_url: String::new(),
        }],
    }
}

/// What describes this process, as OTLP has it.
pub(crate) fn resource(of: &[(String, String)]) -> Resource {
    Resource { attributes: attributes(of.to_vec()), ..Resource::default() }
}

fn metric(family: Family, times: (u64, u64)) -> Option<Metric> {
    let temporality = AggregationTemporality::Cumulative.into();
    let first = family.points.first()?;
    let unit = if family.name.ends_with("_seconds") {
        "s"
    } else if family.name.ends_with("_bytes") {
        "By"
    } else {
        "1"
    };
    let data = match &first.value {
        Value::Gauge(_) => Data::Gauge(Gauge { data_points: numbers(family.points, times) }),
        Value::Counter(_) => Data::Sum(Sum {
            data_points: numbers(family.points, times),
            aggregation_temporality: temporality,
            is_monotonic: true,
        }),
        Value::Histogram { .. } => {
            let data_points = family.points.into_iter().filter_map(|point| histogram(point, times)).collect();
            Data::Histogram(Histogram { data_points, aggregation_temporality: temporality })
        }
    };
    Some(Metric {
        name: family.name,
        description: family.help,
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    })
}

fn numbers(points: Vec<Point>, (started, now): (u64, u64)) -> Vec<NumberDataPoint> {
    let point = |Point { labels, value }| {
        let (Value::Counter(value) | Value::Gauge(value)) = value else { return None };
        Some(NumberDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: started,
            time_unix_nano: now,
            value: Some(number_data_point::Value::AsDouble(value)),
            ..NumberDataPoint::default()
        })
    };
    points.into_iter().filter_map(point).collect()
}

/// Prometheus counts up to each bound, OTLP between them.
fn histogram(Point { labels, value }: Point, (started, now): (u64, u64)) -> Option<HistogramDataPoint> {
    let Value::Histogram { sum, count, buckets } = value else { return None };
    let mut before = 0;
    let mut counts = Vec::with_capacity(buckets.len() + 1);
    for (_, up_to) in &buckets {
        counts.push(up_to.saturating_sub(before));
        before = *up_to;
    }
    counts.push(count.saturating_sub(before));
    Some(HistogramDataPoint {
        attributes: attributes(labels),
        start_time_unix_nano: started,
        time_unix_nano: now,
        count,
        sum: Some(sum),
        bucket_counts: counts,
        explicit_bounds: buckets.into_iter().map(|(bound, _)| bound).collect(),
        ..HistogramDataPoint::default()
    })
}

fn attributes(named: Vec<(String, String)>) -> Vec<KeyValue> {
    let text = |value| Some(AnyValue { value: Some(any_value::Value::StringValue(value)) });
    named
        .into_iter()
        .map(|(key, value)| KeyValue { key, value: text(value), ..KeyValue::default() })
        .collect()
}

fn nanos(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(name: &str, value: Value) -> Family {
        let points = vec![Point { labels: vec![("reason".to_owned(), "x".to_owned())], value }];
        Family { name: name.to_owned(), help: "h".to_owned(), points }
    }

    #[test]
    fn names_and_labels_stay_and_buckets_are_counted_one_by_one() {
        let times = (UNIX_EPOCH, SystemTime::now());
        let value = Value::Histogram { sum: 9.0, count: 7, buckets: vec![(1.0, 2), (5.0, 6)] };
        let families = vec![
            family("outrigger_events_delivered_total", Value::Counter(3.0)),
            family("outrigger_delivery_duration_seconds", value),
            Family { points: Vec::new(), ..family("outrigger_nothing", Value::Gauge(1.0)) },
        ];
        let request = request(families, &[("service.name".to_owned(), "s".to_owned())], times);
        let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
        let names: Vec<_> = metrics.iter().map(|metric| (&*metric.name, &*metric.unit)).collect();
        assert_eq!(
            names,
            [("outrigger_events_delivered_total", "1"), ("outrigger_delivery_duration_seconds", "s")]
        );
        let Some(Data::Histogram(histogram)) = &metrics[1].data else { panic!("{metrics:?}") };
        let point = &histogram.data_points[0];
        assert_eq!((&*point.bucket_counts, &*point.explicit_bounds), (&[2, 4, 1][..], &[1.0, 5.0][..]));
        assert_eq!(point.attributes[0].key, "reason");
        let Some(Data::Sum(sum)) = &metrics[0].data else { panic!("{metrics:?}") };
        assert!(
            sum.is_monotonic && sum.data_points[0].value == Some(number_data_point::Value::AsDouble(3.0))
        );
    }
}
