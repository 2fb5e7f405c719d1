//! A target that may be slow: its copies take the way through a queue in the journal, so that they hold nobody up.
//!
//! All of them do, not only those that would find no room: what is settled for its source because the journal has it must
//! never overtake what is not, also after a crash. A copy is settled for its source once the journal has it on disk; what
//! happens to it then is between the journal and the target. One task does both, so that the order is plain: it writes what
//! waits, in batches, and brings in what was written while the lanes have room.

mod write;

use super::{Target, lock, now};
use crate::complaint::Complaint;
use outrigger_core::{
    About, BoxFuture, Delivery, Drain, Event, Intake, Key, Ledger, Origin, Receipt, Result, Settlement,
    Settler, Source, Timeline,
};
use std::{
    collections::{BTreeSet, VecDeque},
    mem,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// How long the writer waits after a failure of the journal.
const RETRY: Duration = Duration::from_secs(1);

/// A copy that waits for one target.
#[derive(Debug, Clone)]
pub struct Copy {
    /// The event.
    pub event: Event,
    /// Its key.
    pub key: Option<Key>,
    /// Where it came from.
    pub origin: Origin,
    /// When it was first received, in Unix milliseconds.
    pub received_ms: u64,
}

/// Where copies wait: a queue for each target, on storage that outlives the process.
pub trait Overflow: Send + Sync + 'static {
    /// Keeps the copies in their order, all or none; they are durable when this returns.
    ///
    /// # Errors
    /// What keeps them from being kept; a later try may succeed.
    fn keep(&self, target: &Arc<str>, copies: Vec<Copy>) -> BoxFuture<'_, Result<()>>;

    /// The next copies behind that number, with theirs, in order; none at the end.
    ///
    /// # Errors
    /// What keeps them from being read.
    fn read(&self, target: &Arc<str>, after: u64) -> BoxFuture<'_, Result<Vec<(u64, Copy)>>>;

    /// For which targets copies wait, and how many.
    ///
    /// # Errors
    /// What keeps them from being counted.
    fn waiting(&self) -> BoxFuture<'_, Result<Vec<(String, u64)>>>;

    /// The copy of that number is settled and may go.
    fn settled(&self, seq: u64);
}

/// The way to a target through the journal.
pub struct Spill {
    target: Arc<Target>,
    name: Arc<str>,
    overflow: Arc<dyn Overflow>,
    /// Which target has what: of all events where deduplication is on, else of those that go to several.
    shares: Option<Arc<dyn Ledger>>,
    lane_max: usize,
    state: Mutex<State>,
    /// Something is to be written or brought in.
    moved: Notify,
}

#[derive(Default)]
struct State {
    /// What is to be written; each holds its place in the window until it is. With whether other targets get it as well.
    backlog: Vec<(Delivery, bool)>,
    /// Numbers that were given back and are to be read again.
    released: BTreeSet<u64>,
    /// In the journal and not in the lanes.
    waiting: u64,
    /// What the journal cannot do at the moment.
    trouble: Option<String>,
    complaint: Complaint,
}

impl Spill {
    /// The way to `target`, of which at most `lane_max` events are in memory. What waits in `overflow` from before comes
    /// first; it is `waiting` many.
    #[must_use]
    pub fn new(
        target: Arc<Target>,
        overflow: Arc<dyn Overflow>,
        shares: Option<Arc<dyn Ledger>>,
        (lane_max, waiting): (usize, u64),
    ) -> Arc<Self> {
        let state = Mutex::new(State { waiting, ..State::default() });
        target.tell_of_ebb(lane_max / 2);
        Arc::new(Self {
            name: target.id.0.clone(),
            target,
            overflow,
            shares,
            lane_max,
            state,
            moved: Notify::new(),
        })
    }

    /// Leaves the delivery for the journal. Whoever waits for the outcome is not made to, and what is no event becomes a
    /// dead letter at once.
    pub fn push(&self, delivery: Delivery, is_shared: bool) {
        if delivery.once.is_none() && delivery.item.is_ok() {
            lock(&self.state).backlog.push((delivery, is_shared));
            self.moved.notify_one();
        } else if is_shared {
            self.target.push_shared(delivery);
        } else {
            self.target.push(delivery);
        }
    }

