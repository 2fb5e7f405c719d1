use super::*;
use crate::registry::Series;

#[test]
fn the_live_table_counts_what_happened() {
    let metrics = Metrics::new().unwrap();
    metrics.accepted(3);
    metrics.delivered(Duration::from_millis(10));
    metrics.delivered(Duration::from_millis(10));
    metrics.dead(Code::Refused);
    metrics.retried();
    let totals = metrics.totals();
    assert_eq!((totals.accepted, totals.delivered, totals.retried, totals.dead_lettered), (3, 2, 1, 1));
    assert!((9.9..10.2).contains(&totals.p50_ms), "{totals:?}");
}

#[test]
fn a_components_counter_shows_its_rows_as_they_grow() {
    let metrics = Metrics::new().unwrap();
    let series = |value| Series {
        name: "outrigger_x_total",
        help: "x",
        labels: &["a"],
        is_counter: true,
        rows: vec![(vec!["one".to_owned()], value), (vec!["two".to_owned()], 0)],
    };
    for (value, shown) in [(3, 3), (5, 5), (4, 5)] {
        metrics.show(&series(value));
        let text = metrics.render();
        for line in [&format!("outrigger_x_total{{a=\"one\"}} {shown}"), "outrigger_x_total{a=\"two\"} 0"] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }
}

#[test]
fn the_exposition_has_every_name_and_gauges_as_set() {
    let metrics = Metrics::new().unwrap();
    metrics.set("outrigger_lane_events", "Events in lanes", 6);
    metrics.set("outrigger_lane_events", "Events in lanes", 7);
    let text = metrics.render();
    for line in [
        "outrigger_events_accepted_total 0",
        "outrigger_events_dead_lettered_total{reason=\"refused\"} 0",
        "outrigger_lane_events 7",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
}
