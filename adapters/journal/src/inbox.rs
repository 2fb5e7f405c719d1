//! What waits for the writer: bounded, and the only thing that the async side and the writer's thread share
//! under a lock besides the hand-off.

use crate::{
    config::Config,
    gather::Gather,
    handoff::Handed,
    kept::Ended,
    work::{Answer, Job, Work, Write},
};
use outrigger_core::{Error, Fate, Kind, Result};
use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Jobs that may wait: reads and what people ask for.
const JOBS_MAX: usize = 256;
/// An event that was pushed and is not settled.
struct Flight {
    bytes: u64,
    attempts: u32,
    /// The attempts that are on disk.
    stored: u32,
    /// What became of it so far, where that is to be kept.
    fates: Vec<(Arc<str>, Fate, u32)>,
}

pub(crate) struct Inbox {
    state: Mutex<State>,
    wake: Condvar,
    commit_every: Duration,
    gather_max: Duration,
    waiting_events_max: usize,
    waiting_bytes_max: usize,
    group_events_max: usize,
    group_bytes_max: usize,
    keep_settled: bool,
}

#[derive(Default)]
struct State {
    /// With their events and bytes.
    writes: VecDeque<(usize, usize, Write)>,
    events: usize,
    bytes: usize,
    jobs: VecDeque<Job>,
    flushes: Vec<Answer<()>>,
    flights: HashMap<u64, Flight>,
    settled: Vec<(u64, u64)>,
    ended: Vec<Ended>,
    overflow_settled: Vec<u64>,
    /// When the first of `settled` came, or the first attempt that is not on disk was noted.
    dirty_since: Option<Instant>,
    noted_since: Option<Instant>,
    gather: Gather,
    sleeping: bool,
    closed: Option<Error>,
}

