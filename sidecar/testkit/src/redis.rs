//! A real Redis (or Valkey) for tests: a process of its own on a free port of 127.0.0.1, empty, kept on no disk, which
//! dies with the test process. `scripts/redis.sh` finds the server.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use crate::free_port;

/// A server for the test `test`, or `None` after that was reported as skipped.
///
/// # Panics
/// It did not start.
#[must_use]
pub fn server(test: &str) -> Option<Server> {
    server_with(test, &[])
}

/// The same with more of its command line, such as `["--requirepass", "hush"]`, in which PORT stands for its port.
///
/// # Panics
/// It did not start.
#[must_use]
pub fn server_with(test: &str, arguments: &[&str]) -> Option<Server> {
    let program = match program() {
        Ok(program) => program,
        Err(absent) => {
            crate::skip(&format!("redis/{test}"), absent);
            return None;
        }
    };
    let port = free_port();
    let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let mut server = Server { program, port, arguments, child: None };
    server.start();
    Some(server)
}

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub struct Server {
    program: &'static str,
    port: u16,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// Starts it again at the same address, empty.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(&mut self) {
        let port = self.port.to_string();
        let mut command = Command::new(self.program);
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command
            .args(self.arguments.iter().map(|it| it.replace("PORT", &port)))
            .current_dir(std::env::temp_dir());
        let mut child =
            command.stdout(Stdio::piped()).spawn().expect("what scripts/redis.sh found can be started");
        let mut lines = BufReader::new(child.stdout.take().expect("the output is a pipe")).lines();
        let is_ready =
            lines.by_ref().map_while(Result::ok).any(|line| line.contains("Ready to accept connections"));
        assert!(is_ready, "the server on port {port} ended before it was ready");
        std::thread::spawn(move || lines.for_each(drop)); // a full pipe would stop it
        self.child = Some(child);
    }

    /// Ends it; what it knew is gone.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Holds it still, so that it answers nobody, until [`Server::resume`].
    ///
    /// # Panics
    /// It does not run.
    pub fn pause(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// It does not run.
    pub fn resume(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = self
            .child
            .as_ref()
            .and_then(|child| rustix::process::Pid::from_raw(i32::try_from(child.id()).ok()?));
        rustix::process::kill_process(pid.expect("it runs"), signal).expect("it can be signalled");
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn program() -> Result<&'static str, &'static str> {
    static FOUND: OnceLock<Result<String, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let script = Path::new(&crate::place::workspace()).join("scripts/redis.sh");
        let run = Command::new(script).output().map_err(|error| error.to_string())?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
        if run.status.success() { Ok(text(run.stdout)) } else { Err(text(run.stderr)) }
    });
    found.as_ref().map(String::as_str).map_err(String::as_str)
}
