//! The marks of a run with deduplication: on storage that outlives every incarnation, asked and written in simulated time.

use outrigger_core::{BoxFuture, Error, Kind, Known, Ledger, Mark, Payload, Result};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::sleep;

/// What all incarnations share.
pub(crate) type Shelf = Arc<Mutex<HashSet<Mark>>>;

/// The marks as one incarnation reaches them. It does not answer now and then, and half of the time it knows at once.
pub(crate) struct Marks {
    shelf: Shelf,
    glances: bool,
    dice: Mutex<fastrand::Rng>,
}

impl Marks {
    pub(crate) fn new(shelf: &Shelf, seed: u64) -> Arc<Self> {
        let mut dice = fastrand::Rng::with_seed(seed);
        Arc::new(Self { shelf: shelf.clone(), glances: dice.bool(), dice: Mutex::new(dice) })
    }

    fn knows(&self, mark: &Mark) -> Known {
        let is_there = self.shelf.lock().unwrap_or_else(PoisonError::into_inner).contains(mark);
        if is_there { Known::Same } else { Known::New }
    }

    /// How long it takes, or that it fails.
    async fn answers(&self) -> Result<()> {
        let (delay, fails) = {
            let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
            (dice.u64(..5), dice.u8(..16) == 0)
        };
        sleep(Duration::from_millis(delay)).await;
        if fails { Err(Error::new(Kind::Overloaded, "planted")) } else { Ok(()) }
    }
}

impl Ledger for Marks {
    fn ask<'a>(&'a self, mark: &'a Mark, _: Option<Payload>) -> BoxFuture<'a, Result<Known>> {
        Box::pin(async move { self.answers().await.map(|()| self.knows(mark)) })
    }

    fn mark<'a>(&'a self, mark: &'a Mark, _: Option<Payload>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.answers().await?;
            self.shelf.lock().unwrap_or_else(PoisonError::into_inner).insert(mark.clone());
            Ok(())
        })
    }

    fn glance(&self, mark: &Mark, _: Option<Payload>) -> Option<Known> {
        self.glances.then(|| self.knows(mark))
    }
}
