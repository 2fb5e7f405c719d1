//! The fake inside a test: the same server on a thread and a runtime of its own.
//!
//! Its clock is its own also in a test whose time is paused, and its work does not count as the test's.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

use crate::{
    clock::Pace,
    config::Config,
    fault::Fault,
    grid::{Grid, State},
    push::{PushSettings, Standing},
    queue::QueueSettings,
    server::{Server, Setup, Shared},
};

/// How long [`Fake::wait_for`] waits, in real time, before it fails the test.
pub const WAIT_MAX: Duration = Duration::from_mins(1);

/// A running fake. Dropping it closes its listener and all its connections.
#[derive(Debug)]
pub struct Fake {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    /// Starts one with the default configuration, on a free port of 127.0.0.1, in real time.
    ///
    /// # Panics
    /// No socket or thread can be had; a test cannot go on then.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&Setup::default()).expect("a free port on loopback and a thread")
    }

    /// Starts one whose clock stands until the test moves it.
    ///
    /// # Panics
    /// As [`Fake::start`].
    #[must_use]
    pub fn standing(config: Config) -> Self {
        let setup = Setup { config, pace: Pace::Standing, ..Setup::default() };
        Self::start_with(&setup).expect("a free port on loopback and a thread")
    }

    /// Starts one as `setup` says; with a fixed port it can stand where an earlier one stood.
    ///
    /// # Errors
    /// The address is taken, certificates cannot be read, or no thread can be had.
    pub fn start_with(setup: &Setup) -> io::Result<Self> {
        let listener = TcpListener::bind(setup.address)?;
        let address = listener.local_addr()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let server = {
            let _inside = runtime.enter();
            Server::new(listener, setup)?
        };
        let shared = server.shared();
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = server.serve() => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("eventgrid".to_owned()).spawn(run)?;
        Ok(Self { address, shared, runtime: handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, without a path.
    #[must_use]
    pub fn url(&self) -> &str {
        self.shared.url()
    }

    /// Everything that it knows.
    #[must_use]
    pub fn grid(&self) -> &Grid {
        &self.shared.grid
    }

    /// Makes a queue subscription of the namespace, and its topic where that is not there.
    ///
    /// # Panics
    /// The settings are out of the service's bounds.
    pub fn put_queue(&self, topic: &str, subscription: &str, settings: QueueSettings) {
        settings.check().expect("settings within the service's bounds");
        self.grid().change(|state| state.put_queue(topic, subscription, settings));
    }

    /// Subscribes a webhook to a custom topic, and waits until it is known whether the handshake succeeded, or waits
    /// for its second way.
    ///
    /// # Panics
    /// The topic is not there, the settings are out of bounds, or nothing is known after [`WAIT_MAX`].
    pub async fn subscribe(&self, topic: &str, name: &str, settings: PushSettings) -> Standing {
        {
            let _inside = self.runtime.enter();
            self.shared.webhooks.subscribe(topic, name, settings).expect("a subscription that can be made");
        }
        self.wait_for(|state| {
            let standing = &state.custom.get(topic)?.subscriptions.get(name)?.standing;
            (*standing != Standing::Validating).then(|| standing.clone())
        })
        .await
    }

    /// Takes a webhook's subscription away and tells it so.
    #[must_use]
    pub fn unsubscribe(&self, topic: &str, name: &str) -> bool {
        let _inside = self.runtime.enter();
        self.shared.webhooks.unsubscribe(topic, name)
    }

    /// Plants a fault.
    ///
    /// # Panics
    /// It cannot be planted.
    pub fn plant(&self, fault: Fault) {
        fault.check().expect("a fault that can be planted");
        self.grid().note(|state| state.faults.plant(fault));
    }

    /// Moves the clock ahead, step by step, so that each attempt that is due ends before the next is.
    pub async fn advance(&self, by: Duration) {
        let webhooks = self.shared.webhooks.clone();
        // On the fake's own runtime: the test's time may be paused.
        let _ = self.runtime.spawn(async move { webhooks.advance(by, true).await }).await;
    }

    /// Waits until `wanted` gives something, woken by each change. Cancel safe.
    ///
    /// # Panics
    /// After [`WAIT_MAX`] of real time.
    pub async fn wait_for<T>(&self, wanted: impl FnMut(&State) -> Option<T>) -> T {
        let alarm = self.runtime.spawn(tokio::time::sleep(WAIT_MAX));
        let _cancel = CancelOnDrop(alarm.abort_handle());
        tokio::select! {
            found = self.grid().wait_for(wanted) => found,
            _ = alarm => panic!("what was waited for did not come in {WAIT_MAX:?}"),
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct CancelOnDrop(tokio::task::AbortHandle);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
