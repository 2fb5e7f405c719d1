use super::*;
use proptest::prelude::*;
use std::{collections::HashMap, sync::Arc};

fn store(bytes_max: u64) -> Store<Arc<str>> {
    Store::seeded(bytes_max, 7)
}

#[test]
fn what_is_kept_is_found_and_what_is_removed_is_gone() {
    let store = store(1 << 20);
    assert!(store.is_empty() && store.bytes() == 0);
    store.insert("a", Arc::from("first"), 100);
    store.insert("b", Arc::from("other"), 100);
    store.insert("a".to_owned(), Arc::from("second"), 100);
    assert_eq!(store.get("a").as_deref(), Some("second"));
    assert_eq!(store.peek("a"), store.get("a"));
    assert_eq!((store.len(), store.evicted()), (2, 0));
    assert_eq!(store.remove("a").as_deref(), Some("second"));
    assert_eq!((store.get("a"), store.remove("a")), (None, None));
    assert_eq!(store.get("b").as_deref(), Some("other"));
}

#[test]
fn what_does_not_stay_is_counted() {
    let store = store(1 << 20);
    for number in 0..100 {
        store.insert(format!("{}/{number}", number % 4), Arc::from("value"), 10);
    }
    assert_eq!(store.retain(|key, value| !key.starts_with("3/") && &**value == "value"), 25);
    assert_eq!((store.len(), store.get("3/3"), store.retain(|_, _| true)), (75, None, 0));
    assert!(
        (0..100).filter(|number| number % 4 != 3).all(|n| store.get(&format!("{}/{n}", n % 4)).is_some())
    );
}

#[test]
fn a_value_that_is_heavier_than_the_bound_is_not_kept_and_its_key_has_none() {
    let store = store(100_000);
    store.insert("small", Arc::from("small"), 10);
    store.insert("a", Arc::from("old"), 10);
    store.insert("a", Arc::from("new"), 100_000);
    assert_eq!(store.get("a"), None);
    assert_eq!(store.get("small").as_deref(), Some("small"));
    assert_eq!(store.evicted(), 1);
    // Where not even one entry has room, nothing is kept, and no memory held for it.
    let tiny = Store::seeded(1_000, 7);
    tiny.insert("a", "value", 0);
    assert_eq!((tiny.get("a"), tiny.bytes()), (None, 0));
}

#[test]
fn many_light_values_are_kept_up_to_the_bound() {
    let store = store(200_000);
    for number in 0..20_000 {
        store.insert(number.to_string(), Arc::from(""), 0);
        assert!(store.bytes() <= 200_000);
    }
    assert!(store.len() > 1_000 && store.bytes() > 150_000, "{store:?}");
}

#[test]
fn a_second_look_makes_nothing_more_useful() {
    let kept = |look: fn(&Store<Arc<str>>)| {
        let store = store(50_000);
        store.insert("old", Arc::from("value"), 5_000);
        for number in 0..20 {
            look(&store);
            store.insert(format!("key {number}"), Arc::from("value"), 5_000);
        }
        store.peek("old").is_some()
    };
    assert!(!kept(|store| _ = store.peek("old")));
    assert!(kept(|store| _ = store.get("old")));
}

#[test]
fn it_is_dropped_what_goes() {
    let store = Store::seeded(50_000, 7);
    let value = Arc::new(());
    for number in 0..2_000 {
        store.insert(format!("key {number}"), Arc::clone(&value), 100);
    }
    assert!(store.evicted() > 1_000);
    assert_eq!(Arc::strong_count(&value), 1 + store.len());
    drop(store);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[derive(Debug, Clone)]
enum Step {
    Get(u8),
    Insert(u8, u16),
    Remove(u8),
    Retain(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any::<u8>().prop_map(Step::Get),
        6 => (any::<u8>(), 0..4_000_u16).prop_map(|(key, weight)| Step::Insert(key, weight)),
        1 => any::<u8>().prop_map(Step::Remove),
        1 => (0..8_u8).prop_map(Step::Retain),
    ]
}

proptest! {
    /// Against a map that forgets nothing: what the store has is what the map has, and its bytes are within the bound.
    #[test]
    fn it_never_has_an_older_value_a_removed_one_or_more_than_its_bound(
        bytes_max in 4_000..200_000_u64,
        steps in prop::collection::vec(step(), 1..600),
    ) {
        let store = Store::seeded(bytes_max, 7);
        let mut all = HashMap::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Get(key) => {
                    let found = store.get(&key.to_string());
                    prop_assert!(found.is_none() || found == all.get(&key).copied(), "{key}: {found:?}");
                }
                Step::Insert(key, weight) => {
                    all.insert(key, number);
                    store.insert(key.to_string(), number, u64::from(weight));
                }
                Step::Remove(key) => {
                    let found = store.remove(&key.to_string());
                    prop_assert!(found.is_none() || found == all.get(&key).copied());
                    all.remove(&key);
                }
                Step::Retain(part) => {
                    let before = store.len() as u64;
                    let gone = store.retain(|key, _| key.parse::<u8>().is_ok_and(|key| key % 8 != part));
                    prop_assert_eq!(before - gone, store.len() as u64);
                    all.retain(|key, _| key % 8 != part);
                }
            }
            prop_assert!(store.bytes() <= bytes_max, "{} of {bytes_max}", store.bytes());
            prop_assert!(store.len() <= all.len());
        }
        // Every list and the table agree about what is there.
        let mut seen = 0;
        store.retain(|key, value| {
            seen += 1;
            all.get(&key.parse().unwrap()) == Some(value)
        });
        prop_assert_eq!(seen, store.len());
        for key in all.keys() {
            store.remove(&key.to_string());
        }
        prop_assert!(store.is_empty());
    }
}
