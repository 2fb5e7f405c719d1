//! The sources of brokers over the owner's socket.
//!
//! | request | answer |
//! |---|---|
//! | `GET /kafka` | its numbers, one object |
//! | `POST /kafka/pause?topic=…&partition=…`, `/kafka/resume?…`, `/kafka/skip?…&to=…` | `{"done": ["topic/partition", …]}` |
//!
//! Without a partition all of the topic's that are ours are meant. Nothing here is for the network.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Response, StatusCode, request::Parts};
use http_body_util::Full;
use serde_json::json;

use crate::{
    admin::{json_answer, line},
    registry::{Feed, Wish},
};

/// Answers a request of the owner.
pub async fn answer(feed: Option<&Arc<dyn Feed>>, request: &Parts) -> Response<Full<Bytes>> {
    let Some(feed) = feed else {
        return line(StatusCode::CONFLICT, "there is no Kafka source: ingress.kafka.topics is none");
    };
    let path = request.uri.path();
    if (&request.method, path) == (&Method::GET, "/kafka") {
        return json_answer(StatusCode::OK, &feed.status());
    }
    let query = request.uri.query().unwrap_or_default();
    let given = |wanted: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find_map(|(name, value)| (name == wanted).then(|| value.into_owned()))
    };
    let number = |name: &str| given(name).map(|text| text.parse::<i64>()).transpose();
    let (Some(topic), Ok(partition), Ok(to)) = (given("topic"), number("partition"), number("to")) else {
        return line(StatusCode::BAD_REQUEST, "needed: topic=NAME, and numbers for partition= and to=");
    };
    let wish = match (&request.method, path) {
        (&Method::POST, "/kafka/pause") => Wish::Pause,
        (&Method::POST, "/kafka/resume") => Wish::Resume,
        (&Method::POST, "/kafka/skip") => Wish::Skip { to },
        _ => {
            return line(
                StatusCode::BAD_REQUEST,
                "there are /kafka, and POST /kafka/pause, /resume and /skip",
            );
        }
    };
    let partition = partition.and_then(|number| i32::try_from(number).ok());
    match feed.ask(wish, &topic, partition).await {
        Ok(done) => json_answer(StatusCode::OK, &json!({ "done": done })),
        Err(error) => line(StatusCode::CONFLICT, &error.to_string()),
    }
}
