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
use outrigger_core::{Intake, Result};
use serde_json::json;

use crate::{
    admin::{json_answer, line},
    audit::{self, Auditor},
    config::Start,
    dead_api::failed,
    registry::{Feed, Replays, Wish},
};

/// Where it is written down what somebody does, and who that is.
pub type Trail<'a> = (Option<&'a dyn Auditor>, &'a str);

/// Answers a request of the owner.
pub async fn answer(
    feed: Option<&Arc<dyn Feed>>,
    request: &Parts,
    trail: Trail<'_>,
) -> Response<Full<Bytes>> {
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
    let verb = path.trim_start_matches('/').replace('/', " ");
    if let Err(error) = noted(trail, &verb, request).await {
        return failed(&error);
    }
    match feed.ask(wish, &topic, partition).await {
        Ok(done) => json_answer(StatusCode::OK, &json!({ "done": done })),
        Err(error) => refused(trail, &verb, request, &error).await,
    }
}

/// Writes down what is asked, before it is done.
async fn noted((auditor, by): Trail<'_>, verb: &str, request: &Parts) -> Result<()> {
    audit::note(auditor, by, verb, request.uri.query().unwrap_or_default()).await
}

/// Writes down as well that it was not done after all.
async fn refused(
    (auditor, by): Trail<'_>,
    verb: &str,
    request: &Parts,
    error: &outrigger_core::Error,
) -> Response<Full<Bytes>> {
    let (verb, query) = (format!("{verb} (refused)"), request.uri.query().unwrap_or_default());
    if let Err(error) = audit::note(auditor, by, &verb, query).await {
        tracing::warn!(%error, verb, "it is not written down that this was not done");
    }
    line(StatusCode::CONFLICT, &error.to_string())
}

/// Begins a replay, or tells how far it is.
pub async fn replay(
    replays: Option<&Arc<dyn Replays>>,
    request: &Parts,
    intake: &Intake,
    trail: Trail<'_>,
) -> Response<Full<Bytes>> {
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
    let verb = "kafka replay";
    if let Err(error) = noted(trail, verb, request).await {
        return failed(&error);
    }
    match replays.start((&topic, partition), (from, to), intake.clone()) {
        Ok(()) => json_answer(StatusCode::OK, &json!({})),
        Err(error) => refused(trail, verb, request, &error).await,
    }
}

fn given(request: &Parts, wanted: &str) -> Option<String> {
    let query = request.uri.query().unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find_map(|(name, value)| (name == wanted).then(|| value.into_owned()))
}
