//! The function's own endpoints, below `/_/`: program, record, counts, gates.
//!
//! There is no access control: the function listens on loopback and is for tests.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Response, StatusCode, header, request::Parts};
use serde_json::Value;

use crate::{
    answer::{AnswerBody, plain},
    book::line_of,
    program::Program,
    record::Stats,
    server::Shared,
};

/// Answers a request below `/_/`.
pub(crate) async fn handle(parts: &Parts, body: &Bytes, shared: &Arc<Shared>) -> Response<AnswerBody> {
    let path = parts.uri.path().strip_prefix("/_/").unwrap_or_default();
    let query = parts.uri.query().unwrap_or_default();
    match (&parts.method, path) {
        (&Method::GET, "health") => plain(StatusCode::OK, "ok\n"),
        (&Method::GET, "log") => {
            let lines: Vec<u8> = shared.book.records().iter().flat_map(line_of).collect();
            json(lines, "application/jsonl")
        }
        (&Method::DELETE, "log") => {
            shared.book.clear();
            plain(StatusCode::NO_CONTENT, "")
        }
        (&Method::GET, "stats") => json_of(&shared.book.stats()),
        (&Method::GET, "wait") => wait(query, shared).await,
        (&Method::GET, "program") => json_of(&shared.program()),
        (&Method::PUT, "program") => put_program(body, shared),
        (&Method::POST, _) if path.starts_with("release/") => {
            release(&path["release/".len()..], query, shared)
        }
        _ => plain(StatusCode::NOT_FOUND, "unknown; see the README of the function\n"),
    }
}

fn put_program(body: &Bytes, shared: &Shared) -> Response<AnswerBody> {
    match Program::parse(&String::from_utf8_lossy(body)) {
        Ok(program) => {
            shared.set_program(program);
            plain(StatusCode::NO_CONTENT, "")
        }
        Err(why) => plain(StatusCode::BAD_REQUEST, format!("{why}\n")),
    }
}

/// `release/GATE` opens it for good, `release/GATE?n=3` lets three through.
fn release(gate: &str, query: &str, shared: &Shared) -> Response<AnswerBody> {
    match query.strip_prefix("n=").map(str::parse).transpose() {
        Ok(count) => {
            shared.release(gate, count);
            plain(StatusCode::NO_CONTENT, "")
        }
        Err(_) => plain(StatusCode::BAD_REQUEST, "n must be a whole number\n"),
    }
}

/// `wait?ended=10&distinct=8` answers with the counts as soon as each named one is at least that.
async fn wait(query: &str, shared: &Shared) -> Response<AnswerBody> {
    let known = serde_json::to_value(Stats::default()).unwrap_or_default();
    let parse = |pair: &str| {
        let (name, least) = pair.split_once('=')?;
        known.get(name)?.as_u64()?;
        Some((name.to_owned(), least.parse::<u64>().ok()?))
    };
    let Some(wanted) = query.split('&').map(parse).collect::<Option<Vec<_>>>() else {
        return plain(StatusCode::BAD_REQUEST, "expected counts of /_/stats, such as ?ended=10&distinct=8\n");
    };
    let enough = |stats: &Stats| {
        let stats = serde_json::to_value(stats).unwrap_or_default();
        wanted.iter().all(|(name, least)| stats.get(name).and_then(Value::as_u64) >= Some(*least))
    };
    json_of(&shared.book.wait_for(enough).await)
}

fn json_of(value: &impl serde::Serialize) -> Response<AnswerBody> {
    json(serde_json::to_vec(value).unwrap_or_default(), "application/json")
}

fn json(body: Vec<u8>, content_type: &'static str) -> Response<AnswerBody> {
    let mut response = plain(StatusCode::OK, body);
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}
