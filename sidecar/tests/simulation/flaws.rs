//! Mistakes that are planted around the path, to see that the judge finds them.

use crate::stage::Place;
use outrigger::admit::Admission;
use outrigger_core::{Admit, BoxFuture, Delivery, Receipt, Settlement, Settler};
use std::sync::{Arc, Mutex, PoisonError};

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// A commit passes a record that is not settled.
    CommitsTooFar,
    /// A commit moves back.
    CommitsMoveBack,
    /// A commit's metadata calls everything finished.
    MarksTooMuch,
    /// What a lost assignment settled is committed by the next one.
    ForgetsFence,
    /// A commit names a partition that is another member's.
    CommitsForeign,
    /// An event gets lost on its way, and nobody hears of it.
    Forgets,
    /// Commits are not sent.
    SaysItCommitted,
    /// What was finished beyond a commit is repeated.
    ForgetsMarks,
    /// A record gets lost when its partition is paused.
    LosesOnPause,
    /// Pauses are ignored.
    IgnoresPause,
    /// Pauses do not end.
    NeverResumes,
    /// An event counts as done before the function has it.
    AcksEarly,
    /// Two neighbours change places.
    Reorders,
    /// Keys are ignored.
    ForgetsKeys,
    /// What nobody wants any more is begun all the same.
    WantsEverything,
    /// A refused connection counts as an attempt.
    CountsOutages,
    /// A dead letter is not kept.
    DropsDeadLetters,
    /// Events go to other targets than the rules say.
    Misroutes,
    /// What a target has is not known.
    ForgetsShares,
    /// It is not written down.
    WritesNoMarks,
    /// Copies for a slow target are not written.
    LosesCopies,
    /// Copies are read with the latest first.
    ReadsBackwards,
    /// As many copies are brought into memory as there are.
    TakesAllCopies,
    /// What waits is settled when it is brought in.
    SettlesCopiesEarly,
}

impl Flaw {
    /// Each, with the word that the judge's finding begins with.
    pub(crate) const ALL: [(Self, &str); 24] = [
        (Self::CommitsTooFar, "commit"),
        (Self::CommitsMoveBack, "commit"),
        (Self::MarksTooMuch, "commit"),
        (Self::ForgetsFence, "fence"),
        (Self::CommitsForeign, "fence"),
        (Self::Forgets, "lost"),
        (Self::SaysItCommitted, "commit"),
        (Self::ForgetsMarks, "repeat"),
        (Self::LosesOnPause, "commit"),
        (Self::IgnoresPause, "memory"),
        (Self::NeverResumes, "idle"),
        (Self::AcksEarly, "commit"),
        (Self::Reorders, "order"),
        (Self::ForgetsKeys, "order"),
        (Self::WantsEverything, "fence"),
        (Self::CountsOutages, "grave"),
        (Self::DropsDeadLetters, "commit"),
        (Self::Misroutes, "route"),
        (Self::ForgetsShares, "repeat"),
        (Self::WritesNoMarks, "mark"),
        (Self::LosesCopies, "commit"),
        (Self::ReadsBackwards, "order"),
        (Self::TakesAllCopies, "memory"),
        (Self::SettlesCopiesEarly, "spill"),
    ];
}

/// The way in, with the scenario's flaw in it.
pub(crate) struct Gate {
    place: Place,
    inner: Admission,
    held: Mutex<Option<Delivery>>,
}

impl Gate {
    /// Around the real one.
    pub(crate) fn new(place: Place, inner: Admission) -> Self {
        Self { place, inner, held: Mutex::default() }
    }
}

impl Admit for Gate {
    fn admit(&self, mut delivery: Delivery) {
        let nobody = || Receipt::new(Arc::new(Unfenced(Mutex::new(None))), 0);
        match self.place.flaw {
            Some(Flaw::AcksEarly) => {
                std::mem::replace(&mut delivery.receipt, nobody()).settle(Settlement::Ack(None));
            }
            Some(Flaw::Forgets) if delivery.origin.position.to_string().ends_with('7') => {
                return std::mem::forget(delivery);
            }
            Some(Flaw::ForgetsKeys) => delivery.key = None,
            Some(Flaw::WantsEverything) => {
                let inner = std::mem::replace(&mut delivery.receipt, nobody());
                delivery.receipt = Receipt::new(Arc::new(Unfenced(Mutex::new(Some(inner)))), 0);
            }
            Some(Flaw::Reorders) => {
                let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(former) = held.take() else {
                    *held = Some(delivery);
                    return;
                };
                self.inner.admit(delivery);
                delivery = former;
            }
            _ => {}
        }
        self.inner.admit(delivery);
    }

    fn is_sated(&self) -> bool {
        self.inner.is_sated()
    }

    fn hungry(&self) -> BoxFuture<'_, ()> {
        self.inner.hungry()
    }

    fn sweep(&self) {
        self.inner.sweep();
    }
}

/// A receipt that is wanted whatever its source says.
struct Unfenced(Mutex<Option<Receipt>>);

impl Settler for Unfenced {
    fn settle(&self, _token: u64, settlement: Settlement) {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(inner) = inner {
            inner.settle(settlement);
        }
    }
}
