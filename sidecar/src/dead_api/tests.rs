use super::*;
use outrigger_core::{Event, Key, Malformed, Origin, Reason};
use proptest::prelude::*;
use std::sync::Mutex;

/// Has two letters' summaries, and remembers what it was asked.
#[derive(Default)]
struct Fake {
    asked: Mutex<Vec<(&'static str, Filter)>>,
    fails: Option<Kind>,
}

impl Fake {
    fn ask<T: Send + 'static>(
        &self,
        verb: &'static str,
        filter: Filter,
        answer: T,
    ) -> BoxFuture<'_, Result<T>> {
        self.asked.lock().unwrap().push((verb, filter));
        let fails = self.fails;
        Box::pin(async move { fails.map_or(Ok(answer), |kind| Err(Error::new(kind, "no"))) })
    }
}

impl Dead for Fake {
    fn list(&self, filter: Filter) -> BoxFuture<'_, Result<Listed>> {
        self.ask("list", filter, Listed { letters: Vec::new(), next: Some(3) })
    }

    fn get(&self, id: u64) -> BoxFuture<'_, Result<Option<Letter>>> {
        let letter = (id == 7).then(|| Letter::new(7, &dead_letter()));
        self.ask("get", Filter { ids: vec![id], ..Filter::default() }, letter)
    }

    fn replay<'a>(&'a self, filter: Filter, _by: &'a str) -> BoxFuture<'a, Result<Changed>> {
        self.ask("replay", filter, Changed::default())
    }

    fn drop<'a>(&'a self, filter: Filter, _by: &'a str) -> BoxFuture<'a, Result<Changed>> {
        self.ask("drop", filter, Changed::default())
    }
}

fn dead_letter() -> DeadLetter {
    let event = Event::new("1", "/s", "t").unwrap();
    DeadLetter {
        item: Ok(event.with_data("application/octet-stream", Bytes::from_static(b"\xff\0")).unwrap()),
        key: Some(Key::new("http", b"k")),
        origin: Origin {
            source: "http".into(),
            position: outrigger_core::Position::Sequence(9),
            headers: Vec::new(),
        },
        target: None,
        reason: Reason { code: Code::Refused, status: Some(422), detail: "no such order".to_owned() },
        attempts: 1,
        first_ms: 1,
        last_ms: 2,
    }
}

