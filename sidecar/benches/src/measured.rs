//! What a process took for the events that it delivered, and the two figures that come of it: what an event costs, and how
//! many there are in a second.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::ops::Range;

use crate::{
    function::Function,
    process::Process,
    report::{Bound, Figure, Report},
};

/// What a process took.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Events.
    pub(crate) records: u64,
    /// From the first event to the last.
    pub(crate) seconds: f64,
    /// CPU seconds of the whole process in that time.
    pub(crate) cpu_seconds: f64,
    /// The largest resident memory, in bytes.
    pub(crate) peak_bytes: f64,
}

impl Measured {
    /// CPU microseconds per event.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.records as f64
    }

    /// Events per second.
    pub(crate) fn rate(&self) -> f64 {
        self.records as f64 / self.seconds
    }
}

/// What `process` took while the function answered the events of this range.
pub(crate) async fn reached(function: &Function, process: &Process, events: Range<u64>) -> Result<Measured> {
    let started = function.reached(events.start).await?;
    let (before, cpu) = (function.answered(), process.cpu_seconds()?);
    let ended = function.reached(events.end).await?;
    Ok(Measured {
        records: function.answered() - before,
        seconds: (ended - started).as_secs_f64(),
        cpu_seconds: process.cpu_seconds()? - cpu,
        peak_bytes: process.memory_bytes("VmHWM").unwrap_or_default(), // one that has ended has none
    })
}

/// A broker to a function, against the bare loop: both figures, with the bounds that hold for each broker.
pub(crate) fn to_function(
    report: &mut Report,
    (cpu, rate): (&'static str, &'static str),
    ours: &[Measured],
    bare: &[Measured],
) {
    let of = |arms: &[Measured], part: fn(&Measured) -> f64| arms.iter().map(part).collect();
    report.figure(Figure {
        name: cpu,
        unit: "CPU µs per event",
        ours: of(ours, Measured::cpu_us),
        baseline: of(bare, Measured::cpu_us),
        bound: Bound::AtMost(1.4),
    });
    report.figure(Figure {
        name: rate,
        unit: "events/s",
        ours: of(ours, Measured::rate),
        baseline: of(bare, Measured::rate),
        bound: Bound::AtLeast(0.8),
    });
}
