//! Kafka as a source: one loop that fetches, gives up and takes partitions, commits, pauses, and heals itself.
//!
//! The loop never waits for the path: what finds no room is held, and the client goes on being polled, paused if
//! need be, so that the group sees a living member (`max.poll.interval.ms`).

use crate::{
    Config,
    appetite::Appetite,
    board::{Board, Command},
    client::{Client, Connect, Damage, Happened, Stats, Tail, TopicPartition, Trouble, TroubleKind},
    desk::Desk,
    turn::{Step, Turn},
};
use outrigger_core::{BoxFuture, Drain, Error, Intake, Kind, Result};
use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::Arc,
    task::Poll,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior, interval},
};

/// So many records are taken before workers get a turn.
const BATCH: usize = 64;

/// The loop and its state.
pub(crate) struct Reader<C> {
    pub(crate) config: Arc<Config>,
    pub(crate) board: Arc<Board>,
    pub(crate) connect: Connect<C>,
    pub(crate) client: Arc<C>,
    pub(crate) desk: Desk,
    /// Assignments and revocations that wait for their turn.
    pub(crate) turns: VecDeque<Turn>,
    pub(crate) step: Step,
    pub(crate) committing: Option<BoxFuture<'static, ()>>,
    /// Where damage is looked for, while nothing is fetched.
    pub(crate) search: Option<BoxFuture<'static, Vec<Damage>>>,
    /// Where ends without records are looked for.
    pub(crate) tails: Option<BoxFuture<'static, Vec<Tail>>>,
    pub(crate) bell: Arc<Notify>,
    /// Since when records are held because the window is full.
    pub(crate) held_since: Option<Instant>,
    /// Whether everything is paused because of that.
    pub(crate) window_paused: bool,
    appetite: Appetite,
    pub(crate) watch: Watch,
    pub(crate) intake: Intake,
}

/// What the watchdog remembers.
pub(crate) struct Watch {
    /// When records last came in, or nothing was to be expected.
    pub(crate) alive_at: Instant,
    pub(crate) received: u64,
    pub(crate) last_stats: Stats,
    /// Whether what is in the way is that no broker can be reached.
    pub(crate) outage: bool,
    /// When the last trouble was told.
    pub(crate) told_at: Instant,
    /// When the commit was sent that is on its way.
    pub(crate) commit_at: Option<Instant>,
    /// When a new client may be made, while there is none that works.
    pub(crate) again_at: Option<Instant>,
}

/// Why the loop woke up.
enum Wake {
    Drain,
    Close,
    Started(Result<Vec<crate::client::Start>>),
    Committed,
    Searched(Vec<Damage>),
    Empty(Vec<Tail>),
    Command(Command),
    Bell,
    Room,
    Hungry,
    Tick,
    Batch { full: bool },
    Happened(Happened),
}

impl<C: Client> Reader<C> {
    pub(crate) fn new(
        config: Arc<Config>,
        board: Arc<Board>,
        connect: Connect<C>,
        client: Arc<C>,
        intake: Intake,
    ) -> Self {
        let now = Instant::now();
        Self {
            desk: Desk::new(config.clone(), intake.clone()),
            config,
            board,
            connect,
            client,
            turns: VecDeque::new(),
            step: Step::Idle,
            committing: None,
            search: None,
            tails: None,
            bell: Arc::new(Notify::new()),
            held_since: None,
            window_paused: false,
            appetite: Appetite::Asks,
            watch: Watch {
                alive_at: now,
                received: 0,
                last_stats: Stats::default(),
                outage: false,
                told_at: now,
                commit_at: None,
                again_at: None,
            },
            intake,
        }
    }

