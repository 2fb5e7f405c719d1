//! The writer of copies: what the target has not yet goes to the journal, in batches and in order, and is settled there.

use super::{Copy, Spill};
use crate::{
    dispatch::{MARK_UNWRITTEN, MARKS_UNASKED, known::conflict, lock, now},
    telemetry::Ended,
};
use futures_util::future::join_all;
use outrigger_core::{
    Delivery, Error, Event, Fate, Known, Ledger, Mark, OnAnother, Payload, Result, Settlement, Step,
};
use std::{mem, sync::Arc};

/// The most copies that are written at once.
const BATCH: usize = 1_024;
/// The most marks that are asked for or written at once.
const TOGETHER: usize = 64;

/// A delivery that is new for the target.
struct Taken {
    delivery: Delivery,
    is_shared: bool,
    named: Option<Named>,
}

/// By what it is known again, and where.
struct Named {
    ledger: Arc<dyn Ledger>,
    mark: Mark,
    payload: Option<Payload>,
}

impl Spill {
    /// Writes all that waits, in order. What does not fit as a whole is written in parts, as far as there is room: what is
    /// kept leaves again only if it is brought in, and nothing may wait for more room than there will ever be.
    pub(super) async fn write(&self) -> Result<()> {
        let mut most = BATCH;
        loop {
            let batch: Vec<_> = {
                let mut state = lock(&self.state);
                let count = state.backlog.len().min(most);
                state.backlog.drain(..count).collect()
            };
            if batch.is_empty() {
                return Ok(());
            }
            if let Err((error, batch)) = self.write_batch(batch).await {
                let part = batch.len() / 2;
                let mut state = lock(&self.state);
                let later = mem::replace(&mut state.backlog, batch);
                state.backlog.extend(later);
                if part == 0 {
                    return Err(error);
                }
                most = part;
            }
        }
    }

    /// Writes these; gives them back unsettled where that fails.
    async fn write_batch(&self, batch: Vec<(Delivery, bool)>) -> Result<(), (Error, Vec<(Delivery, bool)>)> {
        let (new, repeated) = self.sorted(batch).await;
        let copy = |Taken { delivery, .. }: &Taken| {
            Some(Copy {
                event: delivery.item.as_ref().ok()?.clone(),
                key: delivery.key.clone(),
                origin: delivery.origin.within(&delivery.timeline),
                received_ms: delivery.received_ms,
            })
        };
        let copies: Vec<_> = new.iter().filter_map(copy).collect();
        let count = copies.len() as u64;
        if count > 0
            && let Err(error) = self.overflow.keep(&self.name, copies).await
        {
            let again = new.into_iter().map(|it| (it.delivery, it.is_shared));
            return Err((error, again.chain(repeated).collect()));
        }
        lock(&self.state).waiting += count;
        // Together, so that they share the journal's commits: until its mark is there, a crash repeats a copy.
        for some in new.chunks(TOGETHER) {
            join_all(some.iter().filter_map(|it| it.named.as_ref()).map(|named| self.mark(named))).await;
        }
        for Taken { delivery, .. } in new {
            delivery.timeline.note(Step::Spilled, now());
            self.target.note_ended((&delivery.item, &delivery.timeline), &Settlement::Ack(None), now());
            delivery.receipt.became(&self.name, Fate::Queued, 0);
            delivery.receipt.settle(Settlement::Ack(None));
        }
        for (delivery, _) in repeated {
            self.target.metrics.ended(Ended::Duplicate);
            delivery.timeline.note(Step::Duplicate, now());
            self.target.note_ended((&delivery.item, &delivery.timeline), &Settlement::Ack(None), now());
            delivery.receipt.became(&self.name, Fate::Duplicate, 0);
            delivery.receipt.settle(Settlement::Ack(None));
        }
        Ok(())
    }

    /// Those that its target has not yet and somebody still wants, and those that it has; what is to be done with the others
    /// is done.
    async fn sorted(&self, batch: Vec<(Delivery, bool)>) -> (Vec<Taken>, Vec<(Delivery, bool)>) {
        let name = |(delivery, is_shared)| {
            let named = self.named(&delivery, is_shared);
            Taken { delivery, is_shared, named }
        };
        let batch: Vec<Taken> = batch.into_iter().map(name).collect();
        let mut asked = Vec::with_capacity(batch.len());
        for some in batch.chunks(TOGETHER) {
            asked.extend(join_all(some.iter().map(|it| self.known(it.named.as_ref()))).await);
        }
        let (mut new, mut repeated) = (Vec::<Taken>::with_capacity(batch.len()), Vec::new());
        for (it, asked) in batch.into_iter().zip(asked) {
            let known = it.named.as_ref().and_then(|named| among(&new, named)).unwrap_or(asked);
            match (known, self.target.on_another()) {
                _ if !it.delivery.receipt.wanted() => self.target.metrics.ended(Ended::Abandoned), // dropped, it goes back
                (Known::Same, _) => repeated.push((it.delivery, it.is_shared)),
                (Known::New, _) => new.push(it),
                (Known::Another, then) => {
                    let event = it.delivery.item.as_ref();
                    self.target.flag(then, event.map_or("", Event::source), event.map_or("", Event::id));
                    match then {
                        OnAnother::Deliver => new.push(it),
                        OnAnother::Bury => self.target.give_up_untried(it.delivery, conflict()),
                        OnAnother::Drop => it.delivery.receipt.settle(Settlement::Ack(None)),
                    }
                }
            }
        }
        (new, repeated)
    }

    /// What is marked: everything where deduplication is on, else what goes to several targets; never what is brought
    /// once more on purpose.
    fn named(&self, delivery: &Delivery, is_shared: bool) -> Option<Named> {
        if delivery.receipt.is_replay() {
            return None;
        }
        let event = delivery.item.as_ref().ok()?;
        let mark = || self.target.mark(&delivery.origin, event);
        match (&self.target.ledger, &self.shares) {
            (Some(ledger), _) => {
                Some(Named { ledger: ledger.clone(), mark: mark(), payload: ledger.payload(event) })
            }
            (None, Some(shares)) if is_shared => {
                Some(Named { ledger: shares.clone(), mark: mark(), payload: None })
            }
            _ => None,
        }
    }

    async fn known(&self, named: Option<&Named>) -> Known {
        let Some(named) = named else { return Known::New };
        named.ledger.ask(&named.mark, named.payload).await.unwrap_or_else(|error| {
            self.target.complain_of_marks(&error, MARKS_UNASKED);
            Known::New
        })
    }

    async fn mark(&self, Named { ledger, mark, payload }: &Named) {
        if let Err(error) = ledger.mark(mark, *payload).await {
            self.target.complain_of_marks(&error, MARK_UNWRITTEN);
        }
    }
}

/// What is known by those of its name that were taken a moment ago and are not marked yet.
fn among(taken: &[Taken], named: &Named) -> Option<Known> {
    let earlier = taken.iter().filter_map(|it| it.named.as_ref()).find(|it| it.mark == named.mark)?;
    let differs = earlier.payload.zip(named.payload).is_some_and(|(known, found)| known != found);
    Some(if differs { Known::Another } else { Known::Same })
}
