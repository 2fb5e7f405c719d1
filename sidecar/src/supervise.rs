//! Starting the function and keeping it running.
//!
//! The function gets a process group of its own: Ctrl-C and a pod's SIGTERM reach Outrigger, which drains while
//! the function still lives, and only then stops it. What the function started itself ends with it, unless it left
//! the group.

use crate::{
    config::{self, ENV_ALWAYS, Env, Output, Restart},
    telemetry::Metrics,
};
use fastrand::Rng;
use futures_util::future::select_all;
use outrigger_core::{Drain, decide::backoff::Backoff};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use std::{
    ffi::OsString,
    io,
    net::{Ipv4Addr, TcpListener},
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader},
    process::{Child, Command},
    signal::{self, unix::SignalKind},
    sync::watch,
    time::Instant,
};

/// A function that ran for so long is healthy: its next restart waits the shortest time again.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);
/// Longer lines are cut into pieces of this size.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// After the child's end, how long its last output may take: a grandchild may hold the pipe open.
const OUTPUT_TAIL: Duration = Duration::from_millis(200);
/// After the child's end on SIGTERM, how long the rest of its group may take. It also ends the wait for zombies that
/// nobody reaps, as where we are PID 1: signals still find them.
const GROUP_TAIL_MAX: Duration = Duration::from_secs(1);
/// How often the group is looked at in that time: nothing tells when a grandchild ends.
const GROUP_POLL: Duration = Duration::from_millis(10);

/// The function as a process.
pub struct Supervisor {
    /// The program and its arguments, at least the program.
    pub command: Vec<OsString>,
    /// The port that it is told.
    pub port: u16,
    /// How it is started again, stopped and shown.
    pub settings: config::Function,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The dice for restart waits.
    pub rng: Rng,
}

/// Whether the process is there, for readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It runs since the n-th start.
    Running(u32),
    /// It ended and waits to be started again.
    Down,
}

/// A free port of the loopback interface.
///
/// # Errors
/// When the system has none.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

impl Supervisor {
    /// Starts the function; the first time before the journal is opened, so that a missing command makes nothing.
    ///
    /// # Errors
    /// One line with what to do.
    pub fn start(&self, env: &dyn Env) -> Result<Child, String> {
        let (program, arguments) = self.command.split_first().ok_or("there is no command after --")?;
        let mut command = Command::new(program);
        command.args(arguments).process_group(0).kill_on_drop(true).stdin(Stdio::null());
        if let Some(names) = &self.settings.env {
            command.env_clear();
            for name in ENV_ALWAYS.iter().copied().chain(names.iter().map(String::as_str)) {
                command.envs(env.variable(name).map(|value| (name.to_owned(), value)));
            }
        }
        command.env(&self.settings.port_env, self.port.to_string());
        if self.settings.output == Output::Prefix {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        command.spawn().map_err(|error| {
            let name = program.to_string_lossy();
            match error.kind() {
                io::ErrorKind::NotFound => {
                    format!("the command {name:?} was not found; check its name, or give its whole path")
                }
                io::ErrorKind::PermissionDenied => {
                    format!("{name:?} may not be executed; try `chmod +x {name}`")
                }
                _ => format!("the command {name:?} cannot be started: {error}"),
            }
        })
    }

    /// Keeps the function running until `stop` starts or it ends for good; then stops it. Gives back the exit code
    /// that is the function's own, when it ended by itself.
    pub async fn keep(
        mut self,
        mut child: Child,
        env: Arc<dyn Env>,
        life: watch::Sender<Life>,
        mut stop: Drain,
    ) -> Option<u8> {
        let (mut starts, mut failures) = (1, 0);
        let mut passed_on = PassedOn::listen();
        loop {
            let started = Instant::now();
            life.send_replace(Life::Running(starts));
            let output = Pipes::of(&mut child);
            let group = group_of(&child);
            let ended = tokio::select! {
                () = stop.started() => {
                    self.stop(&mut child, group).await;
                    output.finish().await;
                    return None;
                }
                ended = child.wait() => ended,
                () = passed_on.pass(group) => unreachable!("it goes on for as long as it is asked to"),
            };
            life.send_replace(Life::Down);
            // What it started may hold its port, or serve on as nobody's.
            send(group, Signal::KILL);
            output.finish().await;
            let code = code(&ended);
            if self.is_over(code) {
                tracing::info!(code, "the function ended, and so do we");
                return Some(code);
            }
            failures = if started.elapsed() >= HEALTHY_AFTER { 1 } else { failures + 1 };
            child = self.start_again(&*env, code, &mut failures, &mut stop).await?;
            starts += 1;
        }
    }

    fn is_over(&self, code: u8) -> bool {
        match self.settings.restart {
            Restart::Always => false,
            Restart::OnFailure => code == 0,
            Restart::Never => true,
        }
    }

    async fn start_again(
        &mut self,
        env: &dyn Env,
        code: u8,
        failures: &mut u32,
        stop: &mut Drain,
    ) -> Option<Child> {
        let bounds = self.settings.restart_backoff;
        let backoff = Backoff { initial: bounds.initial, max: bounds.max };
        loop {
            // At least half of the ceiling: a function that ends at once must not be started in a tight loop.
            let wait = backoff.wait(*failures, None, 0.5 + self.rng.f64() / 2.0);
            tracing::warn!(code, ?wait, "the function ended; it is started again");
            tokio::select! {
                () = stop.started() => return None,
                () = tokio::time::sleep(wait) => {}
            }
            self.metrics.restarted();
            match self.start(env) {
                Ok(child) => return Some(child),
                Err(error) => tracing::error!("{error}"),
            }
            *failures = failures.saturating_add(1);
        }
    }

    /// SIGTERM to its whole group. SIGKILL to all of it when the child outlives the stop timeout, else to what is
    /// left of it a moment after the child.
    async fn stop(&self, child: &mut Child, group: Option<Pid>) {
        let waited = self.settings.stop_timeout;
        send(group, Signal::TERM);
        if tokio::time::timeout(waited, child.wait()).await.is_err() {
            tracing::warn!(?waited, "the function did not end on SIGTERM and is killed");
            send(group, Signal::KILL);
            let _ = child.wait().await; // killed, so it ends
            return;
        }
        if tokio::time::timeout(waited.min(GROUP_TAIL_MAX), empty(group)).await.is_err() {
            tracing::warn!("what the function started did not end on SIGTERM and is killed");
            send(group, Signal::KILL);
        }
    }
}

/// Ends once nothing is left of the group; for ever while a zombie is.
async fn empty(group: Option<Pid>) {
    while group.is_some_and(|group| test_kill_process_group(group).is_ok()) {
        tokio::time::sleep(GROUP_POLL).await;
    }
}

/// The function's process group: its first process leads it.
fn group_of(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
}

fn send(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        let _ = kill_process_group(group, signal); // it may have ended a moment ago
    }
}

