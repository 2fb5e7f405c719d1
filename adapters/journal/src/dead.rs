//! Looking at dead letters, replaying and dropping them: alike in the running process and over files at rest.
//!
//! Every call is bounded, so that a search does not keep appends waiting: it looks at a limited number of
//! letters, and returns where to go on.

use crate::{
    Journal,
    audit::{Entry, Order},
    failure::Failure,
    letters::Stored,
    store::Store,
};
use outrigger_core::{DeadLetter, Result};

/// Most letters that one call looks at.
pub(crate) const SCAN_MAX: usize = 10_000;
/// Most letters that one call lists or touches, whatever [`Page::limit`] says.
pub const LIMIT_MAX: usize = 1_000;
/// Most bytes that one call replays.
pub(crate) const REPLAY_BYTES_MAX: u64 = 16 << 20;

/// Which letters are meant: those that fit everything that is given. The default fits all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these numbers; empty means all.
    pub ids: Vec<u64>,
    /// The event's whole `type`.
    pub ty: Option<String>,
    /// The event's whole `source`.
    pub source: Option<String>,
    /// The name of the reason's code, as [`outrigger_core::Code::name`] has it.
    pub code: Option<String>,
    /// Given up at this Unix time in milliseconds or later.
    pub since_ms: Option<u64>,
    /// Given up before this Unix time in milliseconds.
    pub until_ms: Option<u64>,
    /// Part of the event's id, type or source, of the detail or of the key; in any case of ASCII letters.
    pub text: Option<String>,
}

/// Which part of the matching letters is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Go on after this number; 0 begins at the oldest.
    pub after: u64,
    /// At most so many; default 100, at most [`LIMIT_MAX`].
    pub limit: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self { after: 0, limit: 100 }
    }
}

/// What a list shows of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its number, by which it is shown, replayed and dropped.
    pub id: u64,
    /// The event's `id`; empty when malformed, like the next two.
    pub event_id: String,
    /// The event's `source`.
    pub source: String,
    /// The event's `type`.
    pub ty: String,
    /// Whether it never was an event. Such a letter cannot be replayed.
    pub malformed: bool,
    /// The name of the reason's code.
    pub code: String,
    /// The function's last status.
    pub status: Option<u16>,
    /// The reason, in one line.
    pub detail: String,
    /// How many attempts there were.
    pub attempts: u32,
    /// When it was first received, in Unix milliseconds.
    pub first_ms: u64,
    /// When it was given up, in Unix milliseconds.
    pub last_ms: u64,
    /// The source through which it came.
    pub origin: String,
    /// The position there.
    pub position: String,
    /// Its ordering key, for people.
    pub key: Option<String>,
    /// The target that failed it, where there are several.
    pub target: Option<String>,
    /// The bytes that it counts for.
    pub bytes: u64,
}

/// A part of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// The letters, oldest first. There may be fewer than asked for, even none, although `next` is given.
    pub letters: Vec<Head>,
    /// Where to go on; `None` when all were looked at.
    pub next: Option<u64>,
}

/// What a replay did.
#[expect(clippy::struct_field_names, reason = "it is what became of the letters, beside `refused`")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// The numbers of the letters that went back into the queue, each with its new sequence there.
    pub replayed: Vec<(u64, u64)>,
    /// Those that stay, with the reason.
    pub refused: Vec<(u64, String)>,
    /// Where to go on; `None` when all were looked at.
    pub next: Option<u64>,
}

/// What a drop did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dropped {
    /// The numbers of the letters that are gone.
    pub ids: Vec<u64>,
    /// Where to go on; `None` when all were looked at.
    pub next: Option<u64>,
}

impl Filter {
    /// Whether `head` fits everything that is given.
    #[must_use]
    pub fn matches(&self, head: &Head) -> bool {
        let same =
            |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        (self.ids.is_empty() || self.ids.contains(&head.id))
            && same(&self.ty, &head.ty)
            && same(&self.source, &head.source)
            && same(&self.code, &head.code)
            && self.since_ms.is_none_or(|since| head.last_ms >= since)
            && self.until_ms.is_none_or(|until| head.last_ms < until)
            && self.text.as_ref().is_none_or(|text| head.mentions(text))
    }
}

impl Head {
    fn mentions(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        let fields = [&self.event_id, &self.ty, &self.source, &self.detail];
        fields.into_iter().chain(&self.key).any(|field| field.to_ascii_lowercase().contains(&text))
    }
}

