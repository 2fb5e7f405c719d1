//! The client of the fake Event Grid: it publishes what it is given, and knows what became of it.

use std::time::Duration;

use outrigger_testkit::{
    Outgoing, Producer,
    eventgrid::{EventGrid, QueueSettings, Setup},
};
use serde_json::{Value, json};

/// Receives, or settles, as a client does.
async fn ask(grid: &EventGrid, op: &str, body: &Value) -> Value {
    let url = format!(
        "{}/topics/orders/eventsubscriptions/billing:{op}?api-version=2024-06-01&maxEvents=100&maxWaitTime=10",
        grid.url()
    );
    let key = format!("SharedAccessKey {}", EventGrid::KEY);
    let headers = [(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"))];
    let producer = Producer::new(&url).with_header("authorization", &key);
    let answer = producer.post(headers.into_iter().collect(), body.to_string()).await.unwrap();
    assert_eq!(answer.status(), 200);
    serde_json::from_slice(answer.body()).unwrap()
}

fn tokens(received: &Value) -> Vec<Value> {
    let received = received["value"].as_array().unwrap();
    received.iter().map(|one| one["brokerProperties"]["lockToken"].clone()).collect()
}

#[tokio::test]
async fn what_is_published_is_left_then_locked_then_acknowledged() {
    let grid = EventGrid::start();
    let billing = grid.subscription("orders", "billing");
    let events: Vec<_> = (0..3).map(|n| Outgoing::new(&n.to_string(), Some("key"))).collect();
    billing.publish(&events).await;
    assert_eq!(billing.left(), (3, 0));
    let received = ask(&grid, "receive", &Value::Null).await;
    assert_eq!(received["value"][1]["event"], serde_json::from_str::<Value>(&events[1].json()).unwrap());
    assert_eq!(billing.left(), (0, 3));
    let [first, second, third] = tokens(&received).try_into().unwrap();
    ask(&grid, "acknowledge", &json!({"lockTokens": [first]})).await;
    ask(&grid, "release", &json!({"lockTokens": [second]})).await;
    let counts = billing.until(|counts| counts.released == 1).await;
    assert_eq!((counts.published, counts.received, counts.acknowledged), (3, 3, 1));
    assert_eq!((billing.acknowledged(), billing.left()), (vec!["0".to_owned()], (1, 1)));
    ask(&grid, "reject", &json!({"lockTokens": [third]})).await;
    assert_eq!(billing.counts().dropped, 1);
}

#[tokio::test]
async fn dead_letters_are_read_when_they_are_written() {
    let grid = EventGrid::start_with(Setup::default());
    let settings = QueueSettings { dead_letter: true, ..QueueSettings::default() };
    let billing = grid.subscription_with("orders", "billing", settings);
    billing.publish(&[Outgoing::new("1", None)]).await;
    let received = ask(&grid, "receive", &Value::Null).await;
    ask(&grid, "reject", &json!({"lockTokens": tokens(&received)})).await;
    assert!(billing.dead_letters().is_empty());
    grid.fake().advance(Duration::from_mins(5)).await;
    assert_eq!(billing.dead_letters()[0]["event"]["id"], "1");
}

#[tokio::test]
async fn more_than_the_service_takes_at_once_is_published_in_parts() {
    let grid = EventGrid::fast(60);
    let billing = grid.subscription("orders", "billing");
    let events: Vec<_> = (0..2001).map(|n| Outgoing::new(&n.to_string(), None)).collect();
    billing.publish(&events).await;
    assert_eq!(billing.counts().published, 2001);
}
