//! The source: its streams, the way from the desk into the window, and what its owner may ask.

use crate::{
    Config, Status,
    desk::Desk,
    feed::{Ends, Feed},
    probe::{Heard, Probe},
    status::{Board, lock},
    trouble,
};
use google_cloud_pubsub::{client::Subscriber, subscriber::handler::Handler};
use outrigger_core::{BoxFuture, Drain, Error, Intake, Kind, Result, Source};
use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

/// How often ages are looked at.
const TICK: Duration = Duration::from_secs(1);
/// How long the start waits before it tries again to make a client.
const ENTER_AGAIN: Duration = Duration::from_secs(1);

/// Pub/Sub as a source.
pub struct Pubsub {
    config: Arc<Config>,
    board: Arc<Board>,
    names: Vec<String>,
    desk: OnceLock<Arc<Desk<Handler>>>,
    ends: Ends,
}

impl Pubsub {
    /// The source. Nothing is connected before it runs.
    ///
    /// # Errors
    /// `Invalid` when a name is none.
    pub fn new(config: Config) -> Result<Arc<Self>> {
        let names: Vec<String> = config.places()?.into_iter().map(|place| place.subscription).collect();
        Ok(Arc::new(Self {
            config: Arc::new(config),
            board: Arc::new(Board::new(names.iter().cloned())),
            names,
            desk: OnceLock::new(),
            ends: Arc::new(Mutex::new(JoinSet::new())),
        }))
    }

    /// Its numbers.
    #[must_use]
    pub fn status(&self) -> Status {
        let mut status = Status { subscriptions: self.board.all(), ..Status::default() };
        if let Some(desk) = self.desk.get() {
            desk.show(&mut status);
        }
        status
    }

    /// What is in the way of messages, in one line; `None` when nothing is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let all = self.board.all();
        let troubled = all.iter().find_map(|subscription| subscription.trouble.clone());
        troubled.or_else(|| {
            let unknown = all.iter().find(|subscription| !subscription.is_known)?;
            Some(format!("nothing was heard of {} yet", unknown.name))
        })
    }

    /// The client, once there is one; `None` when the drain comes before.
    async fn enter(&self, drain: &mut Drain) -> Option<(Subscriber, Probe)> {
        loop {
            let error = match self.clients().await {
                Ok(clients) => return Some(clients),
                Err(error) => error,
            };
            for at in 0..self.names.len() {
                self.board.unreachable(at, error.to_string());
            }
            tokio::select! {
                biased; // no dice that nobody handed in
                () = drain.started() => return None,
                () = sleep(ENTER_AGAIN) => {}
            }
        }
    }

    async fn clients(&self) -> Result<(Subscriber, Probe)> {
        let link = &self.config.link;
        let mut builder = Subscriber::builder().with_credentials(link.credentials()?);
        if let Some(endpoint) = &link.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let subscriber = builder.build().await.map_err(|error| {
            Error::new(Kind::Invalid, format!("pubsub: a client: {}", trouble::chain(&error)))
        })?;
        Ok((subscriber, Probe::new(link).await?))
    }

    async fn go(&self, intake: Intake, mut drain: Drain) -> Result<()> {
        let places = self.config.places()?;
        let desk = Desk::new(self.config.clone(), places, tokio::runtime::Handle::current());
        if self.desk.set(desk.clone()).is_err() {
            return Err(Error::new(Kind::Invalid, "the Pub/Sub source was already run"));
        }
        let Some((subscriber, probe)) = self.enter(&mut drain).await else { return Ok(()) };
        let again = Arc::new(Notify::new());
        let mut streams = JoinSet::new(); // which end with this future, however it does
        for (at, name) in self.names.iter().enumerate() {
            for _ in 0..self.config.streams {
                let feed = Feed {
                    at,
                    subscription: name.clone(),
                    subscriber: subscriber.clone(),
                    desk: desk.clone(),
                    board: self.board.clone(),
                    ends: self.ends.clone(),
                    again: again.clone(),
                };
                streams.spawn(feed.run(drain.clone()));
            }
        }
        let push = push(&desk, &intake);
        let look = look(&desk, &intake);
        let ask = self.ask(&desk, &probe, &again);
        tokio::select! {
            biased;
            () = drain.started() => {}
            () = push => {}
            () = look => {}
            () = ask => {}
        }
        while streams.join_next().await.is_some() {}
        desk.let_go();
        Ok(())
    }

    /// Asks after subscriptions of which nothing came since the last time.
    async fn ask(&self, desk: &Desk<Handler>, probe: &Probe, again: &Notify) {
        let mut every = interval(self.config.probe_every.unwrap_or(Duration::from_secs(15)));
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut received = 0;
        loop {
            every.tick().await;
            let now = desk.counts.received.load(Relaxed);
            let is_quiet = std::mem::replace(&mut received, now) == now;
            for (at, name) in self.names.iter().enumerate() {
                if !is_quiet && self.board.is_known(at) {
                    continue;
                }
                match probe.ask(name).await {
                    Err(error) => self.board.unreachable(at, error.to_string()),
                    Ok(heard) => {
                        if let Heard::Of(tell) = heard {
                            self.board.tell(at, tell);
                        }
                        if self.board.reached(at) {
                            again.notify_waiters();
                        }
                    }
                }
            }
            if self.config.probe_every.is_none() {
                std::future::pending::<()>().await; // asked once, and never again
            }
        }
    }
}

/// What came goes into the window, in its order.
async fn push(desk: &Desk<Handler>, intake: &Intake) {
    loop {
        while let Some(delivery) = desk.next_waiting() {
            let bytes = delivery.size();
            if let Err(back) = intake.try_push(delivery) {
                desk.waits_again(back);
                intake.room(bytes).await;
            }
        }
        desk.arrived.notified().await;
    }
}

/// What is not wanted any more is let go of by the lanes.
async fn look(desk: &Desk<Handler>, intake: &Intake) {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = desk.stale.notified() => {
                desk.sweep();
                intake.sweep();
            }
            _ = tick.tick() => desk.tick(),
        }
    }
}

impl Source for Pubsub {
    fn name(&self) -> &str {
        &self.config.name
    }

    /// May run once. What it pushed keeps its leases after it has returned, until it is settled.
    fn run(self: Arc<Self>, intake: Intake, drain: Drain) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move { self.go(intake, drain).await })
    }

    /// Waits until all is settled and Pub/Sub has been told, within `leave_timeout`.
    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let Some(desk) = self.desk.get() else { return Ok(()) };
            let told = timeout(self.config.leave_timeout, async {
                desk.empty().await; // also of what an exactly-once subscription has not confirmed yet
                let ends = std::mem::take(&mut *lock(&self.ends));
                ends.join_all().await;
            });
            told.await.map_err(|_| {
                let message = format!(
                    "pubsub: the last acknowledgements were not sent within {:?} (ingress.pubsub.leave_timeout): those \
                     messages come again",
                    self.config.leave_timeout
                );
                Error::new(Kind::TimedOut, message)
            })
        })
    }
}

impl fmt::Debug for Pubsub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pubsub").field("subscriptions", &self.names).finish_non_exhaustive()
    }
}
