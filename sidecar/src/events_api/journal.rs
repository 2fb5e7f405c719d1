//! The journal in this process as who has the events.

use std::sync::Arc;

use outrigger_core::{BoxFuture, Error, Event, Result};
use outrigger_journal::{
    Journal, audit,
    dead::Page,
    events::{self, Head, Outcome},
};

use super::{
    AtTarget, AuditPage, Audited, Changed, Events, Filter, Happened, Listed, PAGE, PAGE_MAX, Replay, Shown,
    Summary,
};
use crate::{
    audit::{Auditor, Entry},
    dead_api::Refused,
};

impl Events for Journal {
    fn list(&self, filter: Filter) -> BoxFuture<'_, Result<Listed>> {
        let (filter, page) = asked(filter);
        Box::pin(async move {
            let listed = self.events(filter, page).await?;
            Ok(Listed { events: listed.events.into_iter().map(summary).collect(), next: listed.next })
        })
    }

    fn show<'a>(&'a self, what: &'a str) -> BoxFuture<'a, Result<Option<Shown>>> {
        Box::pin(async move {
            let by_number = match what.parse() {
                Ok(seq) => self.event(seq).await?,
                Err(_) => None,
            };
            let (found, same_id) = match by_number {
                Some(found) => (Some(found), Vec::new()),
                None => newest_of(self, what).await?,
            };
            let Some((head, event)) = found else { return Ok(None) };
            let history = history(self, &head).await?;
            Ok(Some(shown(head, &event, history, same_id)))
        })
    }

    fn replay<'a>(&'a self, replay: Replay, by: &'a str) -> BoxFuture<'a, Result<Changed>> {
        Box::pin(async move {
            let what = serde_json::json!(replay).to_string();
            let order = audit::Order { by: by.to_owned(), what };
            let to = replay.to.map(Arc::from);
            let done = self.replay_events(asked(replay.filter), to, order, replay.dry_run).await?;
            Ok(Changed {
                done: done.replayed.into_iter().map(|(seq, _)| seq).collect(),
                refused: done.refused.into_iter().map(|(id, why)| Refused { id, why }).collect(),
                next: done.next,
            })
        })
    }

    fn audit(&self, page: AuditPage) -> BoxFuture<'_, Result<Audited>> {
        Box::pin(async move {
            let limit = page.limit.unwrap_or(PAGE).min(PAGE_MAX) as usize;
            let (entries, next) = Journal::audit(self, page.before, limit).await?;
            Ok(Audited { entries: entries.into_iter().map(entry).collect(), next })
        })
    }
}

impl Auditor for Journal {
    fn note<'a>(&'a self, by: &'a str, verb: &'a str, what: &'a str) -> BoxFuture<'a, Result<()>> {
        let order = audit::Order { by: by.to_owned(), what: what.to_owned() };
        Box::pin(Journal::note(self, audit::Entry::of(verb, &order, &[], 0)))
    }
}

fn asked(filter: Filter) -> (events::Filter, Page) {
    let page = Page { after: filter.after.unwrap_or(0), limit: filter.limit.unwrap_or(PAGE) as usize };
    let filter = events::Filter {
        seqs: filter.seq,
        id: filter.id,
        ty: filter.ty,
        source: filter.source,
        subject: filter.subject,
        key: filter.key,
        outcome: filter.outcome.as_deref().and_then(Outcome::from_name), // the others were refused
        target: filter.target,
        since_ms: filter.since_ms,
        until_ms: filter.until_ms,
    };
    (filter, page)
}

/// The newest event of that id, and the sequences of the others.
async fn newest_of(journal: &Journal, id: &str) -> Result<(Option<(Head, Event)>, Vec<u64>)> {
    let filter = events::Filter { id: Some(id.to_owned()), ..events::Filter::default() };
    let (mut page, mut seqs) = (Page { after: 0, limit: PAGE_MAX as usize }, Vec::new());
    loop {
        let listed = journal.events(filter.clone(), page).await?;
        seqs.extend(listed.events.iter().map(|head| head.seq));
        match listed.next {
            Some(after) => page.after = after,
            None => break,
        }
    }
    let Some(newest) = seqs.pop() else { return Ok((None, seqs)) };
    Ok((journal.event(newest).await?, seqs))
}

/// What happened to it, as far as it is known.
async fn history(journal: &Journal, head: &Head) -> Result<Vec<Happened>, Error> {
    let came =
        head.replay_of.as_ref().map_or_else(|| "received".to_owned(), |of| format!("replayed from {of}"));
    let mut history = vec![Happened { at_ms: head.received_ms, what: came }];
    if let Some(at_ms) = head.settled_ms {
        let at = |(name, fate, attempts): &(String, String, u32)| {
            let times = match attempts {
                0 => String::new(),
                1 => ", 1 attempt".to_owned(),
                several => format!(", {several} attempts"),
            };
            Happened { at_ms, what: format!("{name}: {fate}{times}") }
        };
        history.extend(head.fates.iter().map(at));
        history.push(Happened { at_ms, what: format!("settled: {}", head.outcome.name()) });
    }
    let mut before = None;
    let mut replays = Vec::new();
    loop {
        let (entries, next) = Journal::audit(journal, before, audit::LIMIT_MAX).await?;
        let these = entries.iter().filter(|entry| entry.verb == "events replay" && entry.names(head.seq));
        replays.extend(these.map(|it| Happened { at_ms: it.at_ms, what: format!("replayed by {}", it.by) }));
        before = next;
        if next.is_none() {
            break;
        }
    }
    history.extend(replays.into_iter().rev());
    Ok(history)
}

fn shown(head: Head, event: &Event, history: Vec<Happened>, same_id: Vec<u64>) -> Shown {
    let attributes = event.attributes().map(|(name, value)| (name.to_owned(), value.text().into_owned()));
    Shown {
        summary: summary(head),
        attributes: attributes.collect(),
        history,
        same_id,
        data: event.data().map(|data| data.to_vec()),
    }
}

fn summary(head: Head) -> Summary {
    let at = |(name, outcome, attempts)| AtTarget { name, outcome, attempts };
    Summary {
        seq: head.seq,
        event_id: head.event_id,
        source: head.source,
        ty: head.ty,
        subject: head.subject,
        outcome: head.outcome.name().to_owned(),
        targets: head.fates.into_iter().map(at).collect(),
        attempts: head.attempts,
        received_ms: head.received_ms,
        settled_ms: head.settled_ms,
        origin: head.origin,
        position: head.position,
        key: head.key,
        replay_of: head.replay_of,
        bytes: head.bytes,
    }
}

fn entry(entry: audit::Entry) -> Entry {
    let audit::Entry { number, at_ms, by, verb, what, count, refused, numbers } = entry;
    Entry { number, at_ms, by, verb, what, count, refused, numbers }
}
