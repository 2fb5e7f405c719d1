//! The binary under test: started in a folder of its own, its output kept, ended in every way.
//!
//! Waiting is for an event where there is one (a line of output, the exit) and a bounded poll where there is
//! none (`/readyz`). A process that is dropped is killed, and if the test is failing its output is shown.

use std::{
    ffi::OsString,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    sync::Notify,
    time::{Instant, sleep, timeout},
};

/// How long anything here waits before it fails the test.
pub const WAIT_MAX: Duration = Duration::from_secs(30);

const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// Lines of output that are kept; the oldest go first.
const LINES_MAX: usize = 100_000;

/// What to start and how.
#[derive(Debug, Clone)]
pub struct Launch {
    exe: PathBuf,
    dir: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

impl Launch {
    /// The program `exe` in the folder `dir`, which must exist and is the caller's: it outlives the process,
    /// so that a second one can find what the first one left.
    #[must_use]
    pub fn new(exe: impl Into<PathBuf>, dir: &Path) -> Self {
        Self { exe: exe.into(), dir: dir.to_owned(), arguments: Vec::new(), environment: Vec::new() }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Writes `text` to `name` in the folder.
    ///
    /// # Panics
    /// It cannot be written.
    #[must_use]
    pub fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.dir.join(name), text).expect("the folder of the test can be written");
        self
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Preloads `shim`.
    #[must_use]
    pub fn shim(mut self, shim: &crate::Shim) -> Self {
        let environment = shim.environment(&self.exe);
        self.environment.extend(environment.into_iter().map(|(name, value)| (name.into(), value)));
        self
    }

    /// Starts it. Must be called inside a runtime.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(&self) -> io::Result<Process> {
        let mut child = Command::new(&self.exe)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = Arc::new(Output::default());
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(keep(stdout, output.clone()));
        }
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(keep(stderr, output.clone()));
        }
        Ok(Process { child, pid, output })
    }
}

/// A process that was started.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: Option<Pid>,
    output: Arc<Output>,
}

impl Process {
    /// Its process id.
    ///
    /// # Panics
    /// It had ended before it could be told.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid.expect("a process that was started has an id")
    }

    /// Waits until `GET /readyz` at `admin` answers 200.
    ///
    /// # Panics
    /// The process ended, or it took longer than [`WAIT_MAX`]; with what it wrote.
    pub async fn ready(&mut self, admin: SocketAddr) {
        self.answers(admin, "/readyz", 200).await;
    }

    /// Waits until `GET path` at `address` answers `status`. A poll, because there is no event to wait for.
    ///
    /// # Panics
    /// As [`Process::ready`].
    pub async fn answers(&mut self, address: SocketAddr, path: &str, status: u16) {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            if get(address, path).await.is_ok_and(|answer| answer.0 == status) {
                return;
            }
            if let Ok(Some(exit)) = self.child.try_wait() {
                panic!("the process ended with {exit} before {path} answered {status}:\n{}", self.log());
            }
            assert!(Instant::now() < deadline, "{path} did not answer {status}:\n{}", self.log());
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits for a line of output that holds `part`, and returns the first such line.
    ///
    /// # Panics
    /// It did not come within [`WAIT_MAX`]; with what was written.
    pub async fn line(&self, part: &str) -> String {
        let found = timeout(WAIT_MAX, self.output.find(part)).await;
        found.unwrap_or_else(|_| panic!("no line with {part:?} was written:\n{}", self.log()))
    }

    /// Sends SIGTERM.
    ///
    /// # Panics
    /// The process is gone.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends any signal.
    ///
    /// # Panics
    /// The process is gone.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the process is there");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// It did not end within [`WAIT_MAX`]; with what it wrote.
    pub async fn wait(&mut self) -> ExitStatus {
        let Ok(ended) = timeout(WAIT_MAX, self.child.wait()).await else {
            panic!("the process did not end:\n{}", self.log());
        };
        ended.expect("a child can be waited for")
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGTERM, then waits for its end.
    ///
    /// # Panics
    /// As [`Process::wait`].
    pub async fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.wait().await
    }

    /// SIGKILL, then waits for its end. One that has ended already is fine.
    ///
    /// # Panics
    /// As [`Process::wait`].
    pub async fn kill(&mut self) -> ExitStatus {
        let _ = self.child.start_kill();
        self.wait().await
    }

    /// What it wrote to both outputs, line by line as it came.
    #[must_use]
    pub fn log(&self) -> String {
        self.output.text()
    }

    /// Its resident memory in bytes (`VmRSS`), or `None` once it has ended.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid().as_raw_nonzero())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- output of process {:?} ---\n{}--- end ---", self.pid, self.log());
        }
    }
}

/// `GET path` at `address` over a connection of its own: the status and the body.
///
/// # Errors
/// There was no connection or no whole answer.
pub async fn get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    status.zip(body).ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "no whole answer"))
}

#[derive(Debug, Default)]
struct Output {
    lines: Mutex<std::collections::VecDeque<String>>,
    came: Notify,
}

impl Output {
    fn push(&self, line: String) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
        drop(lines);
        self.came.notify_waiters();
    }

    fn text(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().flat_map(|line| [line, "\n"]).collect()
    }

    async fn find(&self, part: &str) -> String {
        loop {
            let came = self.came.notified();
            tokio::pin!(came);
            came.as_mut().enable();
            let found = {
                let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.iter().find(|line| line.contains(part)).cloned()
            };
            match found {
                Some(line) => return line,
                None => came.await,
            }
        }
    }
}

async fn keep(stream: impl AsyncRead + Unpin, output: Arc<Output>) {
    let mut lines = BufReader::new(stream).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        output.push(String::from_utf8_lossy(&line).into_owned());
    }
}
