//! Each rule of the namespace and of custom topics, shown by a wrong client that is refused, beside the right one that
//! differs from it in that one thing.

#[path = "../common/mod.rs"]
mod common;

mod access;

use common::{Ask, BATCH, PUBLISH, STRUCTURED, event, publish, receive, settle, target};
use outrigger_eventgrid_fake::{
    Config, Fake, QueueSettings, Refusal,
    auth::{Access, Issuer},
    config::{CustomTopic, TEST_KEY, TEST_TOKEN},
    event::Schema,
};
use serde_json::{Value, json};

const EVENTS: &str = "/api/events?api-version=2018-01-01";

fn fake() -> Fake {
    Fake::standing(Config::default())
}

/// A fake whose custom topic takes Event Grid's own schema.
fn grid_fake() -> Fake {
    let mut config = Config::default();
    let topic = CustomTopic { input_schema: Schema::EventGridSchema, ..CustomTopic::default() };
    config.custom_topics.insert("default".to_owned(), topic);
    Fake::standing(config)
}

fn refused(fake: &Fake, ask: &Ask, status: u16, why: &str) {
    let answer = ask.send(fake);
    let message = answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    assert_eq!(answer.status, status, "{ask:?}: {answer:?}");
    assert!(message.contains(why), "{message:?} should say {why:?}");
    assert!(answer.head.contains(&format!("x-ms-error-code: {}", answer.code())), "{answer:?}");
}

fn taken(fake: &Fake, ask: &Ask) {
    let answer = ask.send(fake);
    assert_eq!(answer.status, 200, "{ask:?}: {answer:?}");
}

fn structured(event: &Value) -> Ask {
    Ask::post(PUBLISH).body(STRUCTURED, event.to_string())
}

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut event = event("1");
    event[name] = value.into();
    event
}

fn without(name: &str) -> Value {
    let mut event = event("1");
    event.as_object_mut().unwrap().remove(name);
    event
}

#[test]
fn the_version_must_be_named_and_known() {
    let fake = fake();
    let publish = |target: &str| Ask::post(target).body(STRUCTURED, event("1").to_string());
    taken(&fake, &publish("/topics/t1:publish?api-version=2023-11-01"));
    refused(&fake, &publish("/topics/t1:publish"), 400, "api-version");
    refused(&fake, &publish("/topics/t1:publish?api-version=2018-01-01"), 400, "not supported");
    let topic = |target: &str| {
        let ask = Ask::bare("POST", target).header("aeg-sas-key", TEST_KEY);
        ask.body(STRUCTURED, event("1").to_string())
    };
    refused(&fake, &topic("/api/events"), 400, "api-version");
    refused(&fake, &topic("/api/events?api-version=2024-06-01"), 400, "not supported");
    let renew = "/topics/t1/eventsubscriptions/s1:renewLock?api-version=2023-11-01";
    refused(&fake, &Ask::post(renew).json(&json!({"lockTokens": ["x"]})), 404, "renewLock");
    let delay = "/topics/t1/eventsubscriptions/s1:release?api-version=2023-11-01&releaseDelayInSeconds=10";
    refused(&fake, &Ask::post(delay).json(&json!({"lockTokens": ["x"]})), 400, "releaseDelayInSeconds");
}

#[test]
fn only_what_exists_can_be_asked_and_only_by_post() {
    let fake = fake();
    let other_topic = PUBLISH.replace("t1", "t2");
    refused(&fake, &Ask::post(&other_topic).body(STRUCTURED, event("1").to_string()), 404, "t2");
    let other_subscription = target("receive", "").replace("s1", "s2");
    refused(&fake, &Ask::post(&other_subscription), 404, "s2");
    refused(&fake, &Ask::post(&target("peek", "")), 404, "no resource");
    refused(&fake, &Ask::post("/topics/t1:receive?api-version=2024-06-01"), 404, "no resource");
    let other_custom = Ask::bare("POST", "/other/api/events?api-version=2018-01-01");
    refused(&fake, &other_custom.header("aeg-sas-key", TEST_KEY), 404, "other");
    let mut get = Ask::post(&target("receive", ""));
    get.method = "GET".to_owned();
    refused(&fake, &get, 405, "GET");
}

#[test]
fn a_custom_topic_is_named_by_the_host_or_by_the_path() {
    let fake = fake();
    let topic = CustomTopic::default();
    fake.grid().change(|state| state.put_custom("orders", &topic));
    let ask = |target: &str, host: &str| {
        let ask = Ask::bare("POST", target).header("aeg-sas-key", TEST_KEY).header("host", host);
        ask.body(STRUCTURED, event("1").to_string())
    };
    let published = |name: &str| fake.grid().look(|state| state.custom[name].published);
    taken(&fake, &ask(EVENTS, "127.0.0.1:1"));
    taken(&fake, &ask(EVENTS, "localhost:1"));
    assert_eq!((published("default"), published("orders")), (2, 0));
    taken(&fake, &ask(EVENTS, "orders.westus-1.eventgrid.azure.net"));
    taken(&fake, &ask("/orders/api/events?api-version=2018-01-01", "127.0.0.1:1"));
    assert_eq!((published("default"), published("orders")), (2, 2));
    refused(&fake, &ask(EVENTS, "bills.westus-1.eventgrid.azure.net"), 404, "bills");
}

