//! Locks under every course of events, and against what must always hold of them.

use super::*;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn rules() -> Rules {
    Rules {
        lock: 60 * SECOND,
        hold_max: 3300 * SECOND,
        hold_delay: Delay::Hour,
        release_delay: Delay::None,
        tell_every: SECOND,
        tell_events_max: 3,
    }
}

fn locks() -> (Locks, Instant) {
    (Locks::new(rules()), Instant::now())
}

fn ids(batch: &Batch) -> Vec<u64> {
    batch.iter().map(|(id, _)| *id).collect()
}

fn done(locks: &mut Locks, now: Instant) {
    let (verb, batch) = locks.batch(now, false).unwrap();
    let fates = vec![Fate::Done; batch.len()];
    locks.told(verb, batch, fates, now);
}

#[test]
fn outcomes_wait_for_others_and_no_longer_than_allowed() {
    let (mut locks, now) = locks();
    let all: Vec<u64> = (0..4).map(|n| locks.take(format!("t{n}").into(), 1, now)).collect();
    assert!(locks.decide(all[0], Outcome::Done, now));
    assert!(!locks.decide(all[1], Outcome::Done, now));
    assert_eq!(locks.batch(now, false), None);
    assert_eq!(locks.batch_due(false), Some(now + SECOND));
    assert!(locks.decide(all[2], Outcome::Done, now), "a full batch need not wait");
    assert_eq!(ids(&locks.batch(now, false).unwrap().1), all[..3]);
    locks.decide(all[3], Outcome::Done, now);
    assert_eq!(locks.batch(now, false), None);
    assert_eq!(ids(&locks.batch(now, true).unwrap().1), all[3..], "a close waits for nobody");
}

#[test]
fn each_delay_and_verb_is_told_by_itself() {
    let (mut locks, now) = locks();
    let id = |locks: &mut Locks| locks.take("t".into(), 2, now);
    for outcome in [
        Outcome::Again(None),
        Outcome::Again(Some(3 * SECOND)),
        Outcome::Rejected,
        Outcome::Done,
        Outcome::Again(Some(2 * SECOND)),
    ] {
        let id = id(&mut locks);
        locks.decide(id, outcome, now);
    }
    let told: Vec<_> =
        std::iter::from_fn(|| locks.batch(now, true)).map(|(verb, batch)| (verb, ids(&batch))).collect();
    assert_eq!(
        told,
        [
            (Verb::Release(Delay::None), vec![0]),
            (Verb::Release(Delay::TenSeconds), vec![1, 4]),
            (Verb::Reject, vec![2]),
            (Verb::Acknowledge, vec![3]),
        ]
    );
    assert_eq!(locks.counts.redelivered, 5);
}

#[test]
fn a_200_takes_only_what_it_names_and_the_rest_is_told_again_later() {
    let (mut locks, now) = locks();
    for n in 0..3 {
        let id = locks.take(format!("t{n}").into(), 1, now);
        locks.decide(id, Outcome::Done, now);
    }
    let (verb, batch) = locks.batch(now, false).unwrap();
    let later = now + 5 * SECOND;
    locks.told(verb, batch, vec![Fate::Done, Fate::Lost("TokenLost".to_owned()), Fate::Again], later);
    assert_eq!((locks.counts.acknowledged, locks.counts.lost, locks.len()), (1, 1, 1));
    assert_eq!(locks.batch(now, true), None);
    assert_eq!(locks.batch_due(false), Some(later + SECOND));
    assert_eq!(ids(&locks.batch(later, true).unwrap().1), [2]);
}

#[test]
fn a_lock_is_renewed_from_its_half_on_until_its_outcome_is_taken() {
    let (mut locks, now) = locks();
    let id = locks.take("t".into(), 1, now);
    assert!(locks.renewals(now + 29 * SECOND).is_empty());
    let half = now + 30 * SECOND;
    let renewals = locks.renewals(half);
    assert_eq!(ids(&renewals), [id]);
    locks.renewed(renewals, vec![Fate::Done], half);
    assert!(locks.renewals(half + 29 * SECOND).is_empty());
    assert!(!locks.look(now + 89 * SECOND));
    // Decided, and not taken yet: the lock must still hold when the service hears of it.
    locks.decide(id, Outcome::Done, half + 29 * SECOND);
    assert_eq!(locks.renewals(half + 30 * SECOND).len(), 1);
    done(&mut locks, half + 30 * SECOND);
    assert!(locks.renewals(half + 31 * SECOND).is_empty());
    assert_eq!((locks.counts.renewed, locks.counts.acknowledged, locks.counts.lost), (1, 1, 0));
}

