use super::*;
use crate::dead_api::Refused;
use http_body_util::BodyExt as _;
use outrigger_core::{Error, Kind};
use std::sync::Mutex;

/// Remembers what it was asked.
#[derive(Default)]
struct Fake(Mutex<Vec<String>>);

impl Fake {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl Events for Fake {
    fn list(&self, filter: Filter) -> BoxFuture<'_, Result<Listed>> {
        self.note(query(&filter));
        Box::pin(async {
            Ok(Listed { events: vec![Summary { seq: 4, ..Summary::default() }], next: Some(4) })
        })
    }

    fn show<'a>(&'a self, what: &'a str) -> BoxFuture<'a, Result<Option<Shown>>> {
        let data = Some(b"\xff\0".to_vec());
        Box::pin(async move {
            match what {
                "7" => Ok(Some(Shown { data, ..Shown::default() })),
                "8" => Err(Error::new(Kind::Storage, "row 8 is damaged")),
                _ => Ok(None),
            }
        })
    }

    fn replay<'a>(&'a self, replay: Replay, by: &'a str) -> BoxFuture<'a, Result<Changed>> {
        self.note(format!("{by}: {}", json!(replay)));
        let refused = vec![Refused { id: 7, why: "it waits".to_owned() }];
        Box::pin(async move { Ok(Changed { done: replay.filter.seq, refused, next: None }) })
    }

    fn audit(&self, page: AuditPage) -> BoxFuture<'_, Result<Audited>> {
        self.note(query(&page));
        Box::pin(async { Ok(Audited::default()) })
    }
}

async fn ask(events: &Fake, method: Method, uri: &str, body: &str) -> (StatusCode, String) {
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = method;
    parts.uri = uri.parse().unwrap();
    let targets = ["function".to_owned(), "a".to_owned()];
    let answer = answer(events, &parts, Full::new(Bytes::from(body.to_owned())), ("ann", &targets)).await;
    let status = answer.status();
    (status, String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

#[tokio::test]
async fn a_list_takes_its_filter_from_the_query_and_is_never_unbounded() {
    let events = Fake::default();
    let (status, body) =
        ask(&events, Method::GET, "/events?seq=3&type=a%20b&seq=4&outcome=waiting", "").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let listed: Listed = serde_json::from_str(&body).unwrap();
    assert_eq!((listed.events[0].seq, listed.next), (4, Some(4)));
    ask(&events, Method::GET, "/events/audit?before=9&limit=4000000", "").await;
    let asked = events.0.into_inner().unwrap();
    assert_eq!(asked, ["limit=100&outcome=waiting&seq=3&seq=4&type=a+b", "before=9&limit=1000"]);
}

#[tokio::test]
async fn what_cannot_be_meant_is_told() {
    let events = Fake::default();
    for (method, uri, body, status, part) in [
        (Method::GET, "/events?outcome=lost", "", StatusCode::BAD_REQUEST, "waiting, delivered"),
        (Method::GET, "/events?seq=x", "", StatusCode::BAD_REQUEST, "seq=x is no number"),
        (Method::GET, "/events?typ=x", "", StatusCode::BAD_REQUEST, "unknown field `typ`"),
        (Method::GET, "/events/show", "", StatusCode::BAD_REQUEST, "what="),
        (Method::GET, "/events/show?what=9", "", StatusCode::NOT_FOUND, "no event 9"),
        (Method::GET, "/events/show?what=8", "", StatusCode::INTERNAL_SERVER_ERROR, "row 8 is damaged"),
        (Method::POST, "/events/replay", "{}", StatusCode::BAD_REQUEST, "\"all\": true"),
        (
            Method::POST,
            "/events/replay",
            "{\"filter\":{\"all\":true},\"to\":\"b\"}",
            StatusCode::BAD_REQUEST,
            "function, a",
        ),
        (Method::POST, "/events", "", StatusCode::NOT_FOUND, "there are GET"),
    ] {
        let (found, text) = ask(&events, method, uri, body).await;
        assert!(found == status && text.contains(part), "{uri}: {found} {text}");
    }
    assert!(events.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_replay_is_done_for_who_asks_and_an_event_comes_with_its_bytes() {
    let events = Fake::default();
    let body = "{\"filter\":{\"seq\":[1,2]},\"to\":\"a\",\"dry_run\":true}";
    let (status, text) = ask(&events, Method::POST, "/events/replay", body).await;
    let changed: Changed = serde_json::from_str(&text).unwrap();
    assert_eq!((status, changed.done), (StatusCode::OK, vec![1, 2]));
    let asked = events.0.lock().unwrap().pop().unwrap();
    assert!(asked.starts_with("ann: ") && asked.contains("\"limit\":1000") && asked.contains("\"to\":\"a\""));
    let (_, text) = ask(&events, Method::GET, "/events/show?what=7", "").await;
    let shown: Shown = serde_json::from_str(&text).unwrap();
    assert_eq!(shown.data.as_deref(), Some(&b"\xff\0"[..]));
}