#[test]
fn a_cloud_event_must_be_one() {
    let fake = fake();
    taken(&fake, &structured(&with("time", "2024-05-01T00:00:00.1234567Z")));
    taken(&fake, &structured(&with("ext1", true)));
    for name in ["id", "source", "type", "specversion"] {
        refused(&fake, &structured(&without(name)), 400, name);
        refused(&fake, &structured(&with(name, "")), 400, name);
        refused(&fake, &structured(&with(name, 1)), 400, name);
    }
    refused(&fake, &structured(&with("specversion", "0.3")), 400, "specversion");
    refused(&fake, &structured(&with("time", "yesterday")), 400, "time");
    refused(&fake, &structured(&with("data_base64", "AAE=")), 400, "not both");
    refused(&fake, &structured(&with("Ext", "x")), 400, "Ext");
    refused(&fake, &structured(&with("ex-t", "x")), 400, "ex-t");
    refused(&fake, &structured(&with("ext1", json!({}))), 400, "ext1");
    refused(&fake, &structured(&with("subject", "")), 400, "subject");
    let mut bytes = without("data");
    bytes["data_base64"] = "A".into();
    refused(&fake, &structured(&bytes), 400, "base64");
    refused(&fake, &structured(&json!([event("1")])), 400, "object");
    refused(&fake, &Ask::post(PUBLISH).body(STRUCTURED, "{"), 400, "cannot be read");
}

#[test]
fn the_content_type_says_what_a_publish_is() {
    let fake = fake();
    let ask = |content_type: &str, body: &Value| Ask::post(PUBLISH).body(content_type, body.to_string());
    taken(&fake, &ask("application/cloudevents+json", &event("1")));
    refused(&fake, &ask("application/json", &event("1")), 415, "application/json");
    refused(&fake, &ask("application/cloudevents+json; charset=utf-16", &event("1")), 415, "utf-16");
    refused(&fake, &ask(STRUCTURED, &json!([event("1")])), 400, "object");
    refused(&fake, &ask(BATCH, &event("1")), 400, "cannot be read");
    refused(&fake, &ask(BATCH, &json!([])), 400, "no event");
    let binary = |ask: Ask| ask.header("ce-id", "1").header("ce-source", "/s").header("ce-type", "t");
    let right = binary(ask("application/json", &json!(1))).header("ce-specversion", "1.0");
    taken(&fake, &right);
    refused(&fake, &right.clone().without("ce-id"), 400, "id");
    refused(&fake, &right.clone().header("ce-datacontenttype", "a/b"), 400, "datacontenttype");
    refused(&fake, &right.clone().header("ce-subject", "%zz"), 400, "hexadecimal");
    let mut broken = right;
    broken.body = b"{".to_vec();
    refused(&fake, &broken, 400, "not JSON");
}

#[test]
fn one_bad_member_refuses_the_whole_batch() {
    let fake = fake();
    refused(&fake, &Ask::post(PUBLISH).body(BATCH, json!([event("1"), {}]).to_string()), 400, "specversion");
    publish(&fake, &["2"]);
    assert_eq!(receive(&fake, 10).len(), 1);
}

#[test]
fn sizes_end_at_a_megabyte_and_at_a_thousand_or_five_thousand_events() {
    let fake = fake();
    let long = |bytes: usize| {
        let empty = with("data", "").to_string().len();
        with("data", "x".repeat(bytes - empty)).to_string()
    };
    let publish = |body: String| Ask::post(PUBLISH).body(STRUCTURED, body);
    let topic = |content_type: &str, body: String| {
        Ask::bare("POST", EVENTS).header("aeg-sas-key", TEST_KEY).body(content_type, body)
    };
    taken(&fake, &publish(long(1 << 20)));
    refused(&fake, &publish(long((1 << 20) + 1)), 413, "1048577");
    refused(&fake, &topic(STRUCTURED, long((1 << 20) + 1)), 413, "1048577");
    // The shortest event there is, so that five thousand fit into a megabyte.
    let many = |count: usize| {
        json!(vec![json!({"specversion": "1.0", "id": "1", "source": "/", "type": "t"}); count]).to_string()
    };
    taken(&fake, &Ask::post(PUBLISH).body(BATCH, many(1000)));
    refused(&fake, &Ask::post(PUBLISH).body(BATCH, many(1001)), 400, "1001");
    taken(&fake, &topic(BATCH, many(5000)));
    refused(&fake, &topic(BATCH, many(5001)), 400, "5001");
}

#[test]
fn what_is_asked_of_a_receive_has_bounds() {
    let fake = fake();
    publish(&fake, &["1"]);
    for (query, name) in [
        ("&maxEvents=0", "maxEvents"),
        ("&maxEvents=101", "maxEvents"),
        ("&maxEvents=ten", "maxEvents"),
        ("&maxWaitTime=9", "maxWaitTime"),
        ("&maxWaitTime=121", "maxWaitTime"),
    ] {
        refused(&fake, &Ask::post(&target("receive", query)), 400, name);
    }
    taken(&fake, &Ask::post(&target("receive", "&maxEvents=100&maxWaitTime=120")));
}