impl Inbox {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            commit_every: config.commit_every,
            gather_max: config.gather_max,
            waiting_events_max: config.waiting_events_max,
            waiting_bytes_max: config.waiting_bytes_max,
            group_events_max: config.group_events_max,
            group_bytes_max: config.group_bytes_max,
            keep_settled: config.keep_settled,
        }
    }

    /// Leaves a write for the next group.
    ///
    /// # Errors
    /// `Overloaded` when too much waits; `Closed` or `Storage` when no more is written.
    pub(crate) fn write(&self, write: Write) -> Result<()> {
        let (events, bytes) = write.size();
        let mut state = self.state();
        state.open()?;
        // There are no more marks than calls under way; one that is refused would let its event be delivered again.
        let fits = matches!(write, Write::Mark(..))
            || state.events + events <= self.waiting_events_max
                && state.bytes.saturating_add(bytes) <= self.waiting_bytes_max;
        if !fits && state.events > 0 {
            let waiting = state.events;
            let message = format!("journal: {waiting} events wait to be written: try again in a moment");
            return Err(Error::new(Kind::Overloaded, message));
        }
        state.events += events;
        state.bytes += bytes;
        state.writes.push_back((events, bytes, write));
        self.wake(state);
        Ok(())
    }

    /// Leaves a job for the next round.
    pub(crate) fn job(&self, job: Job) -> Result<()> {
        let mut state = self.state();
        state.open()?;
        if state.jobs.len() >= JOBS_MAX {
            let message = format!("journal: {JOBS_MAX} requests wait: try again in a moment");
            return Err(Error::new(Kind::Overloaded, message));
        }
        state.jobs.push_back(job);
        self.wake(state);
        Ok(())
    }

    /// Asks for a commit of everything that was settled so far.
    pub(crate) fn flush(&self, answer: Answer<()>) -> Result<()> {
        let mut state = self.state();
        state.open()?;
        state.flushes.push(answer);
        self.wake(state);
        Ok(())
    }

    /// Closes it: what waits is still written, nothing more is taken.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed.get_or_insert_with(|| Error::new(Kind::Closed, "the journal is closed"));
        self.wake(state);
    }

    /// Ends it because the storage failed; everyone who waits is told.
    pub(crate) fn poison(&self, error: &Error) {
        let mut state = self.state();
        state.closed = Some(error.clone());
        let left = Work {
            writes: state.writes.drain(..).map(|(_, _, write)| write).collect(),
            flushes: mem::take(&mut state.flushes),
            jobs: state.jobs.drain(..).collect(), // a job that is dropped tells its caller by that
            ..Work::default()
        };
        drop(state);
        left.refuse(error);
    }

    /// These events are about to be pushed. One that was released gets its newer count of attempts.
    pub(crate) fn pushing(&self, rows: &mut [Handed]) {
        let mut state = self.state();
        for row in rows {
            let new =
                Flight { bytes: row.bytes, attempts: row.attempts, stored: row.attempts, fates: Vec::new() };
            row.attempts = state.flights.entry(row.seq).or_insert(new).attempts;
        }
    }

    /// The event is settled and can be deleted.
    pub(crate) fn settled(&self, seq: u64) {
        let mut state = self.state();
        let Some(flight) = state.flights.remove(&seq) else { return };
        state.settled.push((seq, flight.bytes));
        if self.keep_settled {
            let Flight { bytes, attempts, fates, .. } = flight;
            state.ended.push(Ended { seq, bytes, attempts, fates });
        }
        self.dirty(state);
    }

    /// This became of the event at `place`; what became of it there before, it came again.
    pub(crate) fn became(&self, seq: u64, place: &Arc<str>, fate: Fate, attempts: u32) {
        if !self.keep_settled {
            return;
        }
        let mut state = self.state();
        let Some(flight) = state.flights.get_mut(&seq) else { return };
        flight.fates.retain(|(known, ..)| known != place);
        flight.fates.push((place.clone(), fate, attempts));
    }

    /// The copy that overflowed is settled and can be deleted.
    pub(crate) fn overflow_settled(&self, seq: u64) {
        let mut state = self.state();
        state.overflow_settled.push(seq);
        self.dirty(state);
    }

    /// The event now had so many attempts.
    pub(crate) fn attempted(&self, seq: u64, attempts: u32) {
        let mut state = self.state();
        let Some(flight) = state.flights.get_mut(&seq) else { return };
        flight.attempts = attempts;
        if flight.stored != attempts {
            state.noted_since.get_or_insert_with(Instant::now);
            self.dirty(state);
        }
    }

    /// Callers of so many events were just answered after `commit_time`, and may come again.
    pub(crate) fn answered(&self, events: usize, commit_time: Duration) {
        let mut state = self.state();
        let wanted = (events + state.events).min(self.group_events_max);
        state.gather = Gather::after(Instant::now(), wanted, commit_time, self.gather_max);
    }

    /// Takes the next round's work, and sleeps until there is some or `until`. Only the writer calls it.
    pub(crate) fn take(&self, until: Option<Instant>) -> Work {
        let mut state = self.state();
        loop {
            let now = Instant::now();
            let events = state.events;
            state.gather.end_if_over(now, events);
            let commit_at = state.dirty_since.map(|since| since + self.commit_every);
            let wake_at = [commit_at, until, state.gather.until].into_iter().flatten().min();
            if state.is_urgent() || wake_at.is_some_and(|at| at <= now) {
                return self.collect(&mut state);
            }
            state.sleeping = true;
            state = match wake_at {
                Some(at) => self.wake.wait_timeout(state, at - now).unwrap_or_else(PoisonError::into_inner).0,
                None => self.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
            state.sleeping = false;
        }
    }

    fn collect(&self, state: &mut State) -> Work {
        let mut work =
            Work { jobs: state.jobs.drain(..).collect(), closed: state.closed.is_some(), ..Work::default() };
        if !work.jobs.is_empty() && !self.must_commit(state) {
            return work; // the group still gathers, and settlements wait for company
        }
        work.flushes = mem::take(&mut state.flushes);
        let (mut events, mut bytes) = (0, 0);
        while let Some((more_events, more_bytes, _)) = state.writes.front() {
            let full =
                events + more_events > self.group_events_max || bytes + more_bytes > self.group_bytes_max;
            if full && events > 0 {
                break;
            }
            events += more_events;
            bytes += more_bytes;
            work.writes.extend(state.writes.pop_front().map(|(_, _, write)| write));
        }
        state.events -= events;
        state.bytes -= bytes;
        work.settled = mem::take(&mut state.settled);
        work.ended = mem::take(&mut state.ended);
        work.overflow_settled = mem::take(&mut state.overflow_settled);
        let old = |since: Instant| since.elapsed() >= self.commit_every / 2;
        if !work.flushes.is_empty() || work.closed || state.noted_since.is_some_and(old) {
            work.attempts = state.unstored();
        }
        state.dirty_since = state.noted_since;
        work
    }

    /// Whether what waits is to be committed now, and not only jobs to be done.
    fn must_commit(&self, state: &State) -> bool {
        let due = state.dirty_since.is_some_and(|since| since.elapsed() >= self.commit_every);
        state.has_gathered() || state.cannot_wait() || due
    }

    /// The transaction of `work` did not come about: what must not be forgotten goes back.
    pub(crate) fn give_back(&self, settled: Vec<(u64, u64)>, overflow: Vec<u64>, attempts: &[(u64, u32)]) {
        let mut state = self.state();
        state.settled.extend(settled);
        state.overflow_settled.extend(overflow);
        for (seq, _) in attempts {
            if let Some(flight) = state.flights.get_mut(seq) {
                flight.stored = u32::MAX; // whatever it is, it is not on disk
            }
        }
        let now = Instant::now();
        state.dirty_since = Some(now);
        state.noted_since = Some(now);
    }

    fn dirty(&self, mut state: MutexGuard<'_, State>) {
        if state.dirty_since.is_none() {
            state.dirty_since = Some(Instant::now());
            self.wake(state); // so that the writer sets its alarm
        }
    }

    fn wake(&self, state: MutexGuard<'_, State>) {
        let sleeping = state.sleeping && (state.gather.until.is_none() || state.is_urgent());
        drop(state);
        if sleeping {
            self.wake.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn open(&self) -> Result<()> {
        self.closed.clone().map_or(Ok(()), Err)
    }

    fn is_urgent(&self) -> bool {
        self.has_gathered() || !self.jobs.is_empty() || self.cannot_wait()
    }

    fn has_gathered(&self) -> bool {
        !self.writes.is_empty() && self.gather.is_over(self.events)
    }

    fn cannot_wait(&self) -> bool {
        !self.flushes.is_empty() || self.closed.is_some()
    }

    fn unstored(&mut self) -> Vec<(u64, u32)> {
        self.noted_since = None;
        let changed = self.flights.iter_mut().filter(|(_, flight)| flight.attempts != flight.stored);
        let note = |(seq, flight): (&u64, &mut Flight)| {
            flight.stored = flight.attempts;
            (*seq, flight.attempts)
        };
        changed.map(note).collect()
    }
}
