//! Looking at events, waiting and kept ones, and replaying kept ones: alike in the running process and over files at rest.
//!
//! Every call is bounded, as of dead letters.

use crate::{
    Journal,
    audit::{Entry as Audit, Order},
    dead::{Page, REPLAY_BYTES_MAX, Replayed},
    kept::Row,
    work::Write,
};
use find::{Found, waiting};
use outrigger_core::{Event, Fate, Key, Origin, Result, event::hop};
use std::sync::Arc;
use tokio::sync::oneshot;

mod find;

/// What became of an event. The names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is accepted and not settled.
    Waiting,
    /// Every target has it.
    Delivered,
    /// At least one target failed it.
    DeadLetter,
    /// A rule discarded it.
    Discarded,
    /// It was settled, and nobody said how.
    Settled,
}

impl Outcome {
    /// Every outcome, in the order of the documentation.
    pub const ALL: [Self; 5] =
        [Self::Waiting, Self::Delivered, Self::DeadLetter, Self::Discarded, Self::Settled];

    /// Its stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::DeadLetter => "dead-letter",
            Self::Discarded => "discarded",
            Self::Settled => "settled",
        }
    }

    /// The outcome of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }

    /// That of an event of which these became.
    pub(crate) fn of(fates: impl Iterator<Item = Fate>) -> Self {
        fates.fold(Self::Settled, |known, fate| match (known, fate) {
            (Self::DeadLetter, _) | (_, Fate::Dead(_)) => Self::DeadLetter,
            (Self::Delivered, _) | (_, Fate::Delivered | Fate::Duplicate | Fate::Queued) => Self::Delivered,
            (_, Fate::Discarded) => Self::Discarded,
        })
    }
}

/// Which events are meant: those that fit everything that is given. The default fits all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these sequences; empty means all.
    pub seqs: Vec<u64>,
    /// The event's whole `id`.
    pub id: Option<String>,
    /// The event's whole `type`.
    pub ty: Option<String>,
    /// The event's whole `source`.
    pub source: Option<String>,
    /// The event's whole `subject`.
    pub subject: Option<String>,
    /// Its whole ordering key.
    pub key: Option<String>,
    /// What became of it.
    pub outcome: Option<Outcome>,
    /// A target, or a rule that discarded it.
    pub target: Option<String>,
    /// Received at this Unix time in milliseconds or later.
    pub since_ms: Option<u64>,
    /// Received before this Unix time in milliseconds.
    pub until_ms: Option<u64>,
}

/// What a list shows of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its sequence, by which it is shown and replayed.
    pub seq: u64,
    /// The event's `id`.
    pub event_id: String,
    /// The event's `source`.
    pub source: String,
    /// The event's `type`.
    pub ty: String,
    /// The event's `subject`.
    pub subject: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// The same at each target or rule: its name, what, and how many attempts. Of a waiting one the target that it is for alone.
    pub fates: Vec<(String, String, u32)>,
    /// The most attempts at any of them.
    pub attempts: u32,
    /// When it was accepted, or kept by a target, in Unix milliseconds.
    pub received_ms: u64,
    /// When it was settled, in Unix milliseconds.
    pub settled_ms: Option<u64>,
    /// The source through which it came, as far as it is known.
    pub origin: String,
    /// The position there.
    pub position: String,
    /// Its ordering key, for people.
    pub key: Option<String>,
    /// What it is a copy of that was brought once more.
    pub replay_of: Option<String>,
    /// The bytes that it counts for.
    pub bytes: u64,
}

/// A part of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// The events, oldest first. There may be fewer than asked for, even none, although `next` is given.
    pub events: Vec<Head>,
    /// Where to go on; `None` when all were looked at.
    pub next: Option<u64>,
}

impl Filter {
    /// Whether `head` fits everything that is given.
    #[must_use]
    pub fn matches(&self, head: &Head) -> bool {
        let same =
            |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        let alike = |wanted: &Option<String>, found: &Option<String>| {
            wanted.is_none() || wanted.as_deref() == found.as_deref()
        };
        (self.seqs.is_empty() || self.seqs.contains(&head.seq))
            && same(&self.id, &head.event_id)
            && same(&self.ty, &head.ty)
            && same(&self.source, &head.source)
            && alike(&self.subject, &head.subject)
            && alike(&self.key, &head.key)
            && self.outcome.is_none_or(|outcome| outcome == head.outcome)
            && self.target.as_ref().is_none_or(|name| head.fates.iter().any(|(place, ..)| place == name))
            && self.since_ms.is_none_or(|since| head.received_ms >= since)
            && self.until_ms.is_none_or(|until| head.received_ms < until)
    }
}

