use super::*;
use crate::Code;

#[derive(Default)]
struct Recorder(Mutex<Vec<(u64, Settlement)>>, Mutex<Vec<u32>>, Mutex<Vec<String>>);

impl Settler for Recorder {
    fn settle(&self, token: u64, settlement: Settlement) {
        self.0.lock().unwrap().push((token, settlement));
    }

    fn attempted(&self, _token: u64, attempts: u32) {
        self.1.lock().unwrap().push(attempts);
    }

    fn became(&self, token: u64, place: &Arc<str>, fate: Fate, attempts: u32) {
        self.2.lock().unwrap().push(format!("{token} {place} {fate} {attempts}"));
    }
}

impl Recorder {
    fn told(&self) -> Vec<String> {
        let told = self.0.lock().unwrap();
        told.iter().map(|(token, settlement)| format!("{token} {}", short(settlement))).collect()
    }
}

fn short(settlement: &Settlement) -> String {
    match settlement {
        Settlement::Ack(reply) => format!("ack {:?}", reply.as_ref().map(|r| r.status)),
        Settlement::Release { after } => format!("release {after:?}"),
        Settlement::Reject(reason) => format!("reject {}", reason.detail),
    }
}

fn ack(status: u16) -> Settlement {
    Settlement::Ack(Some(Box::new(Reply { status, ..Reply::default() })))
}

fn reject(detail: &str) -> Settlement {
    Settlement::Reject(Reason { code: Code::Refused, status: Some(400), detail: detail.into() })
}

fn targets(names: &[&str]) -> Vec<TargetId> {
    names.iter().map(|name| TargetId((*name).into())).collect()
}

fn split_in_three() -> (Arc<Recorder>, Vec<Receipt>) {
    let recorder = Arc::new(Recorder::default());
    let targets = targets(&["function", "audit", "archive"]);
    let parent = Receipt::new(recorder.clone(), 7);
    (recorder, parent.split(&targets, Some(&targets[1])))
}

#[test]
fn a_dropped_receipt_releases_exactly_once() {
    let recorder = Arc::new(Recorder::default());
    drop(Receipt::new(recorder.clone(), 1));
    Receipt::new(recorder.clone(), 2).settle(Settlement::Ack(None));
    assert_eq!(recorder.told(), ["1 release None", "2 ack None"]);
}

#[test]
fn a_split_acks_once_all_targets_have_and_not_before() {
    let (recorder, mut children) = split_in_three();
    children.pop().unwrap().settle(Settlement::Ack(None));
    children.pop().unwrap().settle(Settlement::Ack(None));
    assert!(recorder.told().is_empty());
    children.pop().unwrap().settle(Settlement::Ack(None));
    assert_eq!(recorder.told(), ["7 ack None"]);
}

#[test]
fn only_the_reply_of_the_reply_target_reaches_the_parent() {
    let (recorder, children) = split_in_three();
    for (child, status) in children.into_iter().zip([200, 201, 203]) {
        child.settle(ack(status));
    }
    assert_eq!(recorder.told(), ["7 ack Some(201)"]);
}

#[test]
fn any_release_releases_the_parent_after_all_are_done_with_the_longest_wait() {
    let (recorder, children) = split_in_three();
    let [one, two, three] = <[Receipt; 3]>::try_from(children).unwrap();
    one.settle(Settlement::Release { after: Some(Duration::from_secs(2)) });
    two.settle(Settlement::Release { after: Some(Duration::from_secs(1)) });
    assert!(recorder.told().is_empty(), "a sibling is still at work");
    three.settle(Settlement::Ack(None));
    assert_eq!(recorder.told(), ["7 release Some(2s)"]);
}

#[test]
fn a_child_that_is_dropped_releases_the_parent() {
    let (recorder, mut children) = split_in_three();
    drop(children.remove(0));
    for child in children {
        child.settle(Settlement::Ack(None));
    }
    assert_eq!(recorder.told(), ["7 release None"]);
}

#[test]
fn a_reject_wins_over_acks_with_the_reply_targets_reason_and_loses_to_a_release() {
    let (recorder, mut children) = split_in_three();
    children.remove(0).settle(reject("first"));
    children.remove(0).settle(reject("second"));
    children.remove(0).settle(Settlement::Ack(None));
    let (other, mut children) = split_in_three();
    children.remove(0).settle(reject("first"));
    drop(children);
    assert_eq!(
        (recorder.told(), other.told()),
        (vec!["7 reject second".into()], vec!["7 release None".into()]),
        "the second is the reply target's"
    );
}

