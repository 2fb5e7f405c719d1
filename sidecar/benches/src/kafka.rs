//! The figures of Kafka, against a real broker: what consuming costs beside a bare loop over the same client library.
//!
//! `topics` fills topics once; `bare` is the least that could do the same, `path` is ours without a function, each in
//! a process of its own that measures itself from its first record to its last; `figures` compares.

pub(crate) mod bare;
mod figures;
pub(crate) mod path;
mod topics;

pub(crate) use figures::measure;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::{process::Command, time::Instant};

/// What a peer prints at its end.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Records.
    pub(crate) records: u64,
    /// From the first record to the last.
    pub(crate) seconds: f64,
    /// CPU seconds of the whole process in that time.
    pub(crate) cpu_seconds: f64,
    /// The largest resident memory, in bytes.
    pub(crate) peak_bytes: f64,
}

impl Measured {
    /// CPU microseconds per record.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.records as f64
    }

    /// Records per second.
    pub(crate) fn rate(&self) -> f64 {
        self.records as f64 / self.seconds
    }
}

/// Takes the times of this very process.
pub(crate) struct Clock {
    started: Instant,
    cpu: f64,
}

impl Clock {
    pub(crate) fn start() -> Result<Self> {
        Ok(Self { started: Instant::now(), cpu: crate::process::cpu_seconds_of("self")? })
    }

    /// Prints what was measured.
    pub(crate) fn stop(&self, records: u64) -> Result<()> {
        let measured = Measured {
            records,
            seconds: self.started.elapsed().as_secs_f64(),
            cpu_seconds: crate::process::cpu_seconds_of("self")? - self.cpu,
            peak_bytes: crate::process::memory_bytes_of("self", "VmHWM")?,
        };
        println!("{}", serde_json::to_string(&measured)?);
        Ok(())
    }
}

/// Runs this program as a peer, and reads what it measured.
async fn peer(arguments: Vec<String>) -> Result<Measured> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(&arguments);
    let ended = tokio::task::spawn_blocking(move || command.output()).await??;
    let text = String::from_utf8_lossy(&ended.stdout);
    let errors = String::from_utf8_lossy(&ended.stderr);
    let line =
        text.lines().last().with_context(|| format!("{arguments:?} ended without a word: {errors}"))?;
    serde_json::from_str(line).with_context(|| format!("{arguments:?} printed {line:?}: {errors}"))
}
