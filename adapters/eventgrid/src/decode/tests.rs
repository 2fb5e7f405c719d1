//! Answers as the facts say them, as Microsoft's clients were given them, and broken in every way.

use super::*;
use proptest::prelude::*;

/// The body of a recorded answer to one of Microsoft's clients.
fn recorded(test: &str, name: &str) -> Option<Bytes> {
    let folder = outrigger_testkit::shared(test, "data/eventgrid")?;
    let exchange = std::fs::read_to_string(folder.join(name)).unwrap().replace("\r\n", "\n");
    let (_, response) = exchange.split_once("--- response ---").unwrap();
    let (_, body) = response.trim_start().split_once("\n\n").unwrap();
    Some(Bytes::from(body.trim().to_owned()))
}

#[test]
fn a_recorded_answer_gives_its_events_with_their_locks_and_counts() {
    let test = "a_recorded_answer_gives_its_events_with_their_locks_and_counts";
    let Some(body) = recorded(test, "py-ns-receive.http") else { return };
    let answer = events(&body).unwrap();
    let [first, second] = &answer.events[..] else { panic!("{answer:?}") };
    assert_eq!((&*first.lock_token, first.deliveries), ("CgMKATESCQoCYTAQASABKAE=", 1));
    assert_eq!((&*second.lock_token, second.deliveries), ("CgMKATISCQoCYTAQAiABKAI=", 2));
    let (first, second) = (first.item.as_ref().unwrap(), second.item.as_ref().unwrap());
    assert_eq!((first.id(), first.data().unwrap().as_ref()), ("e1", &br#"{"k": 1}"#[..]));
    assert_eq!((second.id(), second.data().unwrap().as_ref()), ("e2", &[0_u8, 1, 2, 3][..]));
    assert_eq!(second.text("ext1").unwrap(), "x");
    assert_eq!(answer.unreadable, 0);
}

#[test]
fn a_recorded_answer_tells_the_fate_of_each_token_although_it_is_a_200() {
    let test = "a_recorded_answer_tells_the_fate_of_each_token_although_it_is_a_200";
    let Some(body) = recorded(test, "py-ns-acknowledge.http") else { return };
    let tokens = ["bad", "CgMKATESCQoCYTAQASABKAE=", "CgMKATISCQoCYTAQAiABKAI="];
    let fates = fates(&body, tokens).unwrap();
    assert_eq!(fates, [Fate::Lost("BadToken".to_owned()), Fate::Done, Fate::Again]);
}

#[test]
fn a_member_that_is_wrong_does_not_take_the_others_with_it() {
    let body = br#"{"value":[
        {"brokerProperties":{"deliveryCount":1},"event":{}},
        {"event":{"id":"1"}},
        7,
        {"brokerProperties":{"lockToken":"a","deliveryCount":0},"event":{"specversion":"1.0","id":"1"}},
        {"brokerProperties":{"lockToken":"b\u0021"},"event":{"specversion":"1.0","id":"1","source":"/s","type":"t"}}
    ],"more":1}"#;
    let answer = events(&Bytes::from_static(body)).unwrap();
    assert_eq!(answer.unreadable, 3);
    let [bad, good] = &answer.events[..] else { panic!("{answer:?}") };
    let malformed = bad.item.as_ref().unwrap_err();
    assert_eq!((&*bad.lock_token, bad.deliveries), ("a", 1));
    assert_eq!(malformed.raw.as_ref(), br#"{"specversion":"1.0","id":"1"}"#);
    assert!(!malformed.why.is_empty());
    assert_eq!(&*good.lock_token, "b!");
    assert_eq!(good.item.as_ref().unwrap().id(), "1");
}

#[test]
fn what_is_right_is_read_alike_whether_or_not_another_is_wrong() {
    let good = r#"{"brokerProperties":{"lockToken":"a","deliveryCount":3,"more":0},
        "event":{"specversion":"1.0","id":"1","source":"/s","type":"t","x":7,"data":{"k": 1}}}"#;
    let read = |body: String| events(&Bytes::from(body)).unwrap();
    let alone = read(format!("{{\"value\":[{good}]}}"));
    let beside = read(format!("{{\"value\":[{good},{{}}]}}"));
    assert_eq!((alone.unreadable, beside.unreadable), (0, 1));
    assert_eq!((alone.events.len(), alone.events), (1, beside.events));
}

#[test]
fn a_token_that_failed_for_a_reason_that_may_pass_is_tried_again() {
    let body = Bytes::from_static(
        br#"{"succeededLockTokens":["a","d"],"failedLockTokens":[
            {"lockToken":"b","error":{"code":"TokenLost","message":"gone"}},
            {"lockToken":"c","error":{"code":"InternalServerError","message":"later"}},
            {"lockToken":"d","error":{"code":"TokenLost"}},{"lockToken":"e"}]}"#,
    );
    let lost = || Fate::Lost("TokenLost".to_owned());
    let fates = fates(&body, ["a", "b", "c", "d", "e", "f"]).unwrap();
    assert_eq!(fates, [Fate::Done, lost(), Fate::Again, lost(), Fate::Again, Fate::Again]);
}

#[test]
fn what_is_no_answer_is_told() {
    for text in ["", "[]", "null", r#"{"value":{}}"#, "<html>"] {
        assert!(events(&Bytes::from_static(text.as_bytes())).is_err(), "{text}");
    }
    for text in ["", "7", r#"{"succeededLockTokens":{}}"#] {
        assert!(fates(&Bytes::from_static(text.as_bytes()), ["a"]).is_err(), "{text}");
    }
}

#[test]
fn tokens_are_written_as_microsofts_clients_do() {
    let body = lock_tokens(["a=", "b\""]);
    assert_eq!(body.as_ref(), br#"{"lockTokens":["a=","b\""]}"#);
}

proptest! {
    #[test]
    fn no_bytes_bring_the_reader_down(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let body = Bytes::from(bytes);
        let _ = events(&body);
        let _ = fates(&body, ["a"]);
    }
}
