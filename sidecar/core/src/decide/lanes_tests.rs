use super::*;
use proptest::prelude::*;
use std::{collections::BTreeMap, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

fn key(name: &str) -> Key {
    Key::new("test", name.as_bytes())
}

fn lanes(events: &[(&str, u32)]) -> Lanes<u32> {
    let mut lanes = Lanes::default();
    for (name, item) in events {
        lanes.push((!name.is_empty()).then(|| key(name)), *item);
    }
    lanes
}

#[test]
fn one_event_of_a_key_runs_at_a_time_and_other_keys_do_not_wait() {
    let (mut lanes, now) = (lanes(&[("a", 1), ("a", 2), ("b", 3)]), Instant::now());
    let (first, item) = lanes.next(now).unwrap();
    assert_eq!(item, 1);
    assert_eq!(lanes.next(now).unwrap().1, 3);
    assert!(lanes.next(now).is_none());
    lanes.done(first);
    assert_eq!(lanes.next(now).unwrap().1, 2);
}

#[test]
fn events_without_a_key_run_side_by_side() {
    let (mut lanes, now) = (lanes(&[("", 1), ("", 2), ("", 3)]), Instant::now());
    let running: Vec<_> = std::iter::from_fn(|| lanes.next(now)).map(|(_, item)| item).collect();
    assert_eq!(running, [1, 2, 3]);
}

#[test]
fn nothing_passes_an_event_that_backs_off_in_its_own_key() {
    let (mut lanes, now) = (lanes(&[("a", 1), ("a", 2), ("b", 3)]), Instant::now());
    let (ticket, item) = lanes.next(now).unwrap();
    lanes.again(ticket, item, now + SECOND);
    assert_eq!(lanes.wake_at(), Some(now + SECOND));
    assert_eq!(lanes.next(now).unwrap().1, 3);
    assert!(lanes.next(now).is_none());
    let (ticket, item) = lanes.next(now + SECOND).unwrap();
    assert_eq!(item, 1);
    lanes.done(ticket);
    assert_eq!(lanes.next(now + SECOND).unwrap().1, 2);
}

#[test]
fn a_parked_event_holds_its_key_until_it_is_released() {
    let (mut lanes, now) = (lanes(&[("a", 1), ("a", 2), ("b", 3)]), Instant::now());
    let (ticket, item) = lanes.next(now).unwrap();
    lanes.park(ticket, item);
    assert_eq!(lanes.parked().collect::<Vec<_>>(), [(&1, 1)]);
    assert_eq!(lanes.next(now).unwrap().1, 3);
    assert!(lanes.next(now + 1_000 * SECOND).is_none());
    assert!(lanes.is_at_rest() && lanes.len() == 2, "those behind it wait for it, and for nothing else");
    assert_eq!(lanes.unpark(|item| *item == 7), 0);
    assert_eq!(lanes.unpark(|item| *item == 1), 1);
    assert!(!lanes.is_at_rest());
    assert_eq!((lanes.next(now).unwrap().1, lanes.parked_len()), (1, 0));
}

#[test]
fn clearing_takes_what_does_not_run_and_leaves_the_rest_usable() {
    let (mut lanes, now) = (lanes(&[("a", 1), ("a", 2), ("b", 3), ("b", 4)]), Instant::now());
    let (running, _) = lanes.next(now).unwrap();
    let (waiting, item) = lanes.next(now).unwrap();
    lanes.again(waiting, item, now + SECOND);
    assert_eq!(lanes.clear(), [2, 3, 4]);
    assert!(lanes.is_empty() && lanes.wake_at().is_none());
    lanes.push(Some(key("a")), 5);
    assert!(lanes.next(now).is_none(), "the first of this key still runs");
    lanes.done(running);
    assert_eq!(lanes.next(now).unwrap().1, 5);
}

#[test]
fn keys_that_are_done_leave_nothing_behind() {
    let (mut lanes, now) = (Lanes::default(), Instant::now());
    for round in 0..1_000_u32 {
        lanes.push(Some(key(&round.to_string())), round);
        let (ticket, _) = lanes.next(now).unwrap();
        lanes.done(ticket);
    }
    assert!(lanes.by_key.is_empty());
    assert_eq!(lanes.slots.len(), 1);
}

#[derive(Debug, Clone)]
enum Action {
    Push(u8),
    Next,
    Done(usize),
    Again(usize, u64),
    Park(usize),
    Unpark,
    Evict(u32),
    Pass(u64),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (0_u8..5).prop_map(Action::Push),
        4 => Just(Action::Next),
        3 => any::<usize>().prop_map(Action::Done),
        1 => (any::<usize>(), 1_u64..50).prop_map(|(i, ms)| Action::Again(i, ms)),
        1 => any::<usize>().prop_map(Action::Park),
        1 => Just(Action::Unpark),
        1 => (0_u32..3).prop_map(Action::Evict),
        1 => (1_u64..100).prop_map(Action::Pass),
    ]
}

