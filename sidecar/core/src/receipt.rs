//! The promise to tell a source what became of a delivery, exactly once.
//!
//! A receipt that is dropped releases its delivery: whatever panics, is cancelled or forgotten is delivered
//! again, never lost. [`Receipt::split`] serves fan-out, [`Receipt::batch`] serves brokers that push batches.

use crate::{Code, Reason, Reply, TargetId, source::Permit};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::oneshot;

/// What a source is told, exactly once per receipt.
#[derive(Debug, Clone)]
pub enum Settlement {
    /// It is done: delivered, or durable among the dead letters.
    Ack(Option<Box<Reply>>),
    /// Deliver it again, after that time if one is given. No attempt is counted by us.
    Release {
        /// The shortest wait before it comes again, where the source can wait.
        after: Option<Duration>,
    },
    /// It failed for good, and the source itself takes care of that: a broker that dead-letters, a caller who waits.
    Reject(Reason),
}

/// What became of a delivery at one place, for a source that keeps a record of it. Its settlement does not say: what is a dead
/// letter is acknowledged as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The target has it.
    Delivered,
    /// The target had it before, so it was not tried.
    Duplicate,
    /// The target failed it, and it is durable among the dead letters.
    Dead(Code),
    /// A rule discarded it.
    Discarded,
    /// It is durable where it waits for the target.
    Queued,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered => f.write_str("delivered"),
            Self::Duplicate => f.write_str("duplicate"),
            Self::Dead(code) => write!(f, "dead-letter:{code}"),
            Self::Discarded => f.write_str("discarded"),
            Self::Queued => f.write_str("queued"),
        }
    }
}

/// The side of a source that settles. Calls never block; what must be written is written later, by the source.
pub trait Settler: Send + Sync {
    /// The outcome of the delivery `token`.
    fn settle(&self, token: u64, settlement: Settlement);

    /// Whether anybody still waits for the delivery `token`: a caller who hung up does not.
    fn wanted(&self, token: u64) -> bool {
        let _ = token;
        true
    }

    /// The delivery `token` has now had `attempts` attempts: a source that can count remembers it.
    fn attempted(&self, token: u64, attempts: u32) {
        let _ = (token, attempts);
    }

    /// What became of the delivery `token` at `place`, a target or a rule, with how many attempts; told before it is settled.
    /// A source that keeps records remembers it.
    fn became(&self, token: u64, place: &Arc<str>, fate: Fate, attempts: u32) {
        let _ = (token, place, fate, attempts);
    }

    /// Whether [`crate::Delivery::attempts`] of its deliveries counts each time that one was handed out, also where it
    /// was given back untried.
    fn counts_deliveries(&self) -> bool {
        false
    }

    /// Whether its deliveries are brought once more on purpose: then it does not count who has them already.
    fn is_replay(&self) -> bool {
        false
    }
}

/// The duty to settle one delivery. Dropping it is [`Settlement::Release`].
pub struct Receipt {
    settler: Option<Arc<dyn Settler>>,
    token: u64,
    permit: Option<Permit>,
}

impl Receipt {
    /// The receipt for `token` of `settler`.
    #[must_use]
    pub fn new(settler: Arc<dyn Settler>, token: u64) -> Self {
        Self { settler: Some(settler), token, permit: None }
    }

    /// Settles. The permit, if it holds one, is given back afterwards.
    pub fn settle(mut self, settlement: Settlement) {
        if let Some(settler) = self.settler.take() {
            settler.settle(self.token, settlement);
        }
    }

    /// Whether anybody still waits for the outcome.
    #[must_use]
    pub fn wanted(&self) -> bool {
        self.settler.as_ref().is_some_and(|settler| settler.wanted(self.token))
    }

    /// Tells the source how many attempts there have been.
    pub fn attempted(&self, attempts: u32) {
        if let Some(settler) = &self.settler {
            settler.attempted(self.token, attempts);
        }
    }

    /// Tells the source what became of it at `place`, a target or a rule, with how many attempts.
    pub fn became(&self, place: &Arc<str>, fate: Fate, attempts: u32) {
        if let Some(settler) = &self.settler {
            settler.became(self.token, place, fate, attempts);
        }
    }

    /// Whether what its source has counted are deliveries, not attempts.
    #[must_use]
    pub fn counts_deliveries(&self) -> bool {
        self.settler.as_ref().is_some_and(|settler| settler.counts_deliveries())
    }

    /// Whether it is delivered once more on purpose.
    #[must_use]
    pub fn is_replay(&self) -> bool {
        self.settler.as_ref().is_some_and(|settler| settler.is_replay())
    }

    /// Keeps `permit` until the receipt is settled or dropped.
    pub(crate) fn hold(&mut self, permit: Permit) {
        self.permit = Some(permit);
    }

    /// One receipt for each of `targets`; this one, the parent, is settled when all of them are.
    ///
    /// The parent acks when every child has. If any child released, the parent releases, after the longest of
    /// their waits; else, if any rejected, it rejects, with the reason of `reply_target` before the first. It waits for
    /// all even so, that no redelivery meets a sibling still at work. Only the reply of `reply_target` reaches the parent.
    /// Its source is told the least of the attempts of those that are not settled: told more, it would give up early what
    /// comes again. Without a target nothing has the event, and the parent releases.
    #[must_use]
    pub fn split(self, targets: &[TargetId], reply_target: Option<&TargetId>) -> Vec<Receipt> {
        let split = Arc::new(Split {
            reply_token: reply_target.and_then(|wanted| targets.iter().position(|t| t == wanted)),
            state: Mutex::new(SplitState {
                parent: Some(self),
                left: targets.len(),
                attempts: vec![Some(0); targets.len()],
                ..SplitState::default()
            }),
        });
        (0..targets.len()).map(|i| Receipt::new(split.clone(), i as u64)).collect()
    }

