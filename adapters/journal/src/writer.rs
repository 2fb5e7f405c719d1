//! The one thread that writes: it takes everything that waits, makes one transaction and one fsync of it, and
//! then answers all. The more waits, the less each costs.

use crate::{
    Shared,
    courier::Courier,
    failure::Failure,
    guard::Lock,
    handoff::Handed,
    reserve::FRAME_BYTES,
    stats::Health,
    store::Store,
    work::{Work, Write},
};
use outrigger_core::{Error, Kind, Result};
use std::{
    mem,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// After so long without a commit the log is copied and emptied: then a kill finds nothing to recover.
const IDLE: Duration = Duration::from_secs(1);
/// How often a full journal tries whether there is space again, when nothing is appended.
pub(crate) const PROBE_EVERY: Duration = Duration::from_secs(1);
/// How often what has become too old is looked for.
const RETAIN_EVERY: Duration = Duration::from_secs(10);

pub(crate) struct Writer {
    pub(crate) store: Store,
    pub(crate) shared: Arc<Shared>,
    courier: Courier,
    on_fatal: Option<Box<dyn FnOnce(Error) + Send>>,
    /// When the log was last written, if it holds anything that is not copied.
    pub(crate) logged: Option<Instant>,
    retain_at: Instant,
    /// When a commit last failed for want of space, if nothing was appended since.
    pub(crate) full_since: Option<Instant>,
    /// What the last group would have grown the tables by.
    pub(crate) refused_growth: u64,
    // Dropped last, in this order: whoever waits for the end may then open the files.
    _lock: Lock,
    _end: watch::Sender<()>,
}

/// What became of one write of a group, inside its transaction.
enum Outcome {
    /// Appended, after this sequence.
    Appended(u64),
    Kept,
    Refused(Error),
}

impl Writer {
    pub(crate) fn new(
        store: Store,
        lock: Lock,
        shared: Arc<Shared>,
        on_fatal: Box<dyn FnOnce(Error) + Send>,
        end: watch::Sender<()>,
    ) -> Self {
        let now = Instant::now();
        Self {
            store,
            shared,
            courier: Courier::new(),
            on_fatal: Some(on_fatal),
            logged: Some(now), // a killed process may have left a log
            retain_at: now,
            full_since: None,
            refused_growth: 0,
            _lock: lock,
            _end: end,
        }
    }

    /// Works until the inbox is closed and empty, or the storage fails.
    pub(crate) fn run(mut self) {
        self.shared.board.works();
        if let Err(failure) = self.look_after() {
            return self.fail(&failure.into_error());
        }
        loop {
            self.shared.board.rests();
            let work = self.shared.inbox.take(self.alarm());
            self.shared.board.works();
            let last = work.closed && work.is_empty();
            let done = if last { self.finish() } else { self.round(work) };
            if let Err(failure) = done {
                return self.fail(&failure.into_error());
            }
            if last {
                self.shared.board.rests();
                self.on_fatal = None;
                return;
            }
        }
    }

    /// When to look after the files although nobody asks for anything.
    fn alarm(&self) -> Option<Instant> {
        let idle_at = self.logged.map(|at| at + IDLE);
        let retain_at = self.store.ages().then_some(self.retain_at);
        let probe_at = self.full_since.map(|at| at + PROBE_EVERY);
        [idle_at, retain_at, probe_at].into_iter().flatten().min()
    }

    fn round(&mut self, mut work: Work) -> Result<(), Failure> {
        for job in mem::take(&mut work.jobs) {
            let commits = self.store.counters.commits;
            match job(&mut self.store) {
                Err(failure @ Failure::Fatal(_)) => {
                    work.refuse(failure.error());
                    return Err(failure);
                }
                Err(Failure::Damaged(error)) => tracing::error!(%error, "the journal is damaged"),
                Ok(()) | Err(Failure::Full(_)) => {}
            }
            if self.store.counters.commits != commits {
                self.logged = Some(Instant::now());
                self.shared.board.update(&self.store.counters, |_| {});
            }
        }
        self.group(work)?;
        self.look_after()
    }

    fn group(&mut self, mut work: Work) -> Result<(), Failure> {
        if work.writes_something() {
            let started = Instant::now();
            let now_ms = self.store.now_ms();
            match self.written(&mut work, now_ms) {
                Ok((outcomes, sizes)) => {
                    self.committed(&work, started.elapsed(), sizes.len());
                    self.answer(mem::take(&mut work.writes), outcomes, &sizes, now_ms);
                }
                Err(Failure::Full(error)) => {
                    return self.full(work, &error);
                }
                Err(failure) => {
                    work.refuse(failure.error());
                    return Err(failure);
                }
            }
        }
        for flush in work.flushes {
            let _ = flush.send(Ok(()));
        }
        Ok(())
    }

    /// Writes the group; where there is no space, what is kept for people alone yields it. Gives back what became of each write,
    /// and the bytes of each event that was appended.
    fn written(&mut self, work: &mut Work, now_ms: u64) -> Result<(Vec<Outcome>, Vec<u64>), Failure> {
        loop {
            let (mut outcomes, mut sizes) = (Vec::with_capacity(work.writes.len()), Vec::new());
            let room = self.room_for(work);
            let written = room.and_then(|()| {
                self.store.write(|store| {
                    store.keep_settled(&work.ended, now_ms)?;
                    store.delete(&mut work.settled)?;
                    store.delete_overflow(&work.overflow_settled)?;
                    for (seq, attempts) in &work.attempts {
                        store.note_attempts(*seq, *attempts)?;
                    }
                    for write in &work.writes {
                        outcomes.push(apply(store, write, now_ms, &mut sizes)?);
                    }
                    Ok(())
                })
            });
            match written {
                Ok(()) => return Ok((outcomes, sizes)),
                Err(Failure::Full(error)) => {
                    if !self.yields(work)? {
                        return Err(Failure::Full(error));
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    fn committed(&mut self, work: &Work, time: Duration, appended: usize) {
        self.shared.inbox.answered(appended, time);
        self.shared.board.update(&self.store.counters, |stats| {
            stats.commits += 1;
            stats.appended += appended as u64;
            stats.settled += work.settled.len() as u64;
            stats.commit_time_last = time;
            stats.commit_time += time;
            if appended > 0 {
                stats.group_events_last = appended as u64;
            }
        });
        if work.writes.is_empty() && self.full_since.is_some() {
            self.logged = Some(Instant::now()); // that settlements find space says little about appends
        } else {
            self.has_space();
        }
    }

    fn answer(&self, writes: Vec<Write>, outcomes: Vec<Outcome>, sizes: &[u64], now_ms: u64) {
        let (mut answers, mut appended) = (Vec::with_capacity(writes.len()), Vec::with_capacity(sizes.len()));
        let mut sizes = sizes.iter().copied();
        for (write, outcome) in writes.into_iter().zip(outcomes) {
            match (write, outcome) {
                (Write::Append(entries, _, answer), Outcome::Appended(before)) => {
                    let seqs = before + 1..=before + entries.len() as u64;
                    answers.push((answer, seqs.clone().collect()));
                    appended.extend(seqs.zip(entries).zip(sizes.by_ref()).map(|((seq, entry), bytes)| {
                        Handed {
                            seq,
                            event: entry.event,
                            key: entry.key,
                            target: None,
                            replay_of: None,
                            attempts: 0,
                            accepted_ms: now_ms,
                            bytes,
                        }
                    }));
                }
                (
                    Write::Put(_, answer) | Write::Mark(_, _, answer) | Write::Keep(_, answer),
                    Outcome::Kept,
                ) => {
                    drop(answer.send(Ok(())));
                }
                (write, Outcome::Refused(error)) => write.refuse(&error),
                (Write::Append(..), Outcome::Kept) | (_, Outcome::Appended(_)) => unreachable!("by `apply`"),
            }
        }
        self.courier.deliver(answers);
        if !appended.is_empty() {
            self.shared.handoff.committed(appended.into_iter());
        }
    }

    /// Copies the log when it is large or nothing else is to be done, and discards what is too old.
    fn look_after(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        if self.must_probe(now) {
            self.probe()?;
        }
        if let Some(logged) = self.logged {
            let idle = now.duration_since(logged) >= IDLE;
            if idle || self.store.log_frames()? * FRAME_BYTES >= self.store.config.wal_bytes_max {
                self.checkpoint(idle)?;
            }
        }
        if now >= self.retain_at && self.store.ages() {
            self.retain_at = now + RETAIN_EVERY;
            match self.store.retain() {
                Ok(discarded) => {
                    if discarded.may_go_on() {
                        self.retain_at = now;
                    }
                    self.discarded(discarded);
                }
                Err(Failure::Full(_)) => {} // later
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    fn discarded(&mut self, discarded: crate::retain::Discarded) {
        if discarded.letters + discarded.marks + discarded.kept == 0 {
            return;
        }
        if discarded.letters > 0 {
            let letters = discarded.letters;
            tracing::warn!(letters, "dead letters were discarded because they are older than dead_age_max");
        }
        self.logged = Some(Instant::now());
        self.shared.board.update(&self.store.counters, |stats| {
            stats.discarded += discarded.letters;
            stats.forgotten += discarded.marks;
        });
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.checkpoint(true) // without space the log holds everything
    }

    fn fail(&mut self, error: &Error) {
        tracing::error!(%error, "the journal has failed");
        self.shared.board.set(Health::Failed(error.clone()));
        self.shared.inbox.poison(error);
        if let Some(on_fatal) = self.on_fatal.take() {
            on_fatal(error.clone());
        }
    }
}

impl Drop for Writer {
    /// A panic must not leave callers waiting for answers that never come.
    fn drop(&mut self) {
        if thread::panicking() {
            self.fail(&Error::new(
                Kind::Storage,
                "the journal's thread has panicked; this is a defect of Outrigger",
            ));
        }
    }
}

fn apply(store: &mut Store, write: &Write, now_ms: u64, sizes: &mut Vec<u64>) -> Result<Outcome, Failure> {
    Ok(match write {
        Write::Append(entries, letters, _) => match store.accept(entries, letters, now_ms, sizes)? {
            Ok(before) => Outcome::Appended(before),
            Err(error) => Outcome::Refused(error),
        },
        Write::Put(row, _) => match store.put(row)? {
            Ok(()) => Outcome::Kept,
            Err(error) => Outcome::Refused(error),
        },
        Write::Mark(mark, payload, _) => {
            store.mark(mark, *payload)?;
            Outcome::Kept
        }
        Write::Keep(row, _) => match store.keep_for_target(row)? {
            Ok(()) => Outcome::Kept,
            Err(error) => Outcome::Refused(error),
        },
    })
}