    /// Runs until it is told to close, after the drain.
    pub(crate) async fn run(mut self, drain: Drain) -> Result<()> {
        let mut drain = Some(drain);
        let mut ticks = interval(self.config.commit_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let held = self.desk.held.front().map(outrigger_core::Delivery::size);
            let may_poll =
                (held.is_none() || self.window_paused) && self.appetite.wants(|| self.intake.is_sated());
            let wake = tokio::select! {
                biased;
                () = started(&mut drain) => Wake::Drain,
                () = self.board.closing.notified(), if drain.is_none() => Wake::Close,
                starts = starting(&mut self.step) => Wake::Started(starts),
                () = ended(&mut self.committing) => Wake::Committed,
                found = found(&mut self.search) => Wake::Searched(found),
                found = found(&mut self.tails) => Wake::Empty(found),
                command = self.board.commands.next() => Wake::Command(command),
                () = self.bell.notified() => Wake::Bell,
                () = self.intake.ebb(held.unwrap_or_default()), if held.is_some() => Wake::Room,
                () = self.intake.hungry(), if self.appetite.was_sated() => Wake::Hungry,
                _ = ticks.tick() => Wake::Tick,
                wake = fetch(&*self.client, &mut self.desk), if may_poll => wake,
            };
            match wake {
                Wake::Drain => {
                    self.stop_fetching();
                    drain = None; // lets go: what follows is for close()
                }
                Wake::Close => return self.leave().await,
                Wake::Started(starts) => self.started(starts),
                Wake::Committed => (self.committing, self.watch.commit_at) = (None, None),
                Wake::Searched(found) => self.searched(found),
                Wake::Empty(tails) => self.pass_over(tails),
                Wake::Command(command) => self.obey(command),
                Wake::Bell => {
                    self.rewind();
                    self.hand_on_aside();
                }
                Wake::Room => self.room(),
                Wake::Hungry => {
                    self.appetite = Appetite::Asks;
                    continue;
                }
                Wake::Tick => self.tick(),
                Wake::Batch { full } => {
                    self.after_batch();
                    if full {
                        tokio::task::yield_now().await; // workers have a turn
                    }
                    continue;
                }
                Wake::Happened(happened) => {
                    self.after_batch(); // records may have come before it
                    self.happened(happened)?;
                }
            }
            self.turn();
        }
    }

    fn happened(&mut self, happened: Happened) -> Result<()> {
        match happened {
            Happened::Record => {}
            Happened::Assigned(partitions) => {
                self.board.joined();
                self.turns.push_back(Turn::Take(partitions));
            }
            Happened::Revoked(partitions) => self.turns.push_back(Turn::GiveUp(partitions)),
            Happened::Stats(stats) => self.stats(stats),
            Happened::Trouble(Trouble { message, kind }) => match kind {
                TroubleKind::Outage | TroubleKind::Refused => {
                    self.watch.outage = kind == TroubleKind::Outage;
                    self.watch.told_at = Instant::now();
                    if self.board.trouble(Some(message.clone())) {
                        tracing::warn!(source = %self.config.name, "{message}");
                    }
                }
                TroubleKind::Corrupt(place) => self.corrupt(place, &message),
                TroubleKind::Fatal => self.heal(&message),
                TroubleKind::Fenced => return Err(Error::new(Kind::Closed, message)),
            },
        }
        Ok(())
    }

    /// After records came in: what overflowed is paused, and a window that is full is timed.
    fn after_batch(&mut self) {
        if !self.desk.overflowing.is_empty() {
            let overflowing = std::mem::take(&mut self.desk.overflowing);
            self.pause(&overflowing);
        }
        if self.held_since.is_none() && !self.desk.held.is_empty() {
            self.held_since = Some(Instant::now());
            self.appetite = Appetite::Asks;
        }
    }

    fn room(&mut self) {
        if !self.desk.hand_on_held() {
            return;
        }
        (self.held_since, self.window_paused) = (None, false);
        self.hand_on_aside();
    }

    /// What waited for its partition goes on, where nothing that came before it is held.
    pub(crate) fn hand_on_aside(&mut self) {
        if self.desk.held.is_empty() {
            (self.held_since, self.window_paused) = (None, false);
            self.desk.hand_on_aside();
            self.after_batch();
        }
        for slot in self.desk.slots_mut() {
            if let Some(to) = slot.take_skip() {
                slot.assigned.skip_to(to);
                self.client.seek(&slot.assigned.at, to);
            }
        }
        self.repause();
    }

