//! Equal requests that come at once: one is on its way to the function, and the others wait for it.
//!
//! Where the one takes longer than others wait, one more goes, and the rest wait for whichever is the first to come back: a
//! function that is slow, or a client that does not read, holds others up only once, and they do not all go at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

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

/// Tells those who wait.
type Tell = Arc<watch::Sender<Option<Outcome>>>;

/// The requests that others wait for, by what they ask for; no more than there are requests.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<String, Flight>>);

#[derive(Debug)]
struct Flight {
    told: Tell,
    /// How many are on their way.
    leads: usize,
    /// When the last of them went.
    newest: Instant,
}

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
    told: Tell,
    outcome: Outcome,
}

/// A wait for another.
pub(super) struct Waiting {
    told: watch::Receiver<Option<Outcome>>,
    /// When one more may go.
    pub(super) until: Instant,
}

impl Flights {
    /// Goes first for what `key` names, or waits for whoever does; goes as well where the last one went `wait` ago.
    pub(super) fn board(self: &Arc<Self>, key: String, wait: Duration) -> Boarded {
        let now = Instant::now();
        let mut flying = self.flying();
        if let Some(flight) = flying.get_mut(&key) {
            let until = flight.newest + wait;
            if now < until {
                return Boarded::Wait(Waiting { told: flight.told.subscribe(), until });
            }
            flight.newest = now;
            flight.leads += 1;
            let told = flight.told.clone();
            return Boarded::Lead(Lead { flights: self.clone(), key, told, outcome: Outcome::BrokenOff });
        }
        let told = Arc::new(watch::Sender::new(None));
        flying.insert(key.clone(), Flight { told: told.clone(), leads: 1, newest: now });
        Boarded::Lead(Lead { flights: self.clone(), key, told, outcome: Outcome::BrokenOff })
    }

    fn flying(&self) -> MutexGuard<'_, HashMap<String, Flight>> {
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
        let mut flying = self.flights.flying();
        let Some(flight) = flying.get_mut(&self.key).filter(|flight| Arc::ptr_eq(&flight.told, &self.told))
        else {
            return; // another has told them
        };
        flight.leads -= 1;
        if self.outcome == Outcome::BrokenOff && flight.leads > 0 {
            return; // they wait for another
        }
        flying.remove(&self.key); // before it is told, so that who hears it can go first
        drop(flying);
        self.told.send_replace(Some(self.outcome));
    }
}

impl Waiting {
    /// How it went with the others. Cancel safe.
    pub(super) async fn ended(mut self) -> Outcome {
        let told = self.told.wait_for(Option::is_some).await;
        told.ok().and_then(|told| *told).unwrap_or(Outcome::BrokenOff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(5);

    fn lead(flights: &Arc<Flights>) -> Lead {
        match flights.board("a".to_owned(), WAIT) {
            Boarded::Lead(lead) => lead,
            Boarded::Wait(_) => panic!("somebody else has gone"),
        }
    }

    fn wait(flights: &Arc<Flights>) -> Waiting {
        match flights.board("a".to_owned(), WAIT) {
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

    #[tokio::test(start_paused = true)]
    async fn where_one_is_slow_one_more_goes_and_whoever_comes_back_first_tells_all() {
        let flights = Arc::default();
        for slow_is_first in [true, false] {
            let slow = lead(&flights);
            let other = wait(&flights);
            tokio::time::advance(WAIT).await;
            let second = lead(&flights);
            let late = wait(&flights);
            let (first, last) = if slow_is_first { (slow, second) } else { (second, slow) };
            first.end(Outcome::Kept);
            assert_eq!((other.ended().await, late.ended().await), (Outcome::Kept, Outcome::Kept));
            drop(lead(&flights));
            drop(last);
            assert!(flights.flying().is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_two_that_breaks_off_leaves_the_other() {
        let flights = Arc::default();
        let slow = lead(&flights);
        tokio::time::advance(WAIT).await;
        let second = lead(&flights);
        let other = wait(&flights);
        drop(slow);
        drop(wait(&flights));
        second.end(Outcome::Kept);
        assert_eq!(other.ended().await, Outcome::Kept);
    }
}
