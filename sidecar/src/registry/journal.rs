//! The journal behind the sidecar's own traits.

use super::{Keeper, Storage};
use crate::{
    config,
    dispatch::{Copy, Overflow, outage},
    ingress::Accept,
};
use outrigger_core::{
    BoxFuture, Call, CallCx, DeadLetter, Error, Event, Key, Origin, Position, Reply, Result, Source,
};
use outrigger_journal::{Config, Entry, Journal, Waiting, stats::Health};
use std::sync::Arc;

pub(super) fn open(
    config: &config::Journal,
    on_fatal: impl FnOnce(Error) + Send + 'static,
) -> Result<Storage> {
    let settings = Config {
        bytes_max: config.bytes_max,
        dead_bytes_max: config.dead_bytes_max,
        overflow_bytes_max: config.overflow_bytes_max,
        marks_max: config.marks_max,
        marks_age_max: config.marks_age_max,
        dead_age_max: config.dead_age_max,
        keep_settled: config.keep_settled,
        keep_age_max: config.keep_age_max,
        keep_bytes_max: config.keep_bytes_max,
        audit_max: config.audit_max,
        commit_every: config.commit_every,
        group_events_max: config.group_events_max,
        group_bytes_max: config.group_bytes_max,
        gather_max: config.gather_max,
        waiting_events_max: config.waiting_events_max,
        waiting_bytes_max: config.waiting_bytes_max,
        hand_events_max: config.handoff_events_max,
        hand_bytes_max: config.handoff_bytes_max,
        wal_bytes_max: config.wal_bytes_max,
        stalled_after: config.stalled_after,
        ..Config::new(&config.path)
    };
    let journal = Journal::open(settings, on_fatal)?;
    let shared = Arc::new(Shared(journal.clone()));
    Ok(Storage {
        accept: shared.clone(),
        source: journal.clone(),
        dead: journal.clone(),
        ledger: journal.clone(),
        letters: journal.clone(),
        events: journal.clone(),
        auditor: journal.clone(),
        archive: Arc::new(Archive { name: Source::name(&*journal).into(), journal: journal.clone() }),
        overflow: journal,
        keeper: shared,
    })
}

/// The journal as a target.
struct Archive {
    /// Its name as a source.
    name: Arc<str>,
    journal: Arc<Journal>,
}

impl Call for Archive {
    /// Keeps the events. That there is no space is no fault of theirs, and counts as no attempt.
    fn call<'a>(&'a self, events: &'a [Event], cx: &'a CallCx) -> BoxFuture<'a, Result<Vec<Reply>>> {
        Box::pin(async move {
            // Of a broker's event the position tells where it was.
            let source = match cx.position {
                Position::Sequence(_) | Position::For(..) => self.name.clone(),
                _ => Arc::default(),
            };
            let origin = Origin { source, position: cx.position.clone(), headers: Vec::new() };
            for event in events {
                let kept = self.journal.keep(&cx.target.0, event, cx.key.as_ref(), &origin).await;
                kept.map_err(|error| outage(&error))?;
            }
            Ok(events.iter().map(|_| Reply { status: 204, ..Reply::default() }).collect())
        })
    }
}

struct Shared(Arc<Journal>);

impl Accept for Shared {
    fn accept(
        &self,
        events: Vec<(Event, Option<Key>)>,
        letters: Vec<DeadLetter>,
    ) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let entries = events.into_iter().map(|(event, key)| Entry { event, key });
            self.0.accept(entries.collect(), letters).await.map(drop)
        })
    }
}

impl Overflow for Journal {
    fn keep(&self, target: &Arc<str>, copies: Vec<Copy>) -> BoxFuture<'_, Result<()>> {
        let row = |Copy { event, key, origin, received_ms }| Waiting { event, key, origin, received_ms };
        Box::pin(self.overflow(target.clone(), copies.into_iter().map(row).collect()))
    }

    fn read(&self, target: &Arc<str>, after: u64) -> BoxFuture<'_, Result<Vec<(u64, Copy)>>> {
        let copy = |(seq, Waiting { event, key, origin, received_ms })| {
            (seq, Copy { event, key, origin, received_ms })
        };
        let target = target.clone();
        Box::pin(async move { Ok(self.overflowed(target, after).await?.into_iter().map(copy).collect()) })
    }

    fn waiting(&self) -> BoxFuture<'_, Result<Vec<(String, u64)>>> {
        Box::pin(self.overflow_targets())
    }

    fn settled(&self, seq: u64) {
        self.overflow_settled(seq);
    }
}

impl Keeper for Shared {
    fn trouble(&self) -> Option<String> {
        match self.0.health() {
            Health::Sound => None,
            Health::Full(error) | Health::Stalled(error) | Health::Failed(error) => Some(error.to_string()),
        }
    }

    fn gauges(&self) -> Vec<(&'static str, &'static str, u64)> {
        let stats = self.0.stats();
        vec![
            ("outrigger_journal_pending_events", "Accepted events that are not settled", stats.pending),
            ("outrigger_journal_pending_bytes", "Their bytes", stats.pending_bytes),
            ("outrigger_journal_dead_letters", "Dead letters that are kept", stats.dead),
            ("outrigger_journal_dead_bytes", "Their bytes", stats.dead_bytes),
            ("outrigger_journal_marks", "Marks of which target has which event", stats.marks),
            ("outrigger_journal_kept_events", "Events that are kept for `outrigger events`", stats.kept),
            ("outrigger_journal_kept_bytes", "Their bytes", stats.kept_bytes),
            (
                "outrigger_journal_kept_expired",
                "Kept events that went for their age, their bytes or want of space, since the start",
                stats.expired,
            ),
            ("outrigger_journal_commits", "Commits since the start, each with one fsync", stats.commits),
            (
                "outrigger_journal_discarded",
                "Dead letters discarded for their age since the start",
                stats.discarded,
            ),
        ]
    }

    fn pending(&self) -> u64 {
        self.0.stats().pending
    }

    fn flush(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.0.flush())
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.0.close())
    }
}
