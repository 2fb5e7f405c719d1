//! Event Grid's events: both schemas, batches with malformed members, secrets, and the synchronous way.

use crate::{
    common::Site,
    rig::{At, one, open_to_all, post, push},
};
use outrigger_function::{Function, Match, Program, Rule, program::Action};
use outrigger_testkit::process::get;
use serde_json::json;

const EVENTGRID: (&str, &str) = ("content-type", "application/json; charset=utf-8");
const CLOUDEVENTS: (&str, &str) = ("content-type", "application/cloudevents+json; charset=utf-8");
const NOTIFICATION: (&str, &str) = ("aeg-event-type", "Notification");

fn grid(id: &str) -> String {
    format!(
        r#"{{"id":"{id}","topic":"/subscriptions/1/topics/t","subject":"s","eventType":"e","eventTime":"2024-05-01T00:00:00Z","data":{{ "a" : 1.0 }},"dataVersion":"2","metadataVersion":"1"}}"#
    )
}

fn header<'a>(record: &'a outrigger_function::Record, name: &str) -> Option<&'a str> {
    record.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn an_event_of_the_eventgrid_schema_reaches_the_function_as_a_cloudevent() {
    let function = Function::start(Program::default());
    let site = open_to_all(&function);
    let _process = site.start().await;
    let headers = [
        EVENTGRID,
        NOTIFICATION,
        ("aeg-subscription-name", "ORDERS"),
        ("aeg-delivery-count", "0"),
        ("aeg-data-version", "2"),
        ("aeg-metadata-version", "1"),
    ];
    assert_eq!(post(&site, "/eventgrid", &headers, format!("[{}]", grid("1"))).await.status(), 200);
    function.wait_for(|stats| stats.ended == 1).await;
    let log = function.log();
    for (name, value) in [
        ("ce-id", "1"),
        ("ce-source", "/subscriptions/1/topics/t"),
        ("ce-type", "e"),
        ("ce-subject", "s"),
        ("ce-time", "2024-05-01T00:00:00Z"),
        ("ce-dataschema", "#2"),
        ("content-type", "application/json"),
        ("ce-aegsubscriptionname", "ORDERS"),
        ("ce-aegdeliverycount", "0"),
        ("ce-aegdataversion", "2"),
        ("ce-aegmetadataversion", "1"),
    ] {
        assert_eq!(header(&log[0], name), Some(value), "{name}");
    }
    assert_eq!(log[0].body.as_deref(), Some(&br#"{ "a" : 1.0 }"#[..]), "byte for byte");
}

#[tokio::test]
async fn a_batch_is_answered_200_once_its_events_are_kept_and_its_malformed_members_are_dead_letters() {
    let function = Function::start(Program::default());
    let site = open_to_all(&function);
    let _process = site.start().await;
    for (schema, good) in
        [(EVENTGRID, grid as fn(&str) -> String), (CLOUDEVENTS, |id| one(At::EventGrid, id))]
    {
        let before = function.stats().ended;
        let batch = format!("[{},{{\"id\": 7}},{},\"text\"]", good("1"), good("2"));
        let answer = post(&site, "/eventgrid", &[schema, NOTIFICATION], batch).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.body(), r#"{"accepted":2,"dead_lettered":2}"#);
        function.wait_for(|stats| stats.ended == before + 2).await;
    }
    let letters = site.letters().await;
    assert_eq!(letters.len(), 4);
    assert!(letters.iter().all(|letter| letter["reason"] == "malformed"), "{letters:?}");
    let shown = site.verb(&["dead", "show", &letters[0]["id"].to_string(), "--json"]).await.json();
    assert!(shown.to_string().contains("eventgrid_webhook"), "its origin is told: {shown}");

    let answer = push(&site, At::EventGrid, "no JSON at all").await;
    assert_eq!(answer.status(), 200, "refused, it would be gone");
    assert_eq!(site.letters().await.len(), 5);
    assert_eq!(push(&site, At::EventGrid, "[]").await.status(), 200);
}

#[tokio::test]
async fn an_event_of_one_megabyte_is_taken_and_one_that_can_never_be_is_answered_413() {
    let function = Function::start(Program::default());
    let site = open_to_all(&function).set("ingress.http.body_bytes_max", "64KiB");
    let _process = site.start().await;
    let of = |bytes: usize| {
        let data = "x".repeat(bytes);
        json!({"specversion": "1.0", "id": "1", "source": "/topic", "type": "t", "data": data}).to_string()
    };
    assert_eq!(push(&site, At::EventGrid, of(1_048_576)).await.status(), 200);
    assert_eq!(push(&site, At::EventGrid, of(3 << 20)).await.status(), 413);
    function.wait_for(|stats| stats.ended == 1).await;
}

#[tokio::test]
async fn a_batch_of_five_thousand_events_is_taken_whole() {
    let function = Function::start(Program::default());
    let site = open_to_all(&function);
    let _process = site.start().await;
    let batch: Vec<_> = (0..5_000).map(|id| one(At::EventGrid, &id.to_string())).collect();
    let answer = push(&site, At::EventGrid, format!("[{}]", batch.join(","))).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    function.wait_for(|stats| stats.distinct == 5_000).await;
}

#[tokio::test]
async fn a_secret_in_the_query_or_a_header_is_asked_for_and_never_written_down() {
    let function = Function::start(Program::default());
    let site = open_to_all(&function).set("log.level", "trace").set("log.audit", "all").set(
        "ingress.eventgrid_webhook",
        "{path: /eventgrid, secret_file: secret, secret_query: code, secret_header: X-Hook-Key}",
    );
    std::fs::write(site.path("secret"), "0ld-s3cret\nn3w-s3cret\n").unwrap();
    let process = site.start().await;
    let send = async |path: &'static str, key: Option<&'static str>| {
        let mut headers = vec![CLOUDEVENTS, NOTIFICATION];
        headers.extend(key.map(|key| ("x-hook-key", key)));
        post(&site, path, &headers, one(At::EventGrid, "1")).await.status().as_u16()
    };
    for (path, key, expected) in [
        ("/eventgrid?code=0ld-s3cret", None, 200),
        ("/eventgrid?a=b&code=n3w-s3cret", None, 200),
        ("/eventgrid", Some("n3w-s3cret"), 200),
        ("/eventgrid", None, 401),
        ("/eventgrid?code=", None, 401),
        ("/eventgrid?code=0ld-s3cre", None, 401),
        ("/eventgrid?code=wr0ng-s3cret", None, 401),
        ("/eventgrid?access_token=0ld-s3cret", None, 401),
        ("/eventgrid?code=0ld-s3cret&code=0ld-s3cret", None, 401),
        ("/eventgrid", Some("wr0ng-s3cret"), 401),
    ] {
        assert_eq!(send(path, key).await, expected, "{path} {key:?}");
    }
    function.wait_for(|stats| stats.ended == 3).await;
    let told = format!("{:?}", function.log());
    let (_, metrics) = get(site.admin, "/metrics").await.unwrap();
    for text in [process.log(), told, metrics] {
        assert!(!text.contains("s3cret"), "{text}");
    }
    let refused = "outrigger_auth_refused_total{listener=\"eventgrid_webhook\",reason=\"token\"}";
    assert!(site.metric(refused).await >= 3.0);
    let taken =
        "outrigger_pushed_requests_total{http_response_status_code=\"200\",source=\"eventgrid_webhook\"}";
    assert!((site.metric(taken).await - 3.0).abs() < 0.5);
}

/// Synchronous, with a journal for dead letters.
fn synchronous(function: &Function) -> Site {
    open_to_all(function).set("ingress.http.sync", "true")
}

#[tokio::test]
async fn without_a_journal_a_batch_is_done_when_the_function_has_all_of_it() {
    let failing = Rule::new(Match::id("bad"), Action::status(500)).times(1);
    let function = Function::start(Program::default().rule(failing));
    let site = open_to_all(&function).set("journal.storage", "ephemeral").set("window.events", "64");
    let _process = site.start().await;
    let many: Vec<_> = (0..500).map(|id| one(At::EventGrid, &id.to_string())).collect();
    let answer = push(&site, At::EventGrid, format!("[{}]", many.join(","))).await;
    assert_eq!(answer.status(), 200, "more than the window holds at once: {answer:?}");
    assert_eq!(function.stats().distinct, 500);

    let batch = format!("[{},{}]", one(At::EventGrid, "good"), one(At::EventGrid, "bad"));
    assert_eq!(push(&site, At::EventGrid, batch.clone()).await.status(), 503, "it comes again whole");
    assert_eq!(push(&site, At::EventGrid, batch).await.status(), 200);
    let malformed = format!("[{},{{}}]", one(At::EventGrid, "kept"));
    assert_eq!(
        push(&site, At::EventGrid, malformed).await.status(),
        503,
        "there is no place for it, and it may come"
    );
    assert!(!function.log().iter().any(|record| record.id.as_deref() == Some("kept")));
}

#[tokio::test]
async fn what_the_function_refuses_for_good_is_a_dead_letter_and_answered_200() {
    let refused = Rule::new(Match::id("never"), Action::status(422));
    let function = Function::start(Program::default().rule(refused));
    let site = synchronous(&function);
    let _process = site.start().await;
    let batch = format!("[{},{}]", one(At::EventGrid, "good"), one(At::EventGrid, "never"));
    assert_eq!(push(&site, At::EventGrid, batch).await.status(), 200);
    let letters = site.letters().await;
    assert_eq!(
        (letters.len(), &letters[0]["reason"], &letters[0]["status"]),
        (1, &json!("refused"), &json!(422))
    );
    assert_eq!(function.stats().received, 2);
}

#[tokio::test]
async fn what_a_rule_fails_on_is_a_dead_letter_and_answered_200() {
    let function = Function::start(Program::default());
    let rule = "[{name: of-never, when: \"id = 'never'\", key: {pointer: /nowhere}}]";
    let site = synchronous(&function).set("transform", rule);
    let _process = site.start().await;
    let batch = format!("[{},{}]", one(At::EventGrid, "good"), one(At::EventGrid, "never"));
    assert_eq!(push(&site, At::EventGrid, batch).await.status(), 200);
    let letters = site.letters().await;
    let found = (letters.len(), &letters[0]["reason"], &letters[0]["attempts"]);
    assert_eq!(found, (1, &json!("rule"), &json!(0)));
    assert_eq!(function.stats().received, 1);
}
