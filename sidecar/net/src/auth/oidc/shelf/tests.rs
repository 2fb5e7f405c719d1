use super::*;
use outrigger_testkit::SigningKey;
use serde_json::json;

/// Times in seconds from a start, and a shelf that is asked at them.
struct Story {
    shelf: Shelf,
    start: Instant,
    settings: Settings,
}

fn settings() -> Settings {
    Settings {
        issuer: "https://id.example".to_owned(),
        audiences: vec!["me".to_owned()],
        algorithms: vec![Algorithm::ES256],
        leeway: Duration::from_secs(30),
        keys_url: None,
        ca_file: None,
        refresh_every: Duration::from_hours(1),
        refresh_min: Duration::from_secs(10),
        keys_age_max: Duration::from_hours(24),
        timeout: Duration::from_secs(5),
        answer_bytes_max: 1 << 18,
        tokens_max: 10,
        proxies: crate::client::Proxies::default(),
    }
}

fn keys(names: &[&str]) -> Keys {
    let jwks: Vec<_> = names.iter().map(|name| SigningKey::p256(name).jwk()).collect();
    Keys::read(json!({"keys": jwks}).to_string().as_bytes(), &[Algorithm::ES256]).unwrap().0
}

impl Story {
    fn new() -> Self {
        Self { shelf: Shelf::default(), start: Instant::now(), settings: settings() }
    }

    fn at(&self, second: u64) -> Instant {
        self.start + Duration::from_secs(second)
    }

    /// What a look comes to: a word, with the seconds that follow it where there are any.
    fn look(&mut self, id: &str, second: u64, since: Option<u64>) -> String {
        let (now, since) = (self.at(second), since.map(|second| self.at(second)));
        match self.shelf.look((Some(id), Algorithm::ES256), now, since, &self.settings) {
            Look::Found(_) => "found".to_owned(),
            Look::Ask(at) => format!("ask {}", (at - self.start).as_secs()),
            Look::Wait(at) => format!("wait {}", (at - self.start).as_secs()),
            Look::Denied(denial) => match denial.retry_after {
                Some(wait) => format!("{} {}", denial.why.name(), wait.as_secs()),
                None => denial.why.name().to_owned(),
            },
        }
    }

    fn put(&mut self, names: &[&str], second: u64) -> Change {
        self.shelf.put(keys(names), self.at(second))
    }

    fn fail(&mut self, second: u64) -> Failure {
        self.shelf.fail("down", self.at(second), &self.settings)
    }
}

#[test]
fn before_the_first_fetch_a_token_waits_and_after_its_failure_it_is_unavailable() {
    let mut story = Story::new();
    assert_eq!(story.look("a", 0, None), "wait 0");
    let failure = story.fail(0);
    assert_eq!(failure, Failure { is_new: true, has_keys: false, wait: Duration::from_secs(1) });
    assert_eq!(story.look("a", 1, Some(0)), "unavailable 1");
    story.put(&["a"], 2);
    assert_eq!(story.look("a", 2, None), "found");
}

#[test]
fn an_unknown_key_asks_at_once_and_then_once_in_a_while() {
    let mut story = Story::new();
    story.put(&["a"], 0);
    assert_eq!(story.look("x", 1, None), "ask 1");
    assert_eq!(story.look("y", 2, None), "wait 2", "the fetch that was asked for has not ended");
    story.put(&["a"], 1);
    assert_eq!(story.look("x", 3, Some(1)), "key", "it began after the token was here");
    assert_eq!(story.look("y", 3, Some(2)), "key_unsettled 8", "it began before the token was here");
    assert_eq!(story.look("x", 4, None), "key", "what is known to be absent stays so");
    assert_eq!(story.look("z", 10, None), "key_unsettled 1");
    assert_eq!(story.look("z", 11, None), "ask 11");
}

#[test]
fn a_key_that_comes_with_the_fetch_is_found_by_all_who_wait() {
    let mut story = Story::new();
    story.put(&["a"], 0);
    assert_eq!(
        (story.look("b", 1, None), story.look("b", 2, None)),
        ("ask 1".to_owned(), "wait 2".to_owned())
    );
    let change = story.put(&["a2", "b"], 1);
    assert_eq!(change, Change { again: false, keys: Some(2), gone: true });
    assert_eq!(
        (story.look("b", 3, Some(1)), story.look("b", 3, Some(2))),
        ("found".to_owned(), "found".to_owned())
    );
}

#[test]
fn a_fetch_that_ran_already_is_not_the_one_that_was_asked_for() {
    let mut story = Story::new();
    story.put(&["a"], 0);
    // One that began at 3600, when the token came at 3601, ends now.
    assert_eq!(story.look("b", 3601, None), "ask 3601");
    story.put(&["a"], 3600);
    assert_eq!(story.look("b", 3602, Some(3601)), "wait 3601");
    story.put(&["a"], 3602);
    assert_eq!(story.look("b", 3603, Some(3601)), "key");
}

#[test]
fn row_35_during_an_outage_known_keys_work_and_unknown_ones_are_unavailable() {
    let mut story = Story::new();
    story.put(&["a"], 0);
    let failure = story.fail(3600);
    assert!(failure.is_new && failure.has_keys);
    assert_eq!(story.look("a", 3601, None), "found");
    assert_eq!(story.look("b", 3601, None), "unavailable 1");
    let again = story.fail(3602);
    assert!(!again.is_new, "the same failure is said once");
    assert_eq!(story.look("a", 24 * 3600, None), "found");
    assert_eq!(
        story.look("a", 24 * 3600 + 1, None),
        "unavailable 2",
        "keys that are too old are believed no more"
    );
    let change = story.put(&["a"], 24 * 3600 + 2);
    assert!(change.again);
    assert_eq!(story.look("a", 24 * 3600 + 3, None), "found");
}

#[test]
fn failures_are_tried_again_at_a_growing_distance_and_a_success_ends_that() {
    let mut story = Story::new();
    let waits: Vec<_> = (0..8).map(|second| story.fail(second).wait.as_secs()).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
    story.put(&["a"], 9);
    assert_eq!(story.fail(10).wait.as_secs(), 1);
}

#[test]
fn the_same_keys_again_are_no_change() {
    let mut story = Story::new();
    let set = keys(&["a", "b"]);
    assert_eq!(
        story.shelf.put(set.clone(), story.at(0)),
        Change { again: false, keys: Some(2), gone: false }
    );
    assert_eq!(story.shelf.put(set, story.at(1)), Change { again: false, keys: None, gone: false });
}

#[test]
fn how_many_absent_keys_are_remembered_is_bounded() {
    let mut story = Story::new();
    story.put(&["a"], 0);
    for number in 0..200 {
        let second = 10 * number + 1;
        assert_eq!(story.look(&format!("x{number}"), second, None), format!("ask {second}"));
        // The issuer answers, and what was absent before is asked for anew.
        story.shelf.began = Some(story.at(second));
        assert_eq!(story.look(&format!("x{number}"), second, Some(second)), "key");
    }
    assert_eq!(story.shelf.absent.len(), ABSENT_MAX);
}