#[test]
fn a_lock_that_ended_is_a_duplicate_to_come_and_its_late_outcome_counts_for_nothing() {
    let (mut locks, now) = locks();
    let [by_clock, by_word] = ["a", "b"].map(|token| locks.take(token.into(), 1, now));
    let half = now + 30 * SECOND;
    locks.renewed(vec![(by_word, "b".into())], vec![Fate::Lost("TokenLost".to_owned())], half);
    assert!(!locks.is_wanted(by_word) && locks.is_wanted(by_clock));
    assert!(locks.look(now + 60 * SECOND));
    assert!(!locks.is_wanted(by_clock));
    for id in [by_clock, by_word] {
        assert!(!locks.decide(id, Outcome::Done, now + 61 * SECOND));
    }
    assert_eq!(locks.batch(now + 100 * SECOND, true), None);
    assert_eq!((locks.counts.lost, locks.counts.late, locks.len()), (2, 2, 0));
}

#[test]
fn a_renewal_that_could_not_be_asked_for_is_asked_for_again_while_the_lock_holds() {
    let (mut locks, now) = locks();
    let id = locks.take("t".into(), 1, now);
    let batch = locks.renewals(now + 31 * SECOND);
    locks.renewed(batch, vec![Fate::Again], now + 31 * SECOND);
    assert_eq!(ids(&locks.renewals(now + 40 * SECOND)), [id]);
    assert!(locks.renewals(now + 60 * SECOND).is_empty());
}

#[test]
fn what_was_held_too_long_is_begun_by_nobody_and_goes_back_for_the_longest_time() {
    let (mut locks, now) = locks();
    let [waits, runs] = ["a", "b"].map(|token| locks.take(token.into(), 1, now));
    let mut time = now;
    while time < now + 3270 * SECOND {
        time += 30 * SECOND;
        let batch = locks.renewals(time);
        let fates = vec![Fate::Done; batch.len()];
        locks.renewed(batch, fates, time);
        assert!(!locks.look(time));
    }
    time = now + 3300 * SECOND;
    assert!(locks.look(time));
    assert!(!locks.is_wanted(waits));
    assert!(!locks.look(time), "it is said once");
    locks.decide(waits, Outcome::Again(None), time);
    locks.decide(runs, Outcome::Done, time);
    let told: Vec<_> = std::iter::from_fn(|| locks.batch(time, true)).map(|(verb, _)| verb).collect();
    assert_eq!(told, [Verb::Release(Delay::Hour), Verb::Acknowledge]);
    assert_eq!((locks.counts.given_back, locks.counts.lost), (2, 0));
}

#[derive(Debug, Clone)]
enum Step {
    Take,
    Decide(usize, bool),
    Tell(Vec<u8>),
    Fail,
    Renew(u8),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Take),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(n, done)| Step::Decide(n, done)),
        2 => proptest::collection::vec(0..3_u8, 3).prop_map(Step::Tell),
        1 => Just(Step::Fail),
        2 => (0..3_u8).prop_map(Step::Renew),
        2 => (0..40_u64).prop_map(Step::Wait),
    ]
}

fn fate(number: u8) -> Fate {
    match number {
        0 => Fate::Done,
        1 => Fate::Lost(String::new()),
        _ => Fate::Again,
    }
}

proptest! {
    /// Every event ends once: taken by the service, or lost. Nothing is told of one whose lock is gone.
    #[test]
    fn nothing_in_hand_is_forgotten_or_told_twice(steps in proptest::collection::vec(step(), 1..80)) {
        let (mut locks, mut now) = locks();
        let mut undecided = Vec::new();
        for step in steps {
            match step {
                Step::Take => undecided.push(locks.take("t".into(), 1, now)),
                Step::Decide(n, ok) if !undecided.is_empty() => {
                    let id = undecided.swap_remove(n % undecided.len());
                    locks.decide(id, if ok { Outcome::Done } else { Outcome::Again(None) }, now);
                }
                Step::Decide(..) => {}
                Step::Tell(fates) => if let Some((verb, batch)) = locks.batch(now, false) {
                    prop_assert!(batch.len() <= 3);
                    let fates = batch.iter().zip(fates.iter().cycle()).map(|(_, n)| fate(*n)).collect();
                    locks.told(verb, batch, fates, now + SECOND);
                },
                Step::Fail => if let Some((verb, batch)) = locks.batch(now, false) {
                    locks.put_back(verb, batch, now + SECOND);
                },
                Step::Renew(number) => {
                    let batch = locks.renewals(now);
                    let fates = vec![fate(number); batch.len()];
                    locks.renewed(batch, fates, now);
                }
                Step::Wait(seconds) => now += Duration::from_secs(seconds),
            }
            locks.look(now);
            let Counts { received, acknowledged, released, rejected, lost, .. } = locks.counts;
            prop_assert_eq!(received, acknowledged + released + rejected + lost + locks.len() as u64);
        }
        // At the end everything that is decided and still held can be told.
        now += 2 * SECOND;
        locks.look(now);
        for id in undecided {
            locks.decide(id, Outcome::Done, now);
        }
        while let Some((verb, batch)) = locks.batch(now, true) {
            let fates = vec![Fate::Done; batch.len()];
            locks.told(verb, batch, fates, now);
        }
        prop_assert_eq!(locks.len(), 0);
    }
}