    /// Every [`Config::commit_every`].
    fn tick(&mut self) {
        self.desk.now_ms = unix_ms();
        self.commit();
        self.appetite.tick();
        let now = Instant::now();
        let full_for = self.held_since.map_or_else(Default::default, |since| now - since);
        self.window_paused |= full_for >= self.config.pause_after;
        self.desk.notice_stuck(now);
        self.hand_on_aside();
        self.rewind();
        self.watch(now);
        self.publish();
    }

    /// Tells the client which partitions to fetch from, where that has changed.
    pub(crate) fn repause(&mut self) {
        self.tell_pauses(|has_changed| has_changed);
    }

    /// Tells the client for each partition for which `is_told` says so, given whether that has changed.
    pub(crate) fn tell_pauses(&mut self, is_told: impl Fn(bool) -> bool) {
        let all = self.window_paused || !self.desk.open || self.search.is_some();
        let (mut stop, mut go) = (Vec::new(), Vec::new());
        for slot in self.desk.slots_mut() {
            let paused = all || slot.wants_pause() || !slot.assigned.is_live();
            if is_told(paused != slot.paused) {
                slot.paused = paused;
                if paused { &mut stop } else { &mut go }.push(slot.assigned.at.clone());
            }
        }
        if !stop.is_empty() {
            self.client.pause(&stop);
        }
        if !go.is_empty() {
            self.client.resume(&go);
        }
    }

    fn pause(&mut self, partitions: &[TopicPartition]) {
        for at in partitions {
            if let Some(slot) = self.desk.slot_mut(&at.topic, at.partition) {
                slot.paused = true;
            }
        }
        self.client.pause(partitions);
    }

    /// What was released is fetched again.
    fn rewind(&mut self) {
        let now = Instant::now();
        let (client, patience) = (&self.client, self.config.seek_again);
        for slot in self.desk.slots_mut().filter(|slot| slot.assigned.is_live()) {
            let Some(offset) = slot.assigned.look().rewind else {
                slot.seek_at = None;
                continue;
            };
            if slot.seek_at.is_none_or(|at| now - at >= patience) {
                slot.seek_at = Some(now);
                client.seek(&slot.assigned.at, offset);
            }
        }
    }

    fn stop_fetching(&mut self) {
        self.desk.open = false;
        self.desk.let_go(); // released: they come again
        self.held_since = None;
        self.repause();
    }
}

/// Takes records until the desk holds some back, something else happens, or a batch is full.
async fn fetch<C: Client>(client: &C, desk: &mut Desk) -> Wake {
    desk.now_ms = unix_ms();
    poll_fn(|cx| {
        for taken in 0..BATCH {
            match client.poll(cx, &mut |record| desk.take(&record)) {
                Poll::Ready(Happened::Record) if desk.held.is_empty() => {}
                Poll::Ready(Happened::Record) => return Poll::Ready(Wake::Batch { full: false }),
                Poll::Ready(happened) => return Poll::Ready(Wake::Happened(happened)),
                Poll::Pending if taken == 0 => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Wake::Batch { full: false }),
            }
        }
        Poll::Ready(Wake::Batch { full: true })
    })
    .await
}

async fn started(drain: &mut Option<Drain>) {
    match drain {
        Some(drain) => drain.started().await,
        None => std::future::pending().await,
    }
}

async fn starting(step: &mut Step) -> Result<Vec<crate::client::Start>> {
    match step {
        Step::Starting { starts, .. } => starts.await,
        _ => std::future::pending().await,
    }
}

/// What a search has found.
async fn found<T>(search: &mut Option<BoxFuture<'static, T>>) -> T {
    match search {
        Some(search) => search.await,
        None => std::future::pending().await,
    }
}

/// The end of what runs.
async fn ended(running: &mut Option<BoxFuture<'static, ()>>) {
    match running {
        Some(running) => running.await,
        None => std::future::pending().await,
    }
}

/// The wall clock, for people and for a lag in seconds.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
