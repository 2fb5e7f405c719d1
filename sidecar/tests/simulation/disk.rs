//! The simulated disk as the sidecar knows its journal: marks, and copies that wait for slow targets.

use crate::{flaws::Flaw, stage::Place};
use outrigger::dispatch::{Copy, Overflow};
use outrigger_core::{BoxFuture, Error, Kind, Ledger, Mark, Result};
use outrigger_testkit::sim::{self, routes::NAMES};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// What one incarnation sees of its disk.
pub(crate) struct Journal {
    pub(crate) place: Place,
    pub(crate) incarnation: u32,
    /// The number of the disk.
    pub(crate) disk: usize,
}

impl Journal {
    /// Half of a question's time, twice.
    fn waits(&self) -> [Duration; 2] {
        let (there, back) = self.place.world().disk_ms();
        [there, back].map(Duration::from_millis)
    }
}

impl Ledger for Journal {
    fn ask<'a>(&'a self, mark: &'a Mark) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let [there, back] = self.waits();
            sleep(there).await;
            let (target, at) = named(mark);
            let is_marked = self.place.world().is_marked(self.incarnation, target, at);
            sleep(back).await;
            Ok(is_marked && self.place.flaw != Some(Flaw::ForgetsShares))
        })
    }

    fn mark<'a>(&'a self, mark: &'a Mark) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if self.place.flaw == Some(Flaw::WritesNoMarks) {
                return Ok(());
            }
            let [there, back] = self.waits();
            sleep(there).await;
            let (target, at) = named(mark);
            let is_kept = self.place.world().mark(self.incarnation, target, at);
            sleep(back).await;
            if is_kept { Ok(()) } else { Err(full()) }
        })
    }
}

impl Overflow for Journal {
    fn keep(&self, target: &Arc<str>, copies: Vec<Copy>) -> BoxFuture<'_, Result<()>> {
        let target = number(target);
        Box::pin(async move {
            if self.place.flaw == Some(Flaw::LosesCopies) {
                return Ok(());
            }
            let places: Vec<_> = copies.iter().map(|copy| record(copy.event.id())).collect();
            let assignments = self.place.world().keeping(self.incarnation, target, &places);
            let [there, back] = self.waits();
            sleep(there).await;
            let numbers = self.place.world().keep(self.incarnation, target, &places, &assignments);
            if let Some(numbers) = &numbers {
                let rows = numbers.iter().map(|number| (self.disk, *number)).zip(copies);
                self.place.shelves().extend(rows);
            }
            sleep(back).await; // cut off here, it is kept and nobody has heard of it
            if numbers.is_some() { Ok(()) } else { Err(full()) }
        })
    }

    fn read(&self, target: &Arc<str>, after: u64) -> BoxFuture<'_, Result<Vec<(u64, Copy)>>> {
        let target = number(target);
        Box::pin(async move {
            let [there, back] = self.waits();
            sleep(there).await;
            let mut numbers = self.place.world().read(self.incarnation, target, after);
            if self.place.flaw == Some(Flaw::ReadsBackwards) {
                numbers.reverse();
            }
            if self.place.flaw == Some(Flaw::SettlesCopiesEarly) {
                for number in &numbers {
                    self.settled(*number);
                }
            }
            let page = {
                let shelves = self.place.shelves();
                let row = |number: &u64| Some((*number, shelves.get(&(self.disk, *number))?.clone()));
                numbers.iter().filter_map(row).collect()
            };
            sleep(back).await;
            Ok(page)
        })
    }

    /// Asked before anything runs, where the application asks it.
    fn waiting(&self) -> BoxFuture<'_, Result<Vec<(String, u64)>>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn settled(&self, seq: u64) {
        self.place.world().row_settled(self.incarnation, seq);
    }
}

fn full() -> Error {
    Error::new(Kind::Full, "there is no room on the disk")
}

fn number(target: &str) -> usize {
    NAMES.iter().position(|name| *name == target).unwrap_or_default()
}

fn named(mark: &Mark) -> (usize, sim::Place) {
    (number(&mark.target), record(&mark.id))
}

/// The record that an event's id names: topic, partition and offset.
fn record(id: &str) -> sim::Place {
    let mut parts = id.split('/').skip(1).map(str::parse::<i64>);
    let mut next = || parts.next().and_then(std::result::Result::ok).unwrap_or(-1);
    let partition = i32::try_from(next()).unwrap_or(-1);
    (partition, next())
}
