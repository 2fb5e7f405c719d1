//! The function inside a test: the same server on a thread and a runtime of its own.
//!
//! Its time is real time, also in a test whose time is paused, and its work does not count as the test's.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use tokio::runtime::{Builder, Handle};

use crate::{
    program::Program,
    record::{Record, Stats},
    server::{Ending, Setup, Shared, adopt, serve},
};

/// How long [`Function::wait_for`] waits, in real time, before it fails the test.
pub const WAIT_MAX: Duration = Duration::from_mins(1);

/// A running function. Dropping it closes its listener and all its connections.
#[derive(Debug)]
pub struct Function {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Handle,
    thread: Option<JoinHandle<u8>>,
}

impl Function {
    /// Starts one that follows `program`, on a free port of 127.0.0.1, and keeps all it sees.
    ///
    /// # Panics
    /// No socket or thread can be had; a test cannot go on then.
    #[must_use]
    pub fn start(program: Program) -> Self {
        Self::start_with(Setup { program, ..Setup::default() }).expect("a free port on loopback and a thread")
    }

    /// Starts one as `setup` says; with a fixed port it can stand where an earlier one stood.
    ///
    /// # Errors
    /// The address is taken, the log file cannot be opened, or no thread can be had.
    pub fn start_with(setup: Setup) -> io::Result<Self> {
        let listener = TcpListener::bind(setup.address)?;
        let address = listener.local_addr()?;
        let shared = Shared::new(setup)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let listener = {
            let _inside = runtime.enter();
            adopt(listener)?
        };
        let serving = serve(listener, shared.clone());
        let run = move || runtime.block_on(serving);
        let thread = std::thread::Builder::new().name("function".to_owned()).spawn(run)?;
        Ok(Self { address, shared, runtime: handle, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, without a path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it saw, in order of start; those still running have no `ended_us`.
    #[must_use]
    pub fn log(&self) -> Vec<Record> {
        self.shared.book.records()
    }

    /// The counts.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.book.stats()
    }

    /// Forgets records, counts and attempts.
    pub fn clear(&self) {
        self.shared.book.clear();
    }

    /// Replaces the program; its counts start anew.
    pub fn set_program(&self, program: Program) {
        self.shared.set_program(program);
    }

    /// Lets `count` requests through the gate `name`, now or when they come.
    pub fn release(&self, name: &str, count: usize) {
        self.shared.release(name, Some(count));
    }

    /// Opens the gate `name` for good.
    pub fn open(&self, name: &str) {
        self.shared.release(name, None);
    }

    /// Waits until `wanted` holds of the counts, woken by each change. Cancellation safe.
    ///
    /// # Panics
    /// After [`WAIT_MAX`] of real time, with the counts as they are then.
    pub async fn wait_for(&self, wanted: impl FnMut(&Stats) -> bool) -> Stats {
        // The clock is the function's: the test's own may be paused and would ring at once.
        let alarm = self.runtime.spawn(tokio::time::sleep(WAIT_MAX));
        let _cancel = CancelOnDrop(alarm.abort_handle());
        tokio::select! {
            stats = self.shared.book.wait_for(wanted) => stats,
            _ = alarm => panic!("what was waited for did not come in {WAIT_MAX:?}: {:?}", self.stats()),
        }
    }

    /// [`Function::wait_for`] for a test without a runtime.
    ///
    /// # Panics
    /// As [`Function::wait_for`], and inside a runtime.
    pub fn wait_for_blocking(&self, wanted: impl FnMut(&Stats) -> bool) -> Stats {
        self.runtime.block_on(self.wait_for(wanted))
    }

    /// Accepts nothing new, finishes what is running and returns the exit code: 0, or 1 if that took longer
    /// than [`Setup::drain_max`]. Blocks.
    #[must_use]
    pub fn drain(mut self) -> u8 {
        self.finish(Ending::Drain(0))
    }

    /// Ends at once; every connection is closed. Blocks until the port is free.
    pub fn stop(mut self) {
        self.finish(Ending::Now(0));
    }

    fn finish(&mut self, ending: Ending) -> u8 {
        let Some(thread) = self.thread.take() else { return 0 };
        self.shared.end(ending);
        thread.join().unwrap_or(u8::MAX)
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.finish(Ending::Now(0));
    }
}

struct CancelOnDrop(tokio::task::AbortHandle);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