#[test]
fn a_settlement_names_tokens_in_json_and_a_delay_is_one_of_five() {
    let fake = fake();
    publish(&fake, &["1"]);
    let token = receive(&fake, 1)[0].0.clone();
    let tokens = json!({"lockTokens": [token]});
    let ask = |op: &str, more: &str| Ask::post(&target(op, more));
    refused(&fake, &ask("acknowledge", "").json(&json!({"lockTokens": []})), 400, "empty");
    refused(&fake, &ask("acknowledge", "").json(&json!({})), 400, "lockTokens");
    refused(&fake, &ask("acknowledge", "").json(&json!([token])), 400, "cannot be read");
    refused(&fake, &ask("acknowledge", "").body("text/plain", tokens.to_string()), 415, "text/plain");
    for delay in ["1", "30", "3601", "-1", "ten"] {
        let more = format!("&releaseDelayInSeconds={delay}");
        refused(&fake, &ask("release", &more).json(&tokens), 400, "releaseDelayInSeconds");
    }
    assert_eq!(settle(&fake, "acknowledge", "", "AAAA"), Err("BadToken".to_owned()));
    assert_eq!(settle(&fake, "acknowledge", "", "no base64!"), Err("BadToken".to_owned()));
    settle(&fake, "release", "&releaseDelayInSeconds=3600", &token).unwrap();
}

fn grid_event() -> Value {
    json!({"id": "1", "subject": "s", "eventType": "t", "eventTime": "2024-05-01T00:00:00Z", "data": {}})
}

#[test]
fn an_event_of_event_grids_schema_must_be_one() {
    let fake = grid_fake();
    let ask = |event: &Value| {
        let ask = Ask::bare("POST", EVENTS).header("aeg-sas-key", TEST_KEY);
        ask.body("application/json; charset=utf-8", json!([event]).to_string())
    };
    let with = |name: &str, value: Value| {
        let mut event = grid_event();
        event[name] = value;
        event
    };
    taken(&fake, &ask(&grid_event()));
    taken(&fake, &ask(&with("dataVersion", json!("1.0"))));
    for name in ["id", "subject", "eventType", "eventTime"] {
        refused(&fake, &ask(&with(name, Value::Null)), 400, name);
    }
    refused(&fake, &ask(&with("eventTime", json!("noon"))), 400, "eventTime");
    refused(&fake, &ask(&with("metadataVersion", json!("2"))), 400, "metadataVersion");
    refused(&fake, &ask(&with("topic", json!("/mine"))), 400, "topic");
    refused(&fake, &ask(&with("dataVersion", json!(1))), 400, "dataVersion");
}

#[test]
fn a_topic_takes_the_schema_that_it_was_made_for() {
    let ask = |content_type: &str, body: &Value| {
        let ask = Ask::bare("POST", EVENTS).header("aeg-sas-key", TEST_KEY);
        ask.body(content_type, body.to_string())
    };
    let fake = grid_fake();
    refused(&fake, &ask(BATCH, &json!([event("1")])), 400, "EventGridSchema");
    refused(&fake, &ask("application/json", &grid_event()), 400, "cannot be read");
    let fake = self::fake();
    refused(&fake, &ask("application/json", &json!([grid_event()])), 415, "application/json");
}

#[test]
fn a_queue_is_set_up_within_the_services_bounds() {
    let fake = fake();
    let put = |settings: Value| {
        let mut ask = Ask::bare("PUT", "/_/topics/t1/s9");
        ask.body = settings.to_string().into_bytes();
        ask
    };
    assert_eq!(put(json!({"receive_lock_s": 300, "max_delivery_count": 1})).send(&fake).status, 204);
    for (settings, name) in [
        (json!({"receive_lock_s": 59}), "receive_lock_s"),
        (json!({"receive_lock_s": 301}), "receive_lock_s"),
        (json!({"max_delivery_count": 11}), "max_delivery_count"),
        (json!({"max_delivery_count": 0}), "max_delivery_count"),
        (json!({"time_to_live_s": 59}), "time_to_live_s"),
        (json!({"lock": 60}), "lock"),
    ] {
        refused(&fake, &put(settings), 400, name);
    }
}

#[test]
fn a_fake_that_is_full_says_so() {
    let fake = Fake::standing(Config { events_max: 2, ..Config::default() });
    publish(&fake, &["1", "2"]);
    refused(&fake, &structured(&event("3")), 429, "bound");
    let token = receive(&fake, 1)[0].0.clone();
    settle(&fake, "acknowledge", "", &token).unwrap();
    taken(&fake, &structured(&event("3")));
}

#[test]
fn settings_and_refusals_are_known_to_the_library_too() {
    assert!(QueueSettings { receive_lock_s: 59, ..QueueSettings::default() }.check().is_err());
    assert_eq!(Refusal::bad("x").status, 400);
    let unknown = Config::parse(r#"{"topicz": {}}"#).unwrap_err();
    assert!(unknown.contains("topicz"), "{unknown}");
}