    /// `n` receipts, and a future of all their settlements in the same order.
    #[must_use]
    pub fn batch(n: usize) -> (Vec<Receipt>, BatchOutcome) {
        let (send, receive) = oneshot::channel();
        let mut state = BatchState { settlements: vec![None; n], left: n, send: Some(send) };
        state.finish_if_complete();
        let batch = Arc::new(Batch(Mutex::new(state)));
        let receipts = (0..n).map(|i| Receipt::new(batch.clone(), i as u64)).collect();
        (receipts, BatchOutcome(receive))
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(settler) = self.settler.take() {
            settler.settle(self.token, Settlement::Release { after: None });
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("token", &self.token)
            .field("open", &self.settler.is_some())
            .finish_non_exhaustive()
    }
}

struct Split {
    reply_token: Option<usize>,
    state: Mutex<SplitState>,
}

#[derive(Default)]
struct SplitState {
    parent: Option<Receipt>,
    left: usize,
    /// Of each child until it is settled.
    attempts: Vec<Option<u32>>,
    release: Option<Longest>,
    reject: Option<Reason>,
    reply: Option<Box<Reply>>,
}

/// The longest wait that a child asked for, if any did.
struct Longest(Option<Duration>);

impl SplitState {
    fn outcome(&mut self) -> Settlement {
        match (self.release.take(), self.reject.take()) {
            (Some(Longest(after)), _) => Settlement::Release { after },
            (None, Some(reason)) => Settlement::Reject(reason),
            (None, None) => Settlement::Ack(self.reply.take()),
        }
    }
}

impl Settler for Split {
    fn settle(&self, token: u64, settlement: Settlement) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let index = usize::try_from(token).unwrap_or(usize::MAX);
        state.attempts[index] = None;
        match settlement {
            Settlement::Ack(reply) if self.reply_token == Some(index) => state.reply = reply,
            Settlement::Ack(_) => {}
            Settlement::Release { after } => {
                let longest = state.release.take().and_then(|Longest(known)| known).max(after);
                state.release = Some(Longest(longest));
            }
            Settlement::Reject(reason) if self.reply_token == Some(index) => state.reject = Some(reason),
            Settlement::Reject(reason) => state.reject = state.reject.take().or(Some(reason)),
        }
        state.left -= 1;
        if state.left > 0 {
            return;
        }
        let (parent, outcome) = (state.parent.take(), state.outcome());
        drop(state); // the parent's settler may take locks of its own
        if let Some(parent) = parent {
            parent.settle(outcome);
        }
    }

    fn wanted(&self, _token: u64) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.parent.as_ref().is_some_and(Receipt::wanted)
    }

    fn attempted(&self, token: u64, attempts: u32) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.attempts[usize::try_from(token).unwrap_or(usize::MAX)] = Some(attempts);
        let least = state.attempts.iter().flatten().min().copied().unwrap_or(0);
        if let Some(parent) = &state.parent {
            parent.attempted(least);
        }
    }

    fn became(&self, _token: u64, place: &Arc<str>, fate: Fate, attempts: u32) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(parent) = &state.parent {
            parent.became(place, fate, attempts);
        }
    }

    fn counts_deliveries(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.parent.as_ref().is_some_and(Receipt::counts_deliveries)
    }

    fn is_replay(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.parent.as_ref().is_some_and(Receipt::is_replay)
    }
}

struct Batch(Mutex<BatchState>);

struct BatchState {
    settlements: Vec<Option<Settlement>>,
    left: usize,
    send: Option<oneshot::Sender<Vec<Settlement>>>,
}

impl BatchState {
    fn finish_if_complete(&mut self) {
        if self.left == 0
            && let Some(send) = self.send.take()
        {
            let all = self.settlements.drain(..).flatten().collect();
            let _ = send.send(all); // nobody waits any more: the caller hung up, and there is nobody to tell
        }
    }
}

impl Settler for Batch {
    fn settle(&self, token: u64, settlement: Settlement) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = usize::try_from(token).unwrap_or(usize::MAX);
        state.settlements[index] = Some(settlement);
        state.left -= 1;
        state.finish_if_complete();
    }

    fn wanted(&self, _token: u64) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.send.as_ref().is_some_and(|send| !send.is_closed())
    }
}

/// All settlements of a batch, in the order of its receipts; ready when the last one is settled.
///
/// Dropping it says that nobody waits any more: the receipts are then no longer wanted.
#[derive(Debug)]
pub struct BatchOutcome(oneshot::Receiver<Vec<Settlement>>);

impl Future for BatchOutcome {
    type Output = Vec<Settlement>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Every receipt settles on drop, so the sender cannot go away before it has sent.
        Pin::new(&mut self.0).poll(cx).map(Result::unwrap_or_default)
    }
}

#[cfg(test)]
#[path = "receipt_tests.rs"]
mod tests;