#[test]
fn a_split_without_targets_releases_because_nothing_has_the_event() {
    let recorder = Arc::new(Recorder::default());
    assert!(Receipt::new(recorder.clone(), 3).split(&[], None).is_empty());
    assert_eq!(recorder.told(), ["3 release None"]);
}

#[test]
fn a_split_of_a_split_settles_the_root_last() {
    let recorder = Arc::new(Recorder::default());
    let names = targets(&["a", "b"]);
    let mut outer = Receipt::new(recorder.clone(), 1).split(&names, Some(&names[0]));
    let inner = outer.remove(0).split(&names, Some(&names[1]));
    outer.remove(0).settle(Settlement::Ack(None));
    for child in inner {
        child.settle(ack(200));
    }
    assert_eq!(recorder.told(), ["1 ack Some(200)"]);
}

#[tokio::test]
async fn a_batch_answers_in_the_order_of_its_members_however_they_finish() {
    let (mut receipts, outcome) = Receipt::batch(3);
    receipts.pop().unwrap().settle(reject("third"));
    receipts.remove(0).settle(ack(200));
    drop(receipts);
    let told: Vec<_> = outcome.await.iter().map(short).collect();
    assert_eq!(told, ["ack Some(200)", "release None", "reject third"]);
}

#[tokio::test]
async fn an_empty_batch_is_done_at_once() {
    let (receipts, outcome) = Receipt::batch(0);
    assert!(receipts.is_empty() && outcome.await.is_empty());
}

#[test]
fn members_of_a_batch_are_unwanted_once_its_caller_is_gone() {
    let (receipts, outcome) = Receipt::batch(2);
    assert!(receipts[0].wanted());
    drop(outcome);
    assert!(!receipts[0].wanted());
}

#[test]
fn a_split_member_of_a_batch_settles_its_place() {
    let (mut receipts, outcome) = Receipt::batch(1);
    let names = targets(&["a", "b"]);
    for child in receipts.remove(0).split(&names, None) {
        assert!(child.wanted());
        child.settle(Settlement::Ack(None));
    }
    let told = futures_util::FutureExt::now_or_never(outcome).unwrap();
    assert!(matches!(told[..], [Settlement::Ack(None)]));
}

#[test]
fn the_source_of_a_split_is_told_the_least_attempts_of_those_that_are_not_settled() {
    let (recorder, mut children) = split_in_three();
    children[0].attempted(3);
    children[1].attempted(1);
    children[2].attempted(2);
    children.remove(1).settle(Settlement::Ack(None));
    children[0].attempted(4);
    assert_eq!(*recorder.1.lock().unwrap(), [0, 0, 1, 2]);
}

#[test]
fn the_source_of_a_split_is_told_what_became_of_it_at_each_target() {
    let (recorder, children) = split_in_three();
    children[0].became(&"a".into(), Fate::Delivered, 1);
    children[1].became(&"b".into(), Fate::Dead(Code::Exhausted), 5);
    assert_eq!(*recorder.2.lock().unwrap(), ["7 a delivered 1", "7 b dead-letter:exhausted 5"]);
}

proptest::proptest! {
    /// However its children end, a parent is settled once, when all have ended, and acknowledged only if all were.
    #[test]
    fn a_split_settles_its_parent_once_and_acks_only_what_all_have(ends in proptest::collection::vec(0_u8..4, 0..8)) {
        let recorder = Arc::new(Recorder::default());
        let names: Vec<_> = (0..ends.len()).map(|i| TargetId(format!("t{i}").into())).collect();
        let children = Receipt::new(recorder.clone(), 1).split(&names, names.last());
        let last = ends.len().saturating_sub(1);
        for (i, (child, end)) in children.into_iter().zip(&ends).enumerate() {
            proptest::prop_assert!(recorder.told().is_empty(), "{} of {} are open", ends.len() - i, ends.len());
            match end {
                0 => child.settle(ack(200 + u16::try_from(i).unwrap())),
                1 => child.settle(Settlement::Release { after: None }),
                2 => child.settle(reject(&i.to_string())),
                _ => drop(child),
            }
        }
        let rejected: Vec<_> = (0..ends.len()).filter(|i| ends[*i] == 2).collect();
        let expected = if ends.is_empty() || ends.iter().any(|end| matches!(end, 1 | 3)) {
            "1 release None".to_owned()
        } else if let Some(first) = rejected.first() {
            format!("1 reject {}", if rejected.contains(&last) { last } else { *first })
        } else {
            format!("1 ack Some({})", 200 + last)
        };
        proptest::prop_assert_eq!(recorder.told(), [expected]);
    }
}
