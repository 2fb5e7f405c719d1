//! One broker's process: formatted once, then started, stopped and killed on the same data and ports.
//!
//! Everything here blocks; the callers hand it to threads that may.

use std::{
    fmt, fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout},
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    home::Home,
    settings::{Place, Settings, properties},
};

/// A start takes two seconds on idle cores and a multiple where several tests start theirs at once.
const START_MAX: Duration = Duration::from_mins(2);
const STOP_MAX: Duration = Duration::from_mins(1);
const READY: &str = "Kafka Server started";
const CLUSTER: &str = "4L6g3nShT-eMCtK--X86sw";
/// Lines of the log that a failing test shows.
const SHOWN_MAX: usize = 200;

/// A broker's process and what it needs to be started again.
pub(crate) struct Node {
    home: Home,
    folder: PathBuf,
    running: Mutex<Option<Running>>,
}

struct Running {
    child: Child,
    /// The other end of its standard input. Closed while it runs it would end it, and `Child::wait` closes what the
    /// child has: dropped after that, when nothing is left to end.
    _lifeline: ChildStdin,
    /// One word when the broker is ready; the end of the channel is the end of the process.
    ready: Receiver<()>,
}

impl Node {
    /// Writes its settings to `folder`, which it makes, and formats its data folder below.
    pub(crate) fn new(home: Home, folder: &Path, place: &Place, settings: &Settings) -> Self {
        fs::create_dir_all(folder).expect("the folder of the test can be written");
        let text = properties(place, settings, &data(folder));
        let node = Self { home, folder: folder.to_owned(), running: Mutex::new(None) };
        fs::write(node.properties(), text).expect("the folder of the test can be written");
        let properties = node.properties();
        let mut arguments =
            vec!["format", "-t", CLUSTER, "-c", properties.to_str().expect("a path in UTF-8")];
        arguments.extend(settings.format.iter().map(String::as_str));
        let child =
            node.home.command("kafka.tools.StorageTool", &arguments).spawn().expect("sh can be started");
        let said = finish(child);
        assert!(said.is_ok(), "Kafka's data folder was not formatted:\n{}", said.unwrap_or_else(|said| said));
        node
    }

    /// Starts the process and returns at once.
    pub(crate) fn spawn(&self) {
        let mut running = self.running();
        assert!(running.is_none(), "the broker is running already");
        let mut java = self.home.broker(&self.folder, &self.properties());
        let mut child = java.current_dir(&self.folder).spawn().expect("sh can be started");
        let (tell, ready) = sync_channel(1);
        let lifeline = child.stdin.take().expect("the input is a pipe");
        let output = child.stdout.take().expect("the output is a pipe");
        let log = fs::File::options().create(true).append(true).open(self.folder.join("log"));
        let log = log.expect("the folder of the test can be written");
        let keeper = thread::Builder::new().name("kafka-log".to_owned());
        keeper.spawn(move || keep(output, log, &tell)).expect("a thread");
        *running = Some(Running { child, _lifeline: lifeline, ready });
    }

    /// Waits until the process that [`spawn`](Self::spawn) started takes clients.
    pub(crate) fn ready(&self) {
        let running = self.running();
        let running = running.as_ref().expect("the broker was started");
        match running.ready.recv_timeout(START_MAX) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => {
                panic!("Kafka did not start within {START_MAX:?}:\n{}", self.log())
            }
            Err(RecvTimeoutError::Disconnected) => panic!("Kafka ended before it was ready:\n{}", self.log()),
        }
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(&self) {
        let Some(mut running) = self.running().take() else { return };
        running.signal(Signal::TERM);
        let deadline = Instant::now() + STOP_MAX;
        // A broker that is stopped while it starts may still say that it is ready.
        while running.ready.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok() {}
        let ended = running.ready.try_recv() == Err(std::sync::mpsc::TryRecvError::Disconnected);
        assert!(ended, "Kafka did not stop within {STOP_MAX:?}:\n{}", self.log());
        let _ = running.child.wait();
    }

    /// SIGKILL, and waits for the end.
    pub(crate) fn kill(&self) {
        drop(self.running().take());
    }

    /// Sends any signal to the process.
    pub(crate) fn signal(&self, signal: Signal) {
        self.running().as_ref().expect("the broker is running").signal(signal);
    }

    /// The process id, if it is running.
    pub(crate) fn pid(&self) -> Option<Pid> {
        self.running().as_ref().map(Running::pid)
    }

    /// What it wrote since its first start.
    pub(crate) fn log(&self) -> String {
        fs::read(self.folder.join("log"))
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .unwrap_or_default()
    }

    /// Where its data lies.
    pub(crate) fn data(&self) -> PathBuf {
        data(&self.folder)
    }

    fn properties(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn signal(&self, signal: Signal) {
        // One that has ended and was not waited for still has its number, so this hits nobody else.
        let _ = kill_process(self.pid(), signal);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(SHOWN_MAX)..];
            eprintln!(
                "--- the end of the log of Kafka in {} ---\n{}",
                self.folder.display(),
                shown.join("\n")
            );
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Node")
            .field("folder", &self.folder)
            .field("pid", &self.pid())
            .finish_non_exhaustive()
    }
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// Waits for a tool's end and returns what it said, as an error if it failed.
pub(crate) fn finish(mut child: Child) -> Result<String, String> {
    // The pipe that it lives by must outlast it, and `wait` closes it first.
    let lifeline = child.stdin.take();
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    drop(lifeline);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(said) } else { Err(said) }
}

fn keep(output: ChildStdout, mut log: fs::File, tell: &SyncSender<()>) {
    let mut lines = BufReader::new(output).split(b'\n');
    while let Some(Ok(mut line)) = lines.next() {
        let is_ready = line.windows(READY.len()).any(|part| part == READY.as_bytes());
        line.push(b'\n');
        let _ = log.write_all(&line);
        if is_ready {
            let _ = tell.try_send(());
        }
    }
}
