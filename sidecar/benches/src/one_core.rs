//! Processes on one core, so that where the system would put them decides nothing.

use anyhow::{Context as _, Result};
use std::{fs, process::Command};

use crate::process::Process;

/// While it lives, all threads of this program and of the processes that it was given share one core.
///
/// One after the other they then do what they would do anyway, so that a time is the sum of the work that all of them
/// had. On two cores the time of a wake-up from one to the other, which may be that of all the work, comes and goes
/// with each placement.
pub(crate) struct OneCore {
    processes: Vec<u32>,
    /// The cores as Linux lists them, such as `0-3,8`.
    before: String,
}

impl OneCore {
    /// Puts them there: on the last core that this program may use.
    pub(crate) fn hold<'a>(processes: impl IntoIterator<Item = &'a Process>) -> Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let before = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let before = before.context("/proc/self/status has no Cpus_allowed_list")?.trim();
        let last = before.rsplit([',', '-']).next().unwrap_or(before);
        let processes = processes.into_iter().map(Process::id).chain([std::process::id()]).collect();
        let held = Self { processes, before: before.to_owned() };
        held.put_on(last)?;
        Ok(held)
    }

    fn put_on(&self, cores: &str) -> Result<()> {
        for process in &self.processes {
            let mut command = Command::new("taskset");
            let output =
                command.args(["--all-tasks", "--cpu-list", "--pid", cores, &process.to_string()]).output();
            let output = output.context("taskset (of util-linux) cannot be started")?;
            let told = String::from_utf8_lossy(&output.stderr);
            anyhow::ensure!(
                output.status.success(),
                "process {process} cannot be put on core {cores}: {told}"
            );
        }
        Ok(())
    }
}

impl Drop for OneCore {
    fn drop(&mut self) {
        let _ = self.put_on(&self.before); // where a process has ended, that is told by what waits for it
    }
}