impl Journal {
    /// Keeps an event for `target`: it is on disk when this returns, and stays until [`crate::Config::keep_age_max`] or
    /// [`crate::Config::keep_bytes_max`] lets go of it.
    ///
    /// Dropping the future leaves it open whether it was kept.
    ///
    /// # Errors
    /// `Invalid` when it is larger than all that may be kept. `Full` when the disk is full, `Overloaded` when too much waits for
    /// the writer: a later try may succeed. `Storage` or `Closed` for good.
    pub async fn keep(
        &self,
        target: &Arc<str>,
        event: &Event,
        key: Option<&Key>,
        origin: &Origin,
    ) -> Result<()> {
        let row = Row::kept_by(target, event, key, origin, (self.config.clock)());
        let (answer, answered) = oneshot::channel();
        self.shared.inbox.write(Write::Keep(Box::new(row), answer))?;
        self.answer(answered).await
    }

    /// The events that match, waiting and kept, oldest first. Cancel safe.
    ///
    /// # Errors
    /// `Overloaded`, `Closed`, or `Storage` when a row is damaged.
    pub async fn events(&self, filter: Filter, page: Page) -> Result<Listed> {
        self.on_writer(move |store| {
            let (found, next) = store.find_events(&filter, page, u64::MAX)?;
            Ok(Listed { events: found.into_iter().map(|(head, _)| head).collect(), next })
        })
        .await
    }

    /// The event of that sequence as it came, without its hop, and what lists show of it; `None` when there is none. Cancel
    /// safe.
    ///
    /// # Errors
    /// As [`Journal::events`].
    pub async fn event(&self, seq: u64) -> Result<Option<(Head, Event)>> {
        self.on_writer(move |store| {
            let (head, mut event) = match store.found(seq)? {
                None => return Ok(None),
                Some(Found::Waiting(row)) => (waiting(&row), row.event),
                Some(Found::Kept(stored)) => (stored.head()?, store.kept_event(&stored)?),
            };
            hop::take(&mut event);
            Ok(Some((head, event)))
        })
        .await
    }

    /// Brings the kept events that match once more, in one transaction with the entry that says who did: a copy of each goes
    /// into the queue, with no attempts, for the target `to` alone where one is given. The kept one stays. One that still waits
    /// is refused, and so is one for which the queue has no room.
    ///
    /// With `dry_run` nothing is changed, and the new sequences are 0.
    ///
    /// Dropping the future leaves it open whether they were brought.
    ///
    /// # Errors
    /// As [`Journal::events`], and `Full`: then nothing was brought.
    pub async fn replay_events(
        &self,
        (filter, page): (Filter, Page),
        to: Option<Arc<str>>,
        order: Order,
        dry_run: bool,
    ) -> Result<Replayed> {
        let shared = self.shared.clone();
        self.on_writer(move |store| {
            let (found, next) = store.find_events(&filter, page, REPLAY_BYTES_MAX)?;
            let mut done = Replayed { next, ..Replayed::default() };
            // What waits is meant only where it is named.
            let (waiting, kept): (Vec<_>, Vec<_>) =
                found.into_iter().partition(|(head, _)| head.outcome == Outcome::Waiting);
            if !filter.seqs.is_empty() {
                let waits = |(head, _): (Head, _)| (head.seq, "it still waits to be delivered".to_owned());
                done.refused = waiting.into_iter().map(waits).collect();
            }
            let kept: Vec<_> = kept.into_iter().filter_map(|(_, stored)| stored).collect();
            if dry_run {
                done.replayed = kept.iter().map(|stored| (stored.seq, 0)).collect();
                return Ok(done);
            }
            if kept.is_empty() {
                return Ok(done);
            }
            let (done, entry) = store.write(|store| {
                for stored in &kept {
                    match store.replay_event(stored, to.as_deref())? {
                        Ok(seq) => done.replayed.push((stored.seq, seq)),
                        Err(why) => done.refused.push((stored.seq, why)),
                    }
                }
                let numbers: Vec<_> = done.replayed.iter().map(|(seq, _)| *seq).collect();
                let entry = Audit::of("events replay", &order, &numbers, done.refused.len());
                store.audit(&entry)?;
                Ok((done, entry))
            })?;
            entry.say();
            shared.handoff.fall_behind(); // they are on disk, and the source does not have them
            Ok(done)
        })
        .await
    }
}
