//! A flawed sidecar, its function, its producer and the judge over them.

use std::{net::SocketAddr, path::PathBuf};

use outrigger_function::{Action, Function, Program};
use outrigger_testkit::{Launch, Mode, Oracle, Outgoing, Process, Producer, Shim, free_port};

pub(crate) struct Rig {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) port: u16,
    pub(crate) function: Function,
    pub(crate) oracle: Oracle,
    flaw: &'static str,
    producer: Producer,
    next: usize,
}

impl Rig {
    pub(crate) fn new(flaw: &'static str) -> Self {
        let port = free_port();
        Self {
            dir: tempfile::tempdir().unwrap(),
            port,
            // Long enough for two calls at once to meet.
            function: Function::start(Program::always(Action::delay_ms(10))),
            oracle: Oracle::default(),
            flaw,
            producer: Producer::new(&format!("http://127.0.0.1:{port}/")),
            next: 1,
        }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("events")
    }

    pub(crate) fn launch(&self) -> Launch {
        let port = self.port.to_string();
        let function = self.function.addr().to_string();
        Launch::new(env!("CARGO_BIN_EXE_outrigger-flawed"), self.dir.path()).args([
            port.as_str(),
            function.as_str(),
            "events",
            self.flaw,
        ])
    }

    pub(crate) async fn start(&self) -> Process {
        self.ready(&self.launch()).await
    }

    pub(crate) async fn start_with(&self, shim: &Shim) -> Process {
        self.ready(&self.launch().shim(shim)).await
    }

    async fn ready(&self, launch: &Launch) -> Process {
        let mut process = launch.start().unwrap();
        process.ready(SocketAddr::from(([127, 0, 0, 1], self.port))).await;
        process
    }

    /// Sends `count` events of one key, one after the other; the status of each, `None` without an answer.
    pub(crate) async fn send(&mut self, count: usize) -> Vec<Option<u16>> {
        let mut statuses = Vec::new();
        for _ in 0..count {
            let event = Outgoing::new(&self.next.to_string(), Some("k"));
            self.next += 1;
            self.oracle.sending(&event);
            let answer = self.producer.send(&event, Mode::Binary).await;
            if answer.as_ref().is_ok_and(|answer| answer.status().is_success()) {
                self.oracle.acknowledged(&event.id);
            }
            statuses.push(answer.ok().map(|answer| answer.status().as_u16()));
        }
        statuses
    }
}
