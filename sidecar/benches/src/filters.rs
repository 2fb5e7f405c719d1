//! What it costs to ask many filters about one event: a hundred, and how it grows to a thousand.

use anyhow::{Context as _, Result};
use outrigger::filter::Attributed;
use outrigger_cesql::{Expression, Filter, Set};
use outrigger_core::Event;
use std::{hint::black_box, time::Instant};

use crate::{
    Bench,
    report::{Bound, Figure, Report},
};

pub(crate) const NAME: &str = "cesql";
const HUNDRED: &str = "cesql, 100 expressions on one event";
const GROWTH: &str = "cesql, 1,000 expressions against 100";
const HUNDRED_LIMIT_US: f64 = 5.0;
/// A thousand may take ten times as long as a hundred, and a tenth more: what is kept of a run grows as well.
const GROWTH_MAX: f64 = 1.1;
/// A tenth of a second each.
const TIMES: u32 = 40_000;

/// Both sizes in turn.
pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let event = event()?;
    let (hundred, thousand) = (expressions(100)?, expressions(1_000)?);
    let (mut few, mut many) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        few.push(us_each(&hundred, &event, TIMES));
        many.push(us_each(&thousand, &event, TIMES / 10));
    }
    let ten_times = few.iter().map(|us| us * 10.0).collect();
    let (limit, unit) = (vec![HUNDRED_LIMIT_US; few.len()], "us (baseline: the limit)");
    report.figure(Figure { name: HUNDRED, unit, ours: few, baseline: limit, bound: Bound::AtMost(1.0) });
    let (unit, bound) = ("us (baseline: ten times that of 100)", Bound::AtMost(GROWTH_MAX));
    report.figure(Figure { name: GROWTH, unit, ours: many, baseline: ten_times, bound });
    Ok(())
}

fn event() -> Result<Event> {
    let mut event =
        Event::new("0f8fad5b-d9cb-469f-a165-70867728950e", "/shops/17/orders", "com.example.shop.order-50")?;
    event.set("subject", "customer-7".into())?;
    event.set("time", "2026-01-31T12:00:00Z".into())?;
    event.set("datacontenttype", "application/json".into())?;
    event.set("region", "eu-7".into())?;
    event.set("priority", 5.into())?;
    event.set("tenant", "Tenant-4".into())?;
    Ok(event)
}

/// As routes are: about the same few attributes, with a text of their own each, and no two alike.
fn expressions(count: usize) -> Result<Set> {
    let mut set = Set::default();
    for n in 0..count {
        let text = match n % 5 {
            0 => format!("type = 'com.example.shop.order-{n}' AND source LIKE '/shops/%/orders'"),
            1 => format!("source LIKE '/shops/{n}/%' OR subject = 'customer-{n}'"),
            2 => format!("type LIKE 'com.example.%' AND region IN ('eu-{n}', 'us-{n}') AND NOT EXISTS test"),
            3 => format!("INT(priority) > {} AND type != 'com.example.shop.order-{n}'", n % 7),
            _ => format!(
                "(type = 'com.example.shop.order-{n}' OR type LIKE '%.returned') AND LOWER(tenant) = 'tenant-{n}'"
            ),
        };
        let expression = Expression::parse(&text).with_context(|| text.clone())?;
        set.push(&Filter::from(expression));
    }
    Ok(set)
}

/// Microseconds for all of the set on the event.
fn us_each(set: &Set, event: &Event, times: u32) -> f64 {
    let started = Instant::now();
    for _ in 0..times {
        black_box(set.matches(&Attributed(black_box(event))).count());
    }
    started.elapsed().as_secs_f64() * 1e6 / f64::from(times)
}
