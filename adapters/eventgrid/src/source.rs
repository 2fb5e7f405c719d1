//! A subscription of a namespace as a source: events are asked for by long polls, held by their locks, and settled.
//!
//! Two halves run side by side. Polls ask for as many events as there is room for, and end at once with the drain. The
//! keeper renews locks and tells outcomes until [`Source::close`], so that what the lanes finish in a drain is told, too.

use crate::{
    appetite::Appetite,
    board::{Board, Errand, Status},
    config::Config,
    decode::Received,
    desk::{Desk, now},
    keep::Keeper,
    locks::Rules,
    namespace::Namespace,
};
use futures_util::future::{join, join_all};
use outrigger_core::{
    BoxFuture, Delivery, Drain, Error, Event, Intake, Key, Kind, Malformed, Origin, Position, Receipt,
    Result, Source, Timeline, decide::backoff::Backoff,
};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{sync::watch, time::sleep};

/// The shortest wait for events that the service grants. After a failure it is asked for so long only: that it answers
/// again is known when that poll ends.
const WAIT_AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Event Grid as a source.
pub struct EventGrid {
    pub(crate) config: Config,
    pub(crate) namespace: Namespace,
    pub(crate) desk: Arc<Desk>,
    pub(crate) board: Board,
    pub(crate) stage: watch::Sender<Stage>,
    jitter: Mutex<fastrand::Rng>,
    polling: Mutex<Polling>,
    /// Where a delivery comes from, for people: `topic/subscription`.
    place: Arc<str>,
}

/// How far the source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    New,
    Running,
    /// The lanes are at rest: what is left is told.
    Closing,
    /// Nothing is told any more. The count is of outcomes that were not.
    Left(usize),
}

/// What the polls share.
#[derive(Debug)]
struct Polling {
    appetite: Appetite,
    /// Events that are asked for and have not come.
    asked: usize,
}

/// Whatever ends the run, whoever waits for its end hears of it.
struct Leaving<'a>(&'a EventGrid);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.stage.send_replace(Stage::Left(self.0.desk.len()));
    }
}

impl EventGrid {
    /// The source. Nothing is asked before it runs.
    #[must_use]
    pub fn new(config: Config) -> Arc<Self> {
        let rules = Rules {
            lock: config.lock,
            hold_max: config.hold_max,
            hold_delay: config.hold_delay,
            release_delay: config.release_delay,
            tell_every: config.tell_every,
            tell_events_max: config.tell_events_max,
        };
        Arc::new(Self {
            namespace: Namespace::new(&config),
            desk: Arc::new(Desk::new(rules)),
            board: Board::default(),
            stage: watch::Sender::new(Stage::New),
            jitter: Mutex::new(config.jitter.clone()),
            polling: Mutex::new(Polling { appetite: Appetite::new(config.receive_events_max), asked: 0 }),
            place: format!("{}/{}", config.topic, config.subscription).into(),
            config,
        })
    }