async fn ask(dead: &Fake, method: Method, uri: &str, body: &str) -> (StatusCode, String) {
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = method;
    parts.uri = uri.parse().unwrap();
    let answer = answer(dead, &parts, Full::new(Bytes::from(body.to_owned())), "ann").await;
    let status = answer.status();
    (status, String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

#[tokio::test]
async fn a_list_takes_its_filter_from_the_query_and_is_never_unbounded() {
    let dead = Fake::default();
    let (status, body) = ask(&dead, Method::GET, "/dead?type=a%20b&id=3&id=4&since_ms=5", "").await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, r#"{"letters":[],"next":3}"#));
    let _ = ask(&dead, Method::GET, "/dead?limit=4000000000", "").await;
    let asked = dead.asked.into_inner().unwrap();
    let expected = Filter {
        ids: vec![3, 4],
        ty: Some("a b".to_owned()),
        since_ms: Some(5),
        limit: Some(PAGE),
        ..Filter::default()
    };
    assert_eq!(asked, [("list", expected), ("list", Filter { limit: Some(PAGE_MAX), ..Filter::default() })]);
}

#[tokio::test]
async fn a_letter_comes_with_its_bytes() {
    let dead = Fake::default();
    let (status, body) = ask(&dead, Method::GET, "/dead/7", "").await;
    assert_eq!(status, StatusCode::OK);
    let letter: Letter = serde_json::from_str(&body).unwrap();
    assert_eq!(letter.data.as_deref(), Some(&b"\xff\0"[..]));
    assert_eq!((letter.key.as_deref(), letter.attributes["type"].as_str()), (Some("k"), "t"));
    assert_eq!(ask(&dead, Method::GET, "/dead/8", "").await.0, StatusCode::NOT_FOUND);
    assert_eq!(ask(&dead, Method::GET, "/dead/x", "").await.0, StatusCode::NOT_FOUND);
}

#[test]
fn what_was_no_event_keeps_its_bytes_its_headers_and_its_reason() {
    let malformed = Malformed {
        raw: Bytes::from_static(b"{"),
        headers: vec![("a".to_owned(), Bytes::from_static(b"b"))],
        key: None,
        why: "no JSON".to_owned(),
    };
    let letter = Letter::new(1, &DeadLetter { item: Err(malformed), ..dead_letter() });
    assert!(letter.malformed && letter.attributes.is_empty());
    assert_eq!(letter.data.as_deref(), Some(&b"{"[..]));
    assert_eq!(letter.headers, [("a".to_owned(), "b".to_owned())]);
}

#[tokio::test]
async fn a_change_needs_a_filter_or_the_word_all() {
    let dead = Fake::default();
    for (path, body, expected) in [
        ("/dead/drop", "{}", StatusCode::BAD_REQUEST),
        ("/dead/drop", "", StatusCode::BAD_REQUEST),
        ("/dead/drop", r#"{"typ": "x"}"#, StatusCode::BAD_REQUEST),
        ("/dead/replay", r#"{"reason": "bored"}"#, StatusCode::BAD_REQUEST),
        ("/dead/replay", r#"{"limit": 3}"#, StatusCode::BAD_REQUEST),
        ("/dead/replay", r#"{"all": true}"#, StatusCode::OK),
        ("/dead/drop", r#"{"type": "x"}"#, StatusCode::OK),
        ("/dead/burn", r#"{"all": true}"#, StatusCode::NOT_FOUND),
    ] {
        assert_eq!(ask(&dead, Method::POST, path, body).await.0, expected, "{path} {body}");
    }
    let verbs: Vec<_> = dead.asked.into_inner().unwrap().into_iter().map(|(verb, _)| verb).collect();
    assert_eq!(verbs, ["replay", "drop"]);
}

#[tokio::test]
async fn an_error_has_the_status_of_its_kind() {
    for (kind, expected) in [
        (Kind::Storage, StatusCode::INTERNAL_SERVER_ERROR),
        (Kind::Full, StatusCode::SERVICE_UNAVAILABLE),
        (Kind::Invalid, StatusCode::BAD_REQUEST),
    ] {
        let dead = Fake { fails: Some(kind), ..Fake::default() };
        assert_eq!(ask(&dead, Method::GET, "/dead", "").await.0, expected, "{kind:?}");
    }
}

#[test]
fn an_unknown_filter_is_told() {
    let message = |query| Filter::of_query(query).unwrap_err().message().to_owned();
    assert_eq!(
        message("typ=x"),
        "typ is no filter; there are id, type, source, reason, text, since_ms, until_ms, after, limit"
    );
    assert_eq!(message("id=x"), "id=x is no number");
    assert!(
        message("reason=bored").starts_with("\"bored\" is no reason; there are malformed, rule, refused")
    );
}

proptest! {
    #[test]
    fn a_filter_survives_its_query(
        ids: Vec<u64>, ty: Option<String>, source: Option<String>, since_ms: Option<u64>, until_ms: Option<u64>,
        after: Option<u64>, limit: Option<u32>
    ) {
        let reason = ty.is_some().then(|| "exhausted".to_owned());
        let filter = Filter { ids, text: source.clone(), ty, source, reason, since_ms, until_ms, after, limit, all: false };
        prop_assert_eq!(Filter::of_query(&filter.query()).unwrap(), filter);
    }

    #[test]
    fn no_query_makes_the_filter_panic(query: String) {
        let _ = Filter::of_query(&query);
    }
}
