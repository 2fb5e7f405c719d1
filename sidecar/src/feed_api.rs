//! The sources of brokers over the owner's socket.
//!
//! | request | answer |
//! |---|---|
//! | `GET /kafka` | its numbers, one object |
//! | `POST /kafka/pause?topic=…&partition=…`, `/kafka/resume?…`, `/kafka/skip?…&to=…` | `{"done": ["topic/partition", …]}` |
//! | `POST /kafka/replay?topic=…&partition=…&from=…&to=…` | `{}`; `GET` tells how far it is |
//!
//! Without a partition all of the topic's that are ours are meant. Nothing here is for the network.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Response, StatusCode, request::Parts};
use http_body_util::Full;
use outrigger_core::Intake;
use serde_json::json;

use crate::{
    admin::{json_answer, line},
    config::Start,
    registry::{Feed, Replays, Wish},
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
    let given = |wanted: &str| given(request, wanted);
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

/// Begins a replay, or tells how far it is.
pub fn replay(replays: Option<&Arc<dyn Replays>>, request: &Parts, intake: &Intake) -> Response<Full<Bytes>> {
    let Some(replays) = replays else {
        return line(StatusCode::CONFLICT, "there is no Kafka here: kafka.brokers is none");
    };
    if request.method == Method::GET {
        return json_answer(StatusCode::OK, &replays.progress());
    }
    let start = |name: &str| given(request, name).map(|text| Start::read(&text).ok_or(())).transpose();
    let partition = given(request, "partition").map(|text| text.parse::<i32>()).transpose();
    let (Some(topic), Ok(partition), Ok(Some(from)), Ok(to)) =
        (given(request, "topic"), partition, start("from"), start("to"))
    else {
        let words = "needed: topic=NAME, from= and perhaps to= (earliest, latest, a time, offset:N)";
        return line(StatusCode::BAD_REQUEST, words);
    };
    match replays.start((&topic, partition), (from, to), intake.clone()) {
        Ok(()) => json_answer(StatusCode::OK, &json!({})),
        Err(error) => line(StatusCode::CONFLICT, &error.to_string()),
    }
}

fn given(request: &Parts, wanted: &str) -> Option<String> {
    let query = request.uri.query().unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find_map(|(name, value)| (name == wanted).then(|| value.into_owned()))
}
