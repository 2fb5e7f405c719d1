//! What the writer does without space: it refuses what is new, and still writes what was settled, so that there
//! is space again.

use crate::{
    failure::Failure,
    stats::Health,
    work::Work,
    writer::{PROBE_EVERY, Writer},
};
use outrigger_core::Error;
use std::{mem, time::Instant};

/// Most settlements of one transaction while space is short: deletes, too, fill the log.
const STEP: usize = 256;

impl Writer {
    /// Whether the writes of `work` may be tried. A log that is copied first is used again from its start.
    pub(crate) fn room_for(&mut self, work: &Work) -> Result<(), Failure> {
        if work.writes.is_empty() && work.ended.is_empty() {
            return Ok(());
        }
        self.refused_growth = work.growth();
        match self.store.room_for(self.refused_growth) {
            Err(Failure::Full(_)) if self.logged.is_some() && self.full_since.is_none() => {
                self.checkpoint(false)?;
                self.store.room_for(self.refused_growth)
            }
            done => done,
        }
    }

    /// Lets go of what is kept for people alone, as there is no space for the rest. Whether there was any.
    pub(crate) fn yields(&mut self, work: &mut Work) -> Result<bool, Failure> {
        self.store.reserve.look_again();
        let ended = mem::take(&mut work.ended).len() as u64;
        if ended > 0 {
            self.store.counters.expired += ended;
            return Ok(true);
        }
        match self.store.yield_kept(self.refused_growth) {
            Ok(true) => {
                self.logged = Some(Instant::now());
                // What is free in the database is of use once the log is copied and begins anew.
                self.checkpoint(false).map(|()| true)
            }
            Ok(false) | Err(Failure::Full(_)) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// No space: nothing was kept, and who waits is told; what was settled is written alone.
    pub(crate) fn full(&mut self, mut work: Work, error: &Error) -> Result<(), Failure> {
        self.full_since = Some(Instant::now());
        self.store.reserve.look_again();
        if self.shared.board.set(Health::Full(error.clone())) == Health::Sound {
            tracing::warn!(%error, "the journal takes nothing until there is space");
        }
        for write in mem::take(&mut work.writes) {
            write.refuse(error);
        }
        match self.settle(&mut work) {
            Ok(()) => {
                for flush in work.flushes {
                    let _ = flush.send(Ok(()));
                }
            }
            Err(Failure::Full(error)) => {
                if !work.closed {
                    let overflow = mem::take(&mut work.overflow_settled);
                    self.shared.inbox.give_back(mem::take(&mut work.settled), overflow, &work.attempts);
                }
                work.refuse(&error);
            }
            Err(failure) => {
                work.refuse(failure.error());
                return Err(failure);
            }
        }
        // A log that is copied is used again from its start: that is space, too.
        if self.logged.is_some() { self.checkpoint(false) } else { Ok(()) }
    }

    /// Writes the settlements and attempts without anything else.
    fn settle(&mut self, work: &mut Work) -> Result<(), Failure> {
        let overflow = mem::take(&mut work.overflow_settled);
        for (n, step) in overflow.chunks(STEP).enumerate() {
            let written = self.store.write_with_reserve(|store| store.delete_overflow(step));
            if written.is_err() {
                work.overflow_settled = overflow[n * STEP..].to_vec(); // the rest goes back
            }
            written?;
            self.logged = Some(Instant::now());
        }
        work.settled.sort_unstable();
        while !work.settled.is_empty() || !work.attempts.is_empty() {
            let (settled, attempts) = (work.settled.len(), work.attempts.len());
            let (settled, attempts) = (settled.saturating_sub(STEP), attempts.saturating_sub(STEP));
            self.store.write_with_reserve(|store| {
                store.delete(&mut work.settled[settled..])?;
                let mut attempts = work.attempts[attempts..].iter();
                attempts.try_for_each(|(seq, attempts)| store.note_attempts(*seq, *attempts))
            })?;
            self.logged = Some(Instant::now());
            let done = work.settled.len() - settled;
            self.shared.board.update(&self.store.counters, |stats| {
                stats.commits += 1;
                stats.settled += done as u64;
            });
            work.settled.truncate(settled);
            work.attempts.truncate(attempts);
        }
        Ok(())
    }

    /// Whoever looks at readiness sends nothing to a full journal, so it finds out by itself when it is not.
    pub(crate) fn probe(&mut self) -> Result<(), Failure> {
        self.store.reserve.take_back();
        let growth = self.refused_growth;
        match self.store.room_for(growth).and_then(|()| self.store.write(|_| Ok(()))) {
            Ok(()) => self.has_space(),
            Err(Failure::Full(_)) => self.full_since = Some(Instant::now()),
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    pub(crate) fn must_probe(&self, now: Instant) -> bool {
        self.full_since.is_some_and(|since| now.duration_since(since) >= PROBE_EVERY)
    }

    pub(crate) fn has_space(&mut self) {
        self.logged = Some(Instant::now());
        if self.full_since.take().is_some() {
            self.shared.board.set(Health::Sound);
            tracing::info!("the journal has space again");
        }
    }

    /// Copies the log into the database, if need be with the reserve, which comes back when the log is empty.
    pub(crate) fn checkpoint(&mut self, empty: bool) -> Result<(), Failure> {
        let mut done = self.store.checkpoint(empty);
        if matches!(done, Err(Failure::Full(_))) && self.store.reserve.release() {
            done = self.store.checkpoint(true);
        }
        match done {
            Ok(()) => {
                self.logged = None;
                self.shared.board.update(&self.store.counters, |stats| stats.checkpoints += 1);
            }
            // The database cannot grow, but the log holds everything; appends say so when it cannot grow either.
            Err(Failure::Full(error)) => {
                self.logged = Some(Instant::now());
                tracing::debug!(%error, "the journal's log cannot be copied for want of space");
            }
            Err(failure) => return Err(failure),
        }
        self.store.reserve.take_back();
        Ok(())
    }
}
