//! Events in hand, by their names: of those that have one name, one goes first and the others follow its outcome.
//!
//! An event is in hand from its admission until it is settled. The first that comes to its lane's head leads; one that
//! comes after it waits beside the lanes, still the head of its own, so that nothing of its key passes it. Once the
//! leader is acknowledged or rejected, all that were in hand by then end as it did; where it is given back, the next one
//! leads. What is admitted after that is a new event as far as this is concerned: the ledger's marks tell of what was.
//! One that is parked leads nobody any more: nobody knows when its owner lets it go, so the others go their own ways.
//!
//! Bounded by the window: whatever is kept here is an event in hand.

use crate::{Mark, Payload, Settlement};
use std::{collections::HashMap, sync::Arc};

/// Names those of one name that are in hand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(usize);

/// What an event at its lane's head is to do.
#[derive(Debug)]
pub enum Turn {
    /// It goes first.
    Lead,
    /// It waits for the one that leads: [`Hand::follow`].
    Follow,
    /// The one that led has ended so.
    Over(Settlement),
    /// Nobody can tell it anything: it goes its own way, and has left with that.
    Alone,
    /// It has another payload than the one that leads, whose outcome is open.
    AnotherLeads,
    /// It has another payload than the one that led, which is delivered.
    Another,
}

/// The events in hand; `F` is what follows.
#[derive(Debug)]
pub struct Hand<F> {
    open: HashMap<Arc<Mark>, usize>,
    groups: Vec<Group<F>>,
    free: Vec<usize>,
    following: usize,
}

#[derive(Debug)]
struct Group<F> {
    /// Their name, while others of it may join.
    name: Option<Arc<Mark>>,
    members: usize,
    payload: Option<Payload>,
    lead: Lead,
    followers: Vec<F>,
}

#[derive(Debug)]
enum Lead {
    Nobody,
    Somebody,
    /// It leads nobody any more, and is still in hand.
    Aside,
    /// It is settled so, and its target has it or not.
    Over(Settlement, bool),
}

impl<F> Default for Hand<F> {
    fn default() -> Self {
        Self { open: HashMap::new(), groups: Vec::new(), free: Vec::new(), following: 0 }
    }
}

impl<F> Hand<F> {
    /// An event of that name was admitted.
    pub fn enter(&mut self, name: &Arc<Mark>) -> Place {
        if let Some(at) = self.open.get(name) {
            self.groups[*at].members += 1;
            return Place(*at);
        }
        let group = Group {
            name: Some(name.clone()),
            members: 1,
            payload: None,
            lead: Lead::Nobody,
            followers: Vec::new(),
        };
        let at = if let Some(at) = self.free.pop() {
            self.groups[at] = group;
            at
        } else {
            self.groups.push(group);
            self.groups.len() - 1
        };
        self.open.insert(name.clone(), at);
        Place(at)
    }

    /// It has come to its lane's head. A rejection is for callers who wait; one without such a caller goes first.
    pub fn come(&mut self, Place(at): Place, payload: Option<Payload>, waits: bool) -> Turn {
        let group = &mut self.groups[at];
        let is_another = group.payload.zip(payload).is_some_and(|(known, found)| known != found);
        let over = match &group.lead {
            Lead::Nobody => None,
            Lead::Aside => {
                self.leave(Place(at));
                return Turn::Alone;
            }
            Lead::Somebody if is_another => return Turn::AnotherLeads,
            Lead::Somebody => return Turn::Follow,
            Lead::Over(_, true) if is_another => return Turn::Another,
            Lead::Over(_, false) if is_another => None,
            Lead::Over(Settlement::Reject(_), _) if !waits => None,
            Lead::Over(Settlement::Ack(_), _) if !waits => Some(Settlement::Ack(None)),
            Lead::Over(settlement, _) => Some(settlement.clone()),
        };
        if let Some(settlement) = over {
            return Turn::Over(settlement);
        }
        (group.lead, group.payload) = (Lead::Somebody, payload);
        Turn::Lead
    }

    /// Keeps what waits for the one that leads.
    pub fn follow(&mut self, Place(at): Place, follower: F) {
        self.groups[at].followers.push(follower);
        self.following += 1;
    }

    /// How many wait so.
    #[must_use]
    pub fn following(&self) -> usize {
        self.following
    }

    /// The one that leads is parked. Gives back those that followed it: each is to [`Hand::come`] again.
    #[must_use = "what followed is to come to its lane's head again"]
    pub fn step_aside(&mut self, Place(at): Place) -> Vec<F> {
        self.groups[at].lead = Lead::Aside;
        self.take_followers(at)
    }

    /// The one that leads is settled, and its target has it or not. Gives back those that followed it: each is to
    /// [`Hand::come`] again.
    #[must_use = "what followed is to come to its lane's head again"]
    pub fn end(&mut self, Place(at): Place, settlement: &Settlement, is_had: bool) -> Vec<F> {
        let followers = self.take_followers(at);
        let group = &mut self.groups[at];
        if let Settlement::Release { .. } = settlement {
            group.lead = Lead::Nobody;
        } else if group.members > 1 {
            group.lead = Lead::Over(settlement.clone(), is_had);
            self.close(at);
        }
        self.leave(Place(at));
        followers
    }

    fn take_followers(&mut self, at: usize) -> Vec<F> {
        let followers = std::mem::take(&mut self.groups[at].followers);
        self.following -= followers.len();
        followers
    }

    /// One that does not lead, and does not follow any more, is settled or goes its own way.
    pub fn leave(&mut self, Place(at): Place) {
        let group = &mut self.groups[at];
        group.members -= 1;
        if group.members == 0 {
            self.close(at);
            self.groups[at].lead = Lead::Nobody; // a reply need not wait for the next one
            self.free.push(at);
        }
    }

    /// Takes out all that follow; they have left with that.
    pub fn clear(&mut self) -> Vec<F> {
        let places = (0..self.groups.len()).filter(|at| !self.groups[*at].followers.is_empty());
        let mut all = Vec::with_capacity(self.following);
        for at in places.collect::<Vec<_>>() {
            for follower in std::mem::take(&mut self.groups[at].followers) {
                all.push(follower);
                self.leave(Place(at));
            }
        }
        self.following = 0;
        all
    }

    fn close(&mut self, at: usize) {
        if let Some(name) = self.groups[at].name.take() {
            self.open.remove(&name);
        }
    }
}

#[cfg(test)]
#[path = "hand_tests.rs"]
mod tests;