/// A plain model: per key a list of events in order; what runs, waits or is parked is always a head.
#[derive(Default)]
struct Model {
    queues: BTreeMap<u8, Vec<u32>>,
    not_ready: BTreeMap<u8, Option<Instant>>,
    running: Vec<(Ticket, u8, u32)>,
}

impl Model {
    fn started(&mut self, ticket: Ticket, item: u32, now: Instant) -> Result<(), TestCaseError> {
        let name = *self.queues.iter().find(|(_, queue)| queue.contains(&item)).unwrap().0;
        prop_assert_eq!(self.queues[&name][0], item, "the head of its key runs first");
        prop_assert!(self.running.iter().all(|(_, other, _)| *other != name), "one at a time per key");
        if let Some(until) = self.not_ready.remove(&name) {
            prop_assert!(until.is_some_and(|at| at <= now), "not before its time, and not while parked");
        }
        self.running.push((ticket, name, item));
        Ok(())
    }

    fn must_be_idle(&self, now: Instant) -> bool {
        let idle = |name: &u8| {
            self.running.iter().any(|(_, other, _)| other == name)
                || self.not_ready.get(name).is_some_and(|until| until.is_none_or(|at| at > now))
        };
        self.queues.iter().filter(|(_, queue)| !queue.is_empty()).all(|(name, _)| idle(name))
    }
}

proptest! {
    #[test]
    fn lanes_agree_with_a_plain_model(actions in proptest::collection::vec(action(), 1..300)) {
        let (mut lanes, mut model, mut now) = (Lanes::default(), Model::default(), Instant::now());
        for (item, action) in (0_u32..).zip(actions) {
            let pick = |i: usize, model: &mut Model| {
                (!model.running.is_empty()).then(|| model.running.swap_remove(i % model.running.len()))
            };
            match action {
                Action::Push(name) => {
                    lanes.push(Some(key(&name.to_string())), item);
                    model.queues.entry(name).or_default().push(item);
                }
                Action::Next => match lanes.next(now) {
                    Some((ticket, item)) => model.started(ticket, item, now)?,
                    None => prop_assert!(model.must_be_idle(now), "a key that may run was left standing"),
                },
                Action::Done(i) => if let Some((ticket, name, _)) = pick(i, &mut model) {
                    lanes.done(ticket);
                    model.queues.get_mut(&name).unwrap().remove(0);
                },
                Action::Again(i, ms) => if let Some((ticket, name, item)) = pick(i, &mut model) {
                    let at = now + Duration::from_millis(ms);
                    lanes.again(ticket, item, at);
                    model.not_ready.insert(name, Some(at));
                },
                Action::Park(i) => if let Some((ticket, name, item)) = pick(i, &mut model) {
                    lanes.park(ticket, item);
                    model.not_ready.insert(name, None);
                },
                Action::Unpark => {
                    lanes.unpark(|_| true);
                    model.not_ready.retain(|_, until| until.is_some());
                }
                Action::Evict(third) => {
                    let runs: Vec<u32> = model.running.iter().map(|(_, _, item)| *item).collect();
                    let gone = |item: &u32| *item % 3 == third && !runs.contains(item);
                    let mut expected = Vec::new();
                    for (name, queue) in &mut model.queues {
                        if queue.first().is_some_and(gone) {
                            model.not_ready.remove(name);
                        }
                        expected.extend(queue.extract_if(.., |item| gone(item)));
                    }
                    let mut taken = lanes.evict(|item| *item % 3 == third);
                    taken.sort_unstable();
                    expected.sort_unstable();
                    prop_assert_eq!(taken, expected);
                    prop_assert_eq!(lanes.parked_len(), model.not_ready.values().filter(|at| at.is_none()).count());
                }
                Action::Pass(ms) => now += Duration::from_millis(ms),
            }
            let held: usize = model.queues.values().map(Vec::len).sum();
            prop_assert_eq!(lanes.len(), held - model.running.len());
        }
    }
}

#[test]
fn what_is_picked_at_the_head_is_taken_and_what_is_given_back_comes_next_again() {
    let (mut lanes, now) = (lanes(&[("a", 1), ("a", 2), ("b", 3)]), Instant::now());
    assert!(lanes.next_if(now, |item| *item == 3).is_none(), "another stands before it");
    let (ticket, item) = lanes.next_if(now, |item| *item == 1).unwrap();
    assert_eq!(lanes.len(), 2);
    lanes.back(ticket, item);
    assert_eq!(lanes.len(), 3);
    assert_eq!(lanes.next(now).unwrap().1, 1);
    assert_eq!(lanes.next(now).unwrap().1, 3);
}
