//! Equal requests that come at once: one is on its way to the function, and the others wait for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// How it went with the one that was on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Its answer is kept.
    Kept,
    /// Its answer is for nobody else: each goes by itself.
    Alone,
    /// It never got one, or not to its end: the next one goes.
    BrokenOff,
}

/// The requests that others wait for, by what they ask for; no more than there are requests.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<String, watch::Receiver<Option<Outcome>>>>);

/// What a request is to do.
pub(super) enum Boarded {
    /// It goes, and the others wait.
    Lead(Lead),
    /// It waits.
    Wait(Waiting),
}

/// The right to go. Its drop tells those who wait that it broke off.
#[derive(Debug)]
pub(super) struct Lead {
    flights: Arc<Flights>,
    key: String,
    told: watch::Sender<Option<Outcome>>,
    outcome: Outcome,
}

/// A wait for another.
pub(super) struct Waiting(watch::Receiver<Option<Outcome>>);

impl Flights {
    /// Goes first for what `key` names, or waits for whoever does.
    pub(super) fn board(self: &Arc<Self>, key: String) -> Boarded {
        let mut flying = self.flying();
        if let Some(other) = flying.get(&key) {
            return Boarded::Wait(Waiting(other.clone()));
        }
        let (told, tells) = watch::channel(None);
        flying.insert(key.clone(), tells);
        Boarded::Lead(Lead { flights: self.clone(), key, told, outcome: Outcome::BrokenOff })
    }

    fn flying(&self) -> MutexGuard<'_, HashMap<String, watch::Receiver<Option<Outcome>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lead {
    /// Tells those who wait.
    pub(super) fn end(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    /// What it goes for.
    pub(super) fn key(&self) -> &str {
        &self.key
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.flights.flying().remove(&self.key); // before it is told, so that who hears it can go first
        self.told.send_replace(Some(self.outcome));
    }
}

impl Waiting {
    /// How it went with the other. Cancel safe.
    pub(super) async fn ended(mut self) -> Outcome {
        let told = self.0.wait_for(Option::is_some).await;
        told.ok().and_then(|told| *told).unwrap_or(Outcome::BrokenOff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lead(flights: &Arc<Flights>) -> Lead {
        match flights.board("a".to_owned()) {
            Boarded::Lead(lead) => lead,
            Boarded::Wait(_) => panic!("somebody else has gone"),
        }
    }

    fn wait(flights: &Arc<Flights>) -> Waiting {
        match flights.board("a".to_owned()) {
            Boarded::Wait(waiting) => waiting,
            Boarded::Lead(_) => panic!("nobody else has gone"),
        }
    }

    #[tokio::test]
    async fn one_goes_and_the_others_hear_of_it() {
        let flights = Arc::default();
        for outcome in [Outcome::Kept, Outcome::Alone] {
            let first = lead(&flights);
            let others = [wait(&flights), wait(&flights)];
            first.end(outcome);
            for other in others {
                assert_eq!(other.ended().await, outcome);
            }
        }
    }

    #[tokio::test]
    async fn one_that_is_dropped_makes_way_for_the_next() {
        let flights = Arc::default();
        let first = lead(&flights);
        let other = wait(&flights);
        drop(first);
        assert_eq!(other.ended().await, Outcome::BrokenOff);
        drop(lead(&flights));
    }
}