impl Journal {
    /// The letters that match, oldest first. Cancel safe.
    ///
    /// # Errors
    /// `Overloaded`, `Closed`, or `Storage` when a row is damaged.
    pub async fn list(&self, filter: Filter, page: Page) -> Result<Listed> {
        self.on_writer(move |store| {
            let (found, next) = store.find(&filter, page, u64::MAX)?;
            let letters = found.iter().map(Stored::head).collect::<Result<_, _>>()?;
            Ok(Listed { letters, next })
        })
        .await
    }

    /// The whole letter `id`; `None` when there is none. Cancel safe.
    ///
    /// # Errors
    /// As [`Journal::list`].
    pub async fn get(&self, id: u64) -> Result<Option<DeadLetter>> {
        self.on_writer(move |store| {
            let stored = store.dead(id)?;
            stored.map(|stored| store.letter(&stored)).transpose()
        })
        .await
    }

    /// Moves the letters that match back into the queue, with no attempts, in one transaction with the entry that says who
    /// did. A letter that never was an event stays, and so does one for which the queue has no room.
    ///
    /// Dropping the future leaves it open whether they were moved.
    ///
    /// # Errors
    /// As [`Journal::list`], and `Full`: then nothing was moved.
    pub async fn replay(&self, filter: Filter, page: Page, order: Order) -> Result<Replayed> {
        let shared = self.shared.clone();
        self.on_writer(move |store| {
            let (found, next) = store.find(&filter, page, REPLAY_BYTES_MAX)?;
            if found.is_empty() {
                return Ok(Replayed { next, ..Replayed::default() });
            }
            let (done, entry) = store.write(|store| {
                let mut done = Replayed { next, ..Replayed::default() };
                for stored in &found {
                    match store.replay(stored)? {
                        Ok(seq) => done.replayed.push((stored.id, seq)),
                        Err(why) => done.refused.push((stored.id, why)),
                    }
                }
                let numbers: Vec<_> = done.replayed.iter().map(|(id, _)| *id).collect();
                let entry = Entry::of("dead replay", &order, &numbers, done.refused.len());
                store.audit(&entry)?;
                Ok((done, entry))
            })?;
            entry.say();
            shared.handoff.fall_behind(); // they are on disk, and the source does not have them
            Ok(done)
        })
        .await
    }

    /// Deletes the letters that match for good, in one transaction with the entry that says who did.
    ///
    /// Dropping the future leaves it open whether they were deleted.
    ///
    /// # Errors
    /// As [`Journal::replay`].
    pub async fn discard(&self, filter: Filter, page: Page, order: Order) -> Result<Dropped> {
        self.on_writer(move |store| {
            let (found, next) = store.find(&filter, page, u64::MAX)?;
            let ids: Vec<_> = found.iter().map(|stored| stored.id).collect();
            if ids.is_empty() {
                return Ok(Dropped { ids, next });
            }
            let entry = Entry::of("dead drop", &order, &ids, 0);
            store.write_with_reserve(|store| {
                store.audit(&entry)?;
                found.iter().try_for_each(|stored| store.delete_dead(stored))
            })?;
            entry.say();
            Ok(Dropped { ids, next })
        })
        .await
    }
}

impl Store {
    /// The letters that match, and where to go on.
    fn find(
        &self,
        filter: &Filter,
        page: Page,
        bytes_max: u64,
    ) -> Result<(Vec<Stored>, Option<u64>), Failure> {
        let limit = page.limit.clamp(1, LIMIT_MAX);
        let (mut found, mut scanned, mut bytes, mut last) = (Vec::new(), 0, 0, page.after);
        let mut visit = |stored: Stored| {
            last = stored.id;
            scanned += 1;
            if filter.matches(&stored.head()?) {
                bytes += stored.bytes;
                found.push(stored);
            }
            Ok(found.len() < limit && scanned < SCAN_MAX && bytes < bytes_max)
        };
        let mut end = true;
        if filter.ids.is_empty() {
            end = self.each_dead(page.after, visit)?;
        } else {
            let mut ids: Vec<u64> = filter.ids.iter().copied().filter(|id| *id > page.after).collect();
            ids.sort_unstable();
            ids.dedup();
            for id in ids {
                if let Some(stored) = self.dead(id)?
                    && !visit(stored)?
                {
                    end = false;
                    break;
                }
            }
        }
        Ok((found, (!end).then_some(last)))
    }
}
