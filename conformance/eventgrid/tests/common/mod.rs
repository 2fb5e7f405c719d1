//! A client of the tests' own, which can say anything: requests are written as text.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

pub mod webhook;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use outrigger_eventgrid_fake::{Fake, config::TEST_KEY};
use serde_json::Value;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A request.
#[derive(Debug, Clone)]
pub struct Ask {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Ask {
    /// A POST with the key of a namespace.
    pub fn post(target: &str) -> Self {
        Self::bare("POST", target).header("authorization", &format!("SharedAccessKey {TEST_KEY}"))
    }

    pub fn bare(method: &str, target: &str) -> Self {
        Self { method: method.to_owned(), target: target.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(named, _)| named != name);
        self
    }

    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub fn send(&self, fake: &Fake) -> Answer {
        self.try_send(fake.addr()).expect("an answer")
    }

    /// `None`: the connection was closed without an answer.
    pub fn try_send(&self, address: SocketAddr) -> Option<Answer> {
        let mut text = format!("{} {} HTTP/1.1\r\nconnection: close\r\n", self.method, self.target);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            text.extend(["host: ", &address.to_string(), "\r\n"]);
        }
        for (name, value) in &self.headers {
            text.extend([name, ": ", value, "\r\n"]);
        }
        text.extend(["content-length: ", &self.body.len().to_string(), "\r\n\r\n"]);
        exchange(address, text.as_bytes(), &self.body)
    }
}

/// Writes a whole request, and reads until the connection is closed.
pub fn exchange(address: SocketAddr, head: &[u8], body: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).expect("the fake listens");
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    stream.write_all(head).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap_or_default();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// A `CloudEvent` with this id.
pub fn event(id: &str) -> Value {
    serde_json::json!({"specversion": "1.0", "id": id, "source": "/s", "type": "t", "data": {"n": 1}})
}

pub const PUBLISH: &str = "/topics/t1:publish?api-version=2024-06-01";
pub const BATCH: &str = "application/cloudevents-batch+json; charset=utf-8";
pub const STRUCTURED: &str = "application/cloudevents+json; charset=utf-8";

/// The target of an operation on the subscription `s1`.
pub fn target(op: &str, more: &str) -> String {
    format!("/topics/t1/eventsubscriptions/s1:{op}?api-version=2024-06-01{more}")
}

/// Publishes events with these ids to `t1`.
pub fn publish(fake: &Fake, ids: &[&str]) {
    let events: Vec<_> = ids.iter().map(|id| event(id)).collect();
    let answer = Ask::post(PUBLISH).body(BATCH, Value::from(events).to_string()).send(fake);
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Receives up to so many: token, id and delivery count of each.
pub fn receive(fake: &Fake, max: usize) -> Vec<(String, String, u64)> {
    let answer = Ask::post(&target("receive", &format!("&maxEvents={max}&maxWaitTime=10"))).send(fake);
    assert_eq!(answer.status, 200, "{answer:?}");
    let received = answer.json()["value"].as_array().unwrap().clone();
    received
        .iter()
        .map(|one| {
            let broker = &one["brokerProperties"];
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&broker["lockToken"]), text(&one["event"]["id"]), broker["deliveryCount"].as_u64().unwrap())
        })
        .collect()
}

/// Does `op` with one token: `Ok`, or the error's code.
pub fn settle(fake: &Fake, op: &str, more: &str, token: &str) -> Result<(), String> {
    let answer = Ask::post(&target(op, more)).json(&serde_json::json!({"lockTokens": [token]})).send(fake);
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    match answer["failedLockTokens"].as_array().unwrap().as_slice() {
        [] => {
            assert_eq!(answer["succeededLockTokens"], serde_json::json!([token]));
            Ok(())
        }
        [failed] => {
            assert_eq!(failed["lockToken"], token);
            assert!(!failed["error"]["message"].as_str().unwrap().is_empty());
            Err(failed["error"]["code"].as_str().unwrap().to_owned())
        }
        more => panic!("{more:?}"),
    }
}

/// Reports that `test` was not run, as `scripts/lib.sh` does: `SKIPPED <test>: <why>`.
pub fn skip(test: &str, why: &str) {
    let line = format!("SKIPPED {test}: {}\n", why.split_whitespace().collect::<Vec<_>>().join(" "));
    // Not `eprintln!`: the test harness would swallow that for a test that passes.
    let _ = std::io::stderr().write_all(line.as_bytes());
    #[expect(clippy::disallowed_methods, reason = "where skips are collected is said by the environment")]
    let Some(file) = std::env::var_os("OUTRIGGER_SKIPS_FILE").filter(|name| !name.is_empty()) else { return };
    let open = std::fs::File::options().create(true).append(true).open(&file);
    open.and_then(|mut file| file.write_all(line.as_bytes())).expect("the file of skips can be written");
}