    /// Copies that wait in the journal.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        let state = lock(&self.state);
        state.waiting + state.backlog.len() as u64
    }

    /// Why the journal does not take or give any at the moment.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        lock(&self.state).trouble.clone()
    }

    /// Lets go of what waits to be written although nobody wants it any more.
    pub fn sweep(&self) {
        let mut state = lock(&self.state);
        let (kept, gone) = mem::take(&mut state.backlog).into_iter().partition(|(it, _)| it.receipt.wanted());
        state.backlog = kept;
        drop(state);
        drop::<Vec<_>>(gone); // releases, outside the lock
    }

    fn has_room(&self) -> bool {
        self.target.status().queued < self.lane_max
    }

    /// Brings in what was written, as far as the lanes have room; `ahead` is what was read and found none.
    async fn bring_in(self: &Arc<Self>, last: &mut u64, ahead: &mut VecDeque<(u64, Copy)>) -> Result<()> {
        while self.has_room() {
            if let Some(seq) = self.released() {
                // It comes before what is newer, and what follows it there was read before.
                let page = self.overflow.read(&self.name, seq - 1).await?;
                lock(&self.state).released.remove(&seq);
                page.into_iter()
                    .take(1)
                    .filter(|(found, _)| *found == seq)
                    .for_each(|found| self.enter(found));
            } else if let Some(next) = ahead.pop_front() {
                self.enter(next);
            } else {
                let page = self.overflow.read(&self.name, *last).await?;
                let Some((newest, _)) = page.last() else { return Ok(()) };
                *last = *newest;
                ahead.extend(page);
            }
        }
        Ok(())
    }

    /// Says what the journal could not do, unless it was just said; gives back when it is asked again.
    fn told(&self, done: Result<()>) -> Option<Instant> {
        let mut state = lock(&self.state);
        state.trouble = done.as_ref().err().map(ToString::to_string);
        let error = done.err()?;
        if let Some(left_out) = state.complaint.allow(now()) {
            let target = &*self.name;
            tracing::warn!(%error, target, left_out, "the journal cannot take or give what waits for a slow target");
        }
        Some(Instant::now() + RETRY)
    }

    fn released(&self) -> Option<u64> {
        lock(&self.state).released.first().copied()
    }

    fn enter(self: &Arc<Self>, (seq, copy): (u64, Copy)) {
        {
            let mut state = lock(&self.state);
            state.waiting = state.waiting.saturating_sub(1);
        }
        let mut delivery = Delivery {
            item: Ok(copy.event),
            key: copy.key,
            origin: copy.origin,
            received_ms: copy.received_ms,
            attempts: 0,
            once: None,
            timeline: Timeline::off(),
            receipt: Receipt::new(self.clone(), seq),
        };
        if self.target.is_observed() {
            delivery.timeline = Timeline::start(now(), About::event(&delivery));
            self.target.began(delivery.item.as_mut().ok(), &delivery.origin.headers, &delivery.timeline);
        }
        self.target.push(delivery);
    }
}

impl Settler for Spill {
    fn settle(&self, token: u64, settlement: Settlement) {
        if let Settlement::Ack(_) = settlement {
            return self.overflow.settled(token);
        }
        let mut state = lock(&self.state);
        state.waiting += 1;
        state.released.insert(token);
        self.moved.notify_one();
    }

    /// What it brings in is marked already, since it was written: asked once more, nobody would ever get it.
    fn is_replay(&self) -> bool {
        true
    }
}

impl Source for Spill {
    fn name(&self) -> &str {
        &self.name
    }

    /// Writes and brings in until `drain` starts; then writes what still waits, and leaves the rest in the journal.
    fn run(self: Arc<Self>, _intake: Intake, mut drain: Drain) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let (mut last, mut ahead, mut write_at) = (0, VecDeque::new(), None);
            loop {
                // Each goes on where the other cannot: while the journal is full, bringing in is what makes room.
                if write_at.is_none_or(|at| at <= Instant::now()) {
                    write_at = self.told(self.write().await);
                }
                let brought = self.bring_in(&mut last, &mut ahead).await;
                let read_at = if brought.is_err() { self.told(brought) } else { None };
                tokio::select! {
                    biased;
                    () = drain.started() => break,
                    () = self.moved.notified() => {}
                    () = self.target.ebbed() => {}
                    () = until(write_at.into_iter().chain(read_at).min()) => {}
                }
            }
            if let Err(error) = self.write().await {
                tracing::warn!(%error, "what waits for a slow target goes back to its source");
            }
            drop(mem::take(&mut lock(&self.state).backlog)); // released
            Ok(())
        })
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
