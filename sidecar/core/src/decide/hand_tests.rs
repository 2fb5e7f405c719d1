use super::*;
use crate::{Code, Reason, Reply};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn name(id: &str) -> Arc<Mark> {
    let (receiver, target) = ("r".into(), "t".into());
    Arc::new(Mark { receiver, target, source: "/s".to_owned(), id: id.to_owned() })
}

const ONE: Option<Payload> = Some(Payload(1));
const TWO: Option<Payload> = Some(Payload(2));

fn rejected() -> Settlement {
    Settlement::Reject(Reason { code: Code::Exhausted, status: None, detail: String::new() })
}

fn replied() -> Settlement {
    Settlement::Ack(Some(Box::new(Reply { status: 201, ..Reply::default() })))
}

#[test]
fn one_leads_and_all_that_were_in_hand_end_as_it_did_however_late_they_come() {
    let mut hand = Hand::default();
    let places: Vec<_> = (0..3).map(|_| hand.enter(&name("a"))).collect();
    assert!(matches!(hand.come(places[0], ONE, true), Turn::Lead));
    assert!(matches!(hand.come(places[1], ONE, true), Turn::Follow));
    hand.follow(places[1], 'b');
    assert_eq!(hand.following(), 1);
    assert_eq!(hand.end(places[0], &replied(), true), ['b']);
    for (place, waits, status) in [(places[1], true, Some(201)), (places[2], false, None)] {
        let Turn::Over(Settlement::Ack(reply)) = hand.come(place, ONE, waits) else { panic!("it is over") };
        assert_eq!(reply.map(|reply| reply.status), status);
        hand.leave(place);
    }
    assert_eq!((hand.following(), hand.open.len(), hand.free.len()), (0, 0, 1));
}

#[test]
fn what_is_admitted_after_the_end_is_an_event_of_its_own() {
    let mut hand = Hand::<()>::default();
    let (first, second) = (hand.enter(&name("a")), hand.enter(&name("a")));
    assert!(matches!(hand.come(first, ONE, false), Turn::Lead));
    assert!(hand.end(first, &Settlement::Ack(None), true).is_empty());
    let third = hand.enter(&name("a"));
    assert!(matches!(hand.come(third, ONE, false), Turn::Lead));
    assert!(matches!(hand.come(second, ONE, false), Turn::Over(Settlement::Ack(None))));
}

#[test]
fn where_the_first_is_given_back_the_next_one_leads() {
    let mut hand = Hand::default();
    let (first, second) = (hand.enter(&name("a")), hand.enter(&name("a")));
    assert!(matches!(hand.come(first, ONE, false), Turn::Lead));
    hand.follow(second, 2);
    assert_eq!(hand.end(first, &Settlement::Release { after: None }, false), [2]);
    assert!(matches!(hand.come(second, ONE, false), Turn::Lead));
}

#[test]
fn a_rejection_is_for_callers_and_what_has_none_is_tried_itself() {
    let mut hand = Hand::<()>::default();
    let places: Vec<_> = (0..3).map(|_| hand.enter(&name("a"))).collect();
    assert!(matches!(hand.come(places[0], ONE, true), Turn::Lead));
    assert!(hand.end(places[0], &rejected(), false).is_empty());
    assert!(matches!(hand.come(places[1], ONE, true), Turn::Over(Settlement::Reject(_))));
    assert!(matches!(hand.come(places[2], ONE, false), Turn::Lead));
}

#[test]
fn what_is_parked_leads_nobody_and_what_had_its_name_goes_its_own_way() {
    let mut hand = Hand::default();
    let places: Vec<_> = (0..3).map(|_| hand.enter(&name("a"))).collect();
    assert!(matches!(hand.come(places[0], ONE, false), Turn::Lead));
    hand.follow(places[1], 'b');
    assert_eq!((hand.step_aside(places[0]), hand.following()), (vec!['b'], 0));
    for (place, payload) in [(places[1], ONE), (places[2], TWO), (hand.enter(&name("a")), ONE)] {
        assert!(matches!(hand.come(place, payload, false), Turn::Alone));
    }
    assert!(hand.end(places[0], &Settlement::Ack(None), true).is_empty());
    assert_eq!((hand.open.len(), hand.free.len()), (0, 1));
}

