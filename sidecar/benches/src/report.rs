//! What a figure is, the table that people read, and the file that programs read.

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};
use serde_json::{Value, json};
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Least, median and most of some rounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// The spread of `values`, of which there is at least one.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        Self { min: sorted[0], median, max: sorted[sorted.len() - 1] }
    }
}

/// What the median of the ratios is held to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    /// What we reached, per round.
    pub(crate) ours: Vec<f64>,
    /// What it is compared with, per round: the baseline's rounds, or a limit.
    pub(crate) baseline: Vec<f64>,
    pub(crate) bound: Bound,
}

/// What a baseline is held to, so that a poor one cannot flatter us.
#[derive(Debug)]
pub(crate) struct Floor {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) baseline: Vec<f64>,
    pub(crate) against: Vec<f64>,
    pub(crate) at_least: f64,
}

/// All of one run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    figures: Vec<Figure>,
    floors: Vec<Floor>,
    notes: Vec<String>,
}

impl Figure {
    /// The ratios of neighbours in time: what was slow for one was slow for the other.
    fn ratio(&self) -> Spread {
        ratio(&self.ours, &self.baseline)
    }

    fn met(&self) -> bool {
        self.bound.holds(self.ratio().median)
    }
}

impl Floor {
    fn ratio(&self) -> Spread {
        ratio(&self.baseline, &self.against)
    }

    fn met(&self) -> bool {
        self.ratio().median >= self.at_least
    }
}

impl Bound {
    fn holds(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(bound) => ratio >= bound,
            Self::AtMost(bound) => ratio <= bound,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, ">= {bound:.2}"),
            Self::AtMost(bound) => write!(f, "<= {bound:.2}"),
        }
    }
}

impl Report {
    /// Adds a figure and tells it at once.
    pub(crate) fn figure(&mut self, figure: Figure) {
        let ratio = figure.ratio();
        println!(
            "{}: {:.2} (bound {}, {})",
            figure.name,
            ratio.median,
            figure.bound,
            if figure.met() { "met" } else { "missed" }
        );
        self.figures.push(figure);
    }

    /// Adds a floor and tells it at once.
    pub(crate) fn floor(&mut self, floor: Floor) {
        println!("floor, {}: {:.2} (at least {:.2})", floor.name, floor.ratio().median, floor.at_least);
        self.floors.push(floor);
    }

    /// Adds a line below the table.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Writes `report.json` into `folder`.
    pub(crate) fn write(&self, folder: &Path) -> Result<PathBuf> {
        let figures = self.figures.iter().map(|figure| {
            json!({
                "figure": figure.name,
                "unit": figure.unit,
                "ours": rounded(Spread::of(figure.ours.iter().copied()).median),
                "baseline": rounded(Spread::of(figure.baseline.iter().copied()).median),
                "ratio": spread(figure.ratio()),
                "bound": figure.bound.to_string(),
                "met": figure.met(),
            })
        });
        let floors = self.floors.iter().map(|floor| {
            json!({
                "figure": format!("floor: {}", floor.name),
                "unit": floor.unit,
                "ours": rounded(Spread::of(floor.baseline.iter().copied()).median),
                "baseline": rounded(Spread::of(floor.against.iter().copied()).median),
                "ratio": spread(floor.ratio()),
                "bound": Bound::AtLeast(floor.at_least).to_string(),
                "met": floor.met(),
            })
        });
        let lines: Vec<Value> = figures.chain(floors).collect();
        let path = folder.join("report.json");
        std::fs::write(&path, serde_json::to_string_pretty(&lines)? + "\n")?;
        Ok(path)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_preset(ASCII_MARKDOWN);
        table.set_header(["figure", "unit", "ours", "baseline", "min", "median", "max", "bound", "met"]);
        for figure in &self.figures {
            let (ours, baseline) = (&figure.ours, &figure.baseline);
            table.add_row(row(
                figure.name,
                figure.unit,
                ours,
                baseline,
                figure.ratio(),
                figure.bound,
                figure.met(),
            ));
        }
        for floor in &self.floors {
            let name = format!("floor: {}", floor.name);
            let bound = Bound::AtLeast(floor.at_least);
            table.add_row(row(
                &name,
                floor.unit,
                &floor.baseline,
                &floor.against,
                floor.ratio(),
                bound,
                floor.met(),
            ));
        }
        for column in 2..=6 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        writeln!(f, "\n{table}\n")?;
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        Ok(())
    }
}

fn row(
    name: &str,
    unit: &str,
    ours: &[f64],
    baseline: &[f64],
    ratio: Spread,
    bound: Bound,
    met: bool,
) -> Vec<String> {
    let median = |values: &[f64]| number(Spread::of(values.iter().copied()).median);
    vec![
        name.to_owned(),
        unit.to_owned(),
        median(ours),
        median(baseline),
        format!("{:.2}", ratio.min),
        format!("{:.2}", ratio.median),
        format!("{:.2}", ratio.max),
        bound.to_string(),
        if met { "yes" } else { "NO" }.to_owned(),
    ]
}

fn number(value: f64) -> String {
    if value >= 1_000.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

fn ratio(ours: &[f64], baseline: &[f64]) -> Spread {
    Spread::of(ours.iter().zip(baseline).map(|(ours, baseline)| ours / baseline))
}

fn spread(spread: Spread) -> Value {
    json!({ "min": rounded(spread.min), "median": rounded(spread.median), "max": rounded(spread.max) })
}

fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_told_by_its_least_its_middle_and_its_most() {
        let odd = Spread::of([3.0, 1.0, 2.0]);
        assert_eq!((odd.min, odd.median, odd.max), (1.0, 2.0, 3.0));
        assert!((Spread::of([4.0, 1.0]).median - 2.5).abs() < f64::EPSILON);
    }

    #[test]
    fn a_ratio_compares_what_ran_side_by_side() {
        let slow_day = ratio(&[50.0, 90.0], &[50.0, 100.0]);
        assert_eq!((slow_day.min, slow_day.max), (0.9, 1.0));
    }
}
