//! A child process that ends with its handle, and what the system says of it.

use anyhow::{Context as _, Result};
use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

/// Clock ticks of `/proc`, which are 100 a second on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process that is killed when its handle is dropped.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts `command`, whose errors go where ours go.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        Ok(Self(child.with_context(|| format!("{command:?} cannot be started"))?))
    }

    /// The first line that it prints.
    pub(crate) fn first_line(&mut self) -> Result<String> {
        let output = self.0.stdout.take().context("its output is read once")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        anyhow::ensure!(!line.is_empty(), "a peer ended before it was ready");
        Ok(line.trim().to_owned())
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Whether it runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    /// CPU seconds of all its threads so far, in user and kernel.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        cpu_seconds_of(&self.0.id().to_string())
    }

    /// A line of `/proc/PID/status` in bytes, such as `VmRSS`.
    pub(crate) fn memory_bytes(&self, field: &str) -> Result<f64> {
        memory_bytes_of(&self.0.id().to_string(), field)
    }

    /// Kills it and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        let _ = self.0.kill(); // it may have ended by itself
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// CPU seconds of all threads of a process (a number, or `self`) so far, in user and kernel.
pub(crate) fn cpu_seconds_of(process: &str) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // proc(5): the name, in brackets, may hold blanks; utime and stime are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat has no name")?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let mut ticks =
        || fields.next().context("/proc/PID/stat is short")?.parse::<f64>().map_err(anyhow::Error::from);
    Ok((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

/// A line of a process' `/proc/PID/status` in bytes, such as `VmRSS`.
pub(crate) fn memory_bytes_of(process: &str, field: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.split_ascii_whitespace().next());
    Ok(kib.with_context(|| format!("/proc/PID/status has no {field}"))?.parse::<f64>()? * 1024.0)
}