#[test]
fn row_26_what_follows_a_dead_letter_with_another_payload_is_tried_itself() {
    let mut hand = Hand::<()>::default();
    let places: Vec<_> = (0..3).map(|_| hand.enter(&name("a"))).collect();
    assert!(matches!(hand.come(places[0], ONE, false), Turn::Lead));
    assert!(hand.end(places[0], &Settlement::Ack(None), false).is_empty());
    assert!(matches!(hand.come(places[1], ONE, false), Turn::Over(Settlement::Ack(None))));
    assert!(matches!(hand.come(places[2], TWO, false), Turn::Lead));
}

#[test]
fn row_26_another_payload_neither_follows_nor_leads() {
    let mut hand = Hand::<()>::default();
    let places: Vec<_> = (0..4).map(|_| hand.enter(&name("a"))).collect();
    assert!(matches!(hand.come(places[0], ONE, false), Turn::Lead));
    assert!(matches!(hand.come(places[1], TWO, false), Turn::AnotherLeads));
    assert!(matches!(hand.come(places[2], None, false), Turn::Follow), "what is not compared is the same");
    assert!(hand.end(places[0], &Settlement::Ack(None), true).is_empty());
    assert!(matches!(hand.come(places[3], TWO, false), Turn::Another), "also when it is over");
}

#[test]
fn all_that_follow_can_be_taken_out() {
    let mut hand = Hand::default();
    let (lead, other) = (hand.enter(&name("a")), hand.enter(&name("a")));
    assert!(matches!(hand.come(lead, ONE, false), Turn::Lead));
    hand.follow(other, 'x');
    assert_eq!(hand.clear(), ['x']);
    assert!(hand.end(lead, &Settlement::Ack(None), true).is_empty());
    assert_eq!((hand.following(), hand.open.len(), hand.free.len()), (0, 0, 1));
}

/// One step with one of a few names: admit one more, or let the oldest that is not at work come, or end the leader.
#[derive(Debug, Clone)]
enum Do {
    Enter(u8),
    Come(u8),
    End(u8, u8),
}

fn steps() -> impl Strategy<Value = Vec<Do>> {
    let one = prop_oneof![
        (0..3_u8).prop_map(Do::Enter),
        (0..3_u8).prop_map(Do::Come),
        (0..3_u8, 0..3_u8).prop_map(|(name, how)| Do::End(name, how)),
    ];
    proptest::collection::vec(one, 0..200)
}

proptest! {
    /// However events come and end: of one group one leads at most, nobody is forgotten, and in the end nothing is left.
    #[test]
    fn nobody_leads_beside_another_and_nobody_is_forgotten(steps in steps()) {
        let mut hand = Hand::default();
        let mut at_head: BTreeMap<u8, Vec<(u64, Place)>> = BTreeMap::new();
        let mut leads: BTreeMap<u8, Vec<(u64, Place)>> = BTreeMap::new();
        let (mut next, mut entered, mut ended) = (0, 0, 0);
        let rest = (0..3_000_u32).flat_map(|n| { let n = (n % 3) as u8; [Do::Come(n), Do::End(n, 0)] });
        for step in steps.into_iter().chain(rest) {
            match step {
                Do::Enter(n) => {
                    let place = hand.enter(&name(&n.to_string()));
                    at_head.entry(n).or_default().push((next, place));
                    (next, entered) = (next + 1, entered + 1);
                }
                Do::Come(n) => {
                    let waiting = at_head.entry(n).or_default();
                    if waiting.is_empty() { continue }
                    let (id, place) = waiting.remove(0);
                    match hand.come(place, None, id % 2 == 0) {
                        Turn::Lead => {
                            let leading = leads.entry(n).or_default();
                            prop_assert!(leading.iter().all(|(_, other)| *other != place));
                            leading.push((id, place));
                        }
                        Turn::Follow => hand.follow(place, (n, id, place)),
                        Turn::Over(_) => {
                            hand.leave(place);
                            ended += 1;
                        }
                        Turn::Another | Turn::AnotherLeads => prop_assert!(false, "nothing is compared"),
                        Turn::Alone => prop_assert!(false, "nobody is parked"),
                    }
                }
                Do::End(n, how) => {
                    let Some((_, place)) = leads.entry(n).or_default().pop() else { continue };
                    let settlement = match how {
                        0 => Settlement::Ack(None),
                        1 => rejected(),
                        _ => Settlement::Release { after: None },
                    };
                    for (n, id, place) in hand.end(place, &settlement, true) {
                        at_head.entry(n).or_default().push((id, place));
                    }
                    ended += 1;
                }
            }
        }
        prop_assert_eq!(ended, entered);
        prop_assert_eq!((hand.following(), hand.open.len()), (0, 0));
        prop_assert_eq!(hand.free.len(), hand.groups.len());
    }
}
