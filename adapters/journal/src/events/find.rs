//! Finding events in both tables, and bringing one back.

use super::{Filter, Head, Outcome};
use crate::{
    dead::{LIMIT_MAX, Page, SCAN_MAX},
    failure::Failure,
    handoff::Handed,
    kept::Stored,
    store::{Entry, Store, signed},
};
use std::{borrow::Cow, ops::ControlFlow};

/// Most bytes of waiting events that one call reads: their payloads lie before what is looked at.
const SCAN_BYTES_MAX: u64 = 64 << 20;

/// An event in one of the tables.
pub(super) enum Found {
    Waiting(Box<Handed>),
    Kept(Box<Stored>),
}

/// An event that a filter fits; a kept one with its row.
pub(super) type Matching = (Head, Option<Stored>);

/// What lists show of an event that waits.
pub(super) fn waiting(row: &Handed) -> Head {
    let aim = row.target.as_ref().map(|target| (target.to_string(), "aimed".to_owned(), row.attempts));
    Head {
        seq: row.seq,
        event_id: row.event.id().to_owned(),
        source: row.event.source().to_owned(),
        ty: row.event.ty().to_owned(),
        subject: row.event.text("subject").map(Cow::into_owned),
        outcome: Outcome::Waiting,
        fates: aim.into_iter().collect(),
        attempts: row.attempts,
        received_ms: row.accepted_ms,
        settled_ms: None,
        origin: String::new(),
        position: row.seq.to_string(),
        key: row.key.as_ref().map(|key| key.name().into_owned()),
        replay_of: row.replay_of.as_deref().map(str::to_owned),
        bytes: row.bytes,
    }
}

impl Store {
    /// The event of that sequence, wherever it is.
    pub(super) fn found(&self, seq: u64) -> Result<Option<Found>, Failure> {
        if let Some(stored) = self.kept(seq)? {
            return Ok(Some(Found::Kept(Box::new(stored))));
        }
        Ok(self.rows(&[seq])?.pop().map(|row| Found::Waiting(Box::new(row))))
    }

    /// The events that match, and where to go on.
    pub(super) fn find_events(
        &self,
        filter: &Filter,
        page: Page,
        bytes_max: u64,
    ) -> Result<(Vec<Matching>, Option<u64>), Failure> {
        let limit = page.limit.clamp(1, LIMIT_MAX);
        let (mut events, mut scanned, mut read, mut bytes) = (Vec::new(), 0, 0, 0);
        let visit = |found: Found| {
            scanned += 1;
            let (head, stored) = match found {
                Found::Waiting(mut row) => {
                    read += row.bytes;
                    row.bytes = 0; // it is not here that it counts
                    (waiting(&row), None)
                }
                Found::Kept(stored) => (stored.head()?, Some(*stored)),
            };
            if filter.matches(&head) {
                bytes += head.bytes;
                events.push((head, stored));
            }
            let goes_on =
                events.len() < limit && scanned < SCAN_MAX && read < SCAN_BYTES_MAX && bytes < bytes_max;
            Ok(if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        };
        let stopped = if filter.seqs.is_empty() {
            self.each_event(page.after, visit)?
        } else {
            self.each_of(&filter.seqs, page.after, visit)?
        };
        Ok((events, stopped))
    }

    /// Visits those of `seqs` after `after` that are there. Gives back where `visit` stopped, if it did.
    fn each_of(
        &self,
        seqs: &[u64],
        after: u64,
        mut visit: impl FnMut(Found) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<Option<u64>, Failure> {
        let mut seqs: Vec<u64> = seqs.iter().copied().filter(|seq| *seq > after).collect();
        seqs.sort_unstable();
        seqs.dedup();
        for seq in seqs {
            if let Some(found) = self.found(seq)?
                && visit(found)?.is_break()
            {
                return Ok(Some(seq));
            }
        }
        Ok(None)
    }

    /// Visits all after `after`, in order over both tables. Gives back where `visit` stopped, if it did.
    fn each_event(
        &self,
        after: u64,
        mut visit: impl FnMut(Found) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<Option<u64>, Failure> {
        let mut select_kept = self.db.prepare_cached(&Self::kept_after())?;
        let mut select_queue = self.db.prepare_cached(&Self::queue_after())?;
        let (mut kept, mut queue) =
            (select_kept.query([signed(after)])?, select_queue.query([signed(after)])?);
        let mut next_kept = kept.next()?.map(Stored::read).transpose()?;
        let mut next_waiting = queue.next()?.map(Self::handed).transpose()?;
        loop {
            let kept_first = match (&next_kept, &next_waiting) {
                (None, None) => return Ok(None),
                (Some(stored), Some(row)) => stored.seq < row.seq,
                (stored, _) => stored.is_some(),
            };
            let (seq, found) = if kept_first {
                let Some(stored) = next_kept.take() else { return Ok(None) };
                next_kept = kept.next()?.map(Stored::read).transpose()?;
                (stored.seq, Found::Kept(Box::new(stored)))
            } else {
                let Some(row) = next_waiting.take() else { return Ok(None) };
                next_waiting = queue.next()?.map(Self::handed).transpose()?;
                (row.seq, Found::Waiting(Box::new(row)))
            };
            if visit(found)?.is_break() {
                return Ok(Some(seq));
            }
        }
    }

    /// A copy goes into the queue; to be called within [`Store::write`]. Returns its sequence, or why there is none.
    pub(super) fn replay_event(
        &mut self,
        stored: &Stored,
        to: Option<&str>,
    ) -> Result<Result<u64, String>, Failure> {
        let entry = Entry { event: self.kept_event(stored)?, key: stored.key() };
        let now_ms = self.now_ms();
        match self.append(std::slice::from_ref(&entry), now_ms, &mut Vec::new())? {
            Ok(before) => {
                if let Some(target) = to {
                    self.aim(before + 1, target)?;
                }
                self.mark_replay(before + 1, &format!("event {}", stored.seq))?;
                Ok(Ok(before + 1))
            }
            Err(full) => Ok(Err(full.to_string())),
        }
    }
}
