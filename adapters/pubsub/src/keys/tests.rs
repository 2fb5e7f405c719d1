use super::*;

fn key(name: &str) -> KeyName {
    Arc::new((0, name.to_owned()))
}

fn id(number: u64) -> Arc<str> {
    number.to_string().into()
}

/// A key of which the messages 1 to `count` are in hand, by tokens of the same numbers.
fn in_hand(count: u64, now: Instant) -> (Keys, KeyName) {
    let (mut keys, key) = (Keys::default(), key("k"));
    for token in 1..=count {
        assert!(keys.come(&key, token, &id(token), now));
    }
    (keys, key)
}

#[tokio::test]
async fn those_behind_one_that_goes_back_are_stale_and_those_before_it_are_not() {
    let now = Instant::now();
    let (mut keys, key) = in_hand(4, now);
    assert!(keys.gone(&key, 2, &id(2), now));
    assert_eq!([1, 3, 4].map(|token| keys.wanted(&key, token)), [true, false, false]);
    assert!(!keys.gone(&key, 3, &id(3), now), "it was stale: nothing new is");
    keys.done(&key, 1);
}

#[tokio::test]
async fn what_comes_before_the_one_that_went_back_is_here_again_is_handed_back() {
    let now = Instant::now();
    let (mut keys, key) = in_hand(1, now);
    assert!(!keys.gone(&key, 1, &id(1), now));
    assert!(!keys.come(&key, 2, "2", now), "it was on its way");
    assert!(keys.come(&key, 3, "1", now));
    assert!(keys.come(&key, 4, "2", now));
    assert!(keys.wanted(&key, 4));
}

#[tokio::test]
async fn a_key_does_not_wait_for_ever_for_a_message_that_never_comes_again() {
    let now = Instant::now();
    let (mut keys, key) = in_hand(1, now);
    keys.gone(&key, 1, &id(1), now);
    assert!(!keys.come(&key, 2, "2", now + TAIL_MAX - Duration::from_millis(1)));
    assert!(keys.come(&key, 3, "2", now + TAIL_MAX));
}

#[tokio::test]
async fn of_several_that_go_back_the_earliest_is_waited_for() {
    let now = Instant::now();
    let (mut keys, key) = in_hand(2, now);
    keys.gone(&key, 2, &id(2), now);
    keys.gone(&key, 1, &id(1), now);
    assert!(!keys.come(&key, 3, "2", now));
    assert!(keys.come(&key, 4, "1", now));
    assert!(keys.come(&key, 5, "2", now));
}

#[tokio::test]
async fn keys_do_not_know_each_other_and_are_forgotten() {
    let now = Instant::now();
    let (mut keys, first) = in_hand(1, now);
    let second = key("other");
    keys.gone(&first, 1, &id(1), now);
    assert!(keys.come(&second, 2, "2", now));
    keys.done(&second, 2);
    assert_eq!(keys.len(), 1);
    keys.tidy(now + TAIL_MAX);
    assert_eq!(keys.len(), 0);
}