    /// Its numbers.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            topic: self.config.topic.clone(),
            subscription: self.config.subscription.clone(),
            in_hand: self.desk.len(),
            counts: self.desk.counts(),
            failed_requests: self.board.failed_requests.load(Ordering::Relaxed),
            unreadable: self.board.unreadable.load(Ordering::Relaxed),
            trouble: self.trouble(),
        }
    }

    /// What is in the way of events, in one line; `None` when nothing is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.board.trouble(now(), self.desk.len())
    }

    /// How long to wait after `failures` requests in a row that failed, the last one with `error`.
    pub(crate) fn wait_after(&self, failures: u32, error: &Error) -> Duration {
        let (initial, max) = self.config.backoff;
        let dice = self.jitter.lock().unwrap_or_else(PoisonError::into_inner).f64();
        // At least half of the ceiling: a service that is down is not to be asked at once.
        Backoff { initial, max }.wait(failures, error.retry_after(), 0.5 + dice / 2.0)
    }

    /// Asks for events and pushes them, until the drain.
    async fn poll(&self, intake: Intake, mut drain: Drain) {
        let (wait, mut failures) = (self.config.wait, 0);
        loop {
            let poll = async {
                self.desk.room(self.config.events_max).await;
                intake.ebb(1).await;
                let asked = self.ask(&intake);
                self.board.asking(now());
                let wait = if failures == 0 { wait } else { wait.min(WAIT_AFTER_FAILURE) };
                (asked.0, self.namespace.receive(asked.0, wait).await)
            };
            let (asked, received) = tokio::select! {
                biased; // no dice that nobody handed in
                () = drain.started() => return,
                polled = poll => polled,
            };
            match received {
                Ok(answer) => {
                    failures = 0;
                    self.board.succeeded(Errand::Receive, &self.config.name);
                    self.board.unreadable.fetch_add(answer.unreadable as u64, Ordering::Relaxed);
                    self.push(answer.events, &intake, &mut drain).await;
                }
                Err(error) => {
                    failures += 1;
                    if error.kind() == Kind::BadAnswer {
                        self.polling().appetite.too_much(asked);
                    }
                    self.board.failed(Errand::Receive, &self.config.name, &error);
                    tokio::select! {
                        biased;
                        () = drain.started() => return,
                        () = sleep(self.wait_after(failures, &error)) => {}
                    }
                }
            }
        }
    }

    /// How many events to ask for now. They count as asked for until the result is dropped.
    fn ask(&self, intake: &Intake) -> Asking<'_> {
        let (events, bytes) = intake.free();
        let mut polling = self.polling();
        let in_hand = self.config.events_max.saturating_sub(self.desk.len());
        let room = events.min(in_hand).saturating_sub(polling.asked);
        let asked = polling.appetite.ask(room, bytes);
        polling.asked += asked;
        Asking(asked, self)
    }

    /// Gives events to the path. What finds no room waits here, its lock renewed; at the drain it goes back.
    async fn push(&self, events: Vec<Received>, intake: &Intake, drain: &mut Drain) {
        let came = (now(), unix_ms());
        let (count, mut bytes) = (events.len(), 0);
        // All of them are held from here on: a lock runs whether or not its event has found its place.
        let deliveries: Vec<Delivery> =
            events.into_iter().map(|received| self.delivery(received, came)).collect();
        for mut delivery in deliveries {
            bytes += delivery.size();
            while let Err(held) = intake.try_push(delivery) {
                let size = held.size();
                tokio::select! {
                    biased;
                    () = drain.started() => return, // dropping the rest releases it
                    () = intake.room(size) => delivery = held,
                }
            }
        }
        self.polling().appetite.got(count, bytes);
    }

    fn delivery(&self, received: Received, (now, received_ms): (Instant, u64)) -> Delivery {
        let Received { lock_token, deliveries, item } = received;
        let id = self.desk.take(lock_token, deliveries, now);
        Delivery {
            key: self.key(&item),
            item,
            origin: Origin {
                source: self.config.name.clone(),
                position: Position::Place(self.place.clone()),
                headers: Vec::new(),
            },
            received_ms,
            attempts: deliveries - 1,
            once: None,
            timeline: Timeline::off(),
            receipt: Receipt::new(self.desk.clone(), id),
        }
    }

    fn key(&self, item: &Result<Event, Malformed>) -> Option<Key> {
        let event = item.as_ref().ok()?;
        let text = self.config.key.iter().find_map(|name| event.text(name))?;
        Some(Key::new(&self.config.name, text.as_bytes()))
    }

    fn polling(&self) -> MutexGuard<'_, Polling> {
        self.polling.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So many events are asked for.
struct Asking<'a>(usize, &'a EventGrid);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.1.polling().asked -= self.0;
    }
}

impl Source for EventGrid {
    fn name(&self) -> &str {
        &self.config.name
    }

    /// May run once. It goes on after the drain's start, without asking for events, until [`Source::close`].
    fn run(self: Arc<Self>, intake: Intake, drain: Drain) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let begins = self.stage.send_if_modified(|stage| {
                let begins = *stage == Stage::New;
                *stage = if begins { Stage::Running } else { *stage };
                begins
            });
            if !begins {
                return Err(Error::new(Kind::Invalid, "the Event Grid source was already run"));
            }
            let _leaving = Leaving(&self);
            let keeper = Keeper { source: &self, intake: intake.clone() };
            let polls = async {
                let polls = (0..self.config.polls).map(|_| self.poll(intake.clone(), drain.clone()));
                join_all(polls.collect::<Vec<_>>()).await;
                drop(drain); // held until here, so that the drain waits for what was just received
            };
            join(polls, keeper.keep()).await;
            Ok(())
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let mut stage = self.stage.subscribe();
            let closes = self.stage.send_if_modified(|stage| {
                let closes = *stage == Stage::Running;
                *stage = if closes { Stage::Closing } else { *stage };
                closes
            });
            if !closes && *self.stage.borrow() == Stage::New {
                return Ok(());
            }
            let left = stage.wait_for(|stage| matches!(stage, Stage::Left(_))).await;
            let untold = left.map_or(0, |stage| if let Stage::Left(untold) = *stage { untold } else { 0 });
            if untold == 0 {
                return Ok(());
            }
            let trouble = self.trouble().unwrap_or_else(|| "there was no time".to_owned());
            let message = format!("eventgrid: the outcomes of {untold} events were not taken ({trouble})");
            Err(Error::new(Kind::Interrupted, message))
        })
    }
}

impl fmt::Debug for EventGrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventGrid").field("place", &self.place).finish_non_exhaustive()
    }
}

/// The wall clock, for people: nothing is decided by it.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