/// What a started function has started itself, killed with it on drop: for a start that fails after the function's.
pub struct Orphans(Option<Pid>);

impl Orphans {
    /// Those of `child`, which must live for as long.
    #[must_use]
    pub fn of(child: Option<&Child>) -> Self {
        Self(child.and_then(group_of))
    }

    /// The start went well: they live.
    pub fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Orphans {
    fn drop(&mut self) {
        send(self.0, Signal::KILL);
    }
}

/// Signals that mean nothing to us and may mean something to the function: log rotation, debug dumps.
struct PassedOn(Vec<(Signal, signal::unix::Signal)>);

impl PassedOn {
    fn listen() -> Self {
        let kinds = [
            (Signal::HUP, SignalKind::hangup()),
            (Signal::USR1, SignalKind::user_defined1()),
            (Signal::USR2, SignalKind::user_defined2()),
        ];
        let listened = kinds.map(|(signal, kind)| Some((signal, signal::unix::signal(kind).ok()?)));
        Self(listened.into_iter().flatten().collect())
    }

    /// Passes them on to the group, for as long as it is asked to.
    async fn pass(&mut self, group: Option<Pid>) {
        loop {
            let waiting = self.0.iter_mut().map(|(signal, stream)| {
                Box::pin(async move {
                    stream.recv().await;
                    *signal
                })
            });
            let waiting: Vec<_> = waiting.collect();
            if waiting.is_empty() {
                return std::future::pending().await;
            }
            let (signal, ..) = select_all(waiting).await;
            send(group, signal);
        }
    }
}

/// A shell's convention: the code, or 128 and the signal's number.
fn code(ended: &io::Result<ExitStatus>) -> u8 {
    let Ok(status) = ended else { return 1 };
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// The tasks that prefix the function's output.
struct Pipes(Vec<tokio::task::JoinHandle<()>>);

impl Pipes {
    fn of(child: &mut Child) -> Self {
        let mut tasks = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            tasks.push(tokio::spawn(prefix(stdout, tokio::io::stdout())));
        }
        if let Some(stderr) = child.stderr.take() {
            tasks.push(tokio::spawn(prefix(stderr, tokio::io::stderr())));
        }
        Self(tasks)
    }

    async fn finish(self) {
        for mut task in self.0 {
            if tokio::time::timeout(OUTPUT_TAIL, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

async fn prefix(from: impl AsyncRead + Unpin, mut to: impl tokio::io::AsyncWrite + Unpin) {
    let mut lines = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        line.clear();
        line.extend_from_slice(b"[function] ");
        let mut piece = tokio::io::AsyncReadExt::take(&mut lines, LINE_BYTES_MAX as u64);
        match piece.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) if line.ends_with(b"\n") => {}
            Ok(_) => line.push(b'\n'),
        }
        if to.write_all(&line).await.is_err() || to.flush().await.is_err() {
            // Nobody reads our output any more. Ours is still read: a broken pipe would fail the function's calls.
            let _ = tokio::io::copy_buf(&mut lines, &mut tokio::io::sink()).await;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn prefixed(text: &[u8]) -> String {
        let mut out = Vec::new();
        prefix(text, &mut out).await;
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn every_line_gets_its_prefix_and_the_last_one_its_end() {
        assert_eq!(prefixed(b"one\n\ntwo").await, "[function] one\n[function] \n[function] two\n");
    }

    #[tokio::test]
    async fn output_is_read_also_when_nobody_reads_ours() {
        let (mut function, pipe) = tokio::io::duplex(64);
        let (ours, reader) = tokio::io::duplex(64);
        drop(reader);
        let prefixing = tokio::spawn(prefix(pipe, ours));
        for _ in 0..100 {
            function.write_all(b"a line of the function's\n").await.unwrap();
        }
        drop(function);
        prefixing.await.unwrap();
    }

    #[tokio::test]
    async fn what_the_function_started_ends_with_a_start_that_failed() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 & wait"]).process_group(0).kill_on_drop(true).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut held_by_both = child.stdout.take().unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await; // for the second one to start
        drop(Orphans::of(Some(&child)));
        drop(child);
        let mut said = Vec::new();
        let end = tokio::io::AsyncReadExt::read_to_end(&mut held_by_both, &mut said);
        tokio::time::timeout(Duration::from_secs(10), end).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_cut_into_pieces() {
        let out = prefixed(&vec![b'x'; 2 * LINE_BYTES_MAX + 1]).await;
        assert_eq!(out.lines().count(), 3);
        assert_eq!(out.matches('x').count(), 2 * LINE_BYTES_MAX + 1);
    }
}
