//! A Pub/Sub for tests: Google's in-memory server, or a fake of ours for what that lacks, with messages published by
//! Google's Go client, faults that are injected, and a look at what was delivered and acknowledged.
//!
//! | | [`google`] | [`fake`] |
//! |---|---|---|
//! | what it is | Google's `pstest` | ours, by the published proto and documentation |
//! | a key | one message in flight | all at once; the tail again after a nack |
//! | flow control | none | as the client asks |
//! | exactly once | a stale ack is taken | refused, by an `ErrorInfo` |
//! | dead-letter policy | floods, without attributes | as documented |
//!
//! Both are one program (`pstest/`), which `scripts/pstest.sh` builds once. Each server is a process of its own, is ready
//! in milliseconds, listens on 127.0.0.1 only, and dies with the test process.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Outgoing;

/// The project of all names.
pub const PROJECT: &str = "test";

/// A server of Google's for the test `test`, or `None` after that was reported as skipped.
///
/// # Panics
/// It did not start.
#[must_use]
pub fn google(test: &str) -> Option<Server> {
    Server::start(test, &[])
}

/// A fake server of ours for the test `test`, or `None` after that was reported as skipped.
///
/// # Panics
/// It did not start.
#[must_use]
pub fn fake(test: &str) -> Option<Server> {
    Server::start(test, &["-fake"])
}

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// A message to publish.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// Its data.
    pub data: Bytes,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
    /// Its ordering key; empty is none.
    pub ordering_key: String,
}

/// A message that was published, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Told {
    /// Its id.
    pub id: String,
    /// Its topic, by its whole name.
    pub topic: String,
    /// Its data as base64.
    pub data: String,
    /// Its attributes.
    pub attributes: Option<BTreeMap<String, String>>,
    /// Its ordering key.
    pub ordering_key: String,
    /// How often it was delivered, over all subscriptions.
    pub deliveries: u64,
    /// How often it was acknowledged.
    pub acks: u64,
    /// The deadlines that were set for it, in seconds; 0 is a nack.
    pub deadlines: Vec<i32>,
}

/// Calls that are made to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The RPC, such as `Acknowledge`; `Nack` is a `ModifyAckDeadline` of 0.
    pub method: &'static str,
    /// The code, such as `PERMISSION_DENIED`.
    pub code: &'static str,
    /// How often; below zero is until faults are cleared.
    pub times: i32,
    /// What the answer's `ErrorInfo` says of each ack id, such as `PERMANENT_FAILURE_INVALID_ACK_ID`.
    pub reason: &'static str,
}

impl Server {
    fn start(test: &str, arguments: &[&str]) -> Option<Self> {
        let program = match program() {
            Ok(program) => program,
            Err(absent) => {
                crate::skip(&format!("pubsub/{test}"), absent);
                return None;
            }
        };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("what scripts/pstest.sh built can be started");
        let mut line = String::new();
        let output = child.stdout.take().expect("the output is a pipe");
        BufReader::new(output).read_line(&mut line).expect("the server says when it is ready");
        let port = line.trim().strip_prefix("ready ").and_then(|port| port.parse().ok());
        let port: u16 = port.unwrap_or_else(|| panic!("the server said {line:?}"));
        let client = Client::builder(TokioExecutor::new()).build_http();
        Some(Self { child, address: ([127, 0, 0, 1], port).into(), client })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes a topic.
    ///
    /// # Panics
    /// It was refused.
    pub async fn topic(&self, name: &str) {
        self.done(Method::PUT, &format!("/v1/projects/{PROJECT}/topics/{name}"), &json!({})).await;
    }

    /// Makes a subscription of a topic; `beside` are further fields, such as `{"enableMessageOrdering": true}`.
    ///
    /// # Panics
    /// It was refused.
    pub async fn subscription(&self, name: &str, topic: &str, mut beside: Value) {
        beside["topic"] = json!(format!("projects/{PROJECT}/topics/{topic}"));
        self.done(Method::PUT, &format!("/v1/projects/{PROJECT}/subscriptions/{name}"), &beside).await;
    }

    /// Deletes a subscription.
    ///
    /// # Panics
    /// It was refused.
    pub async fn delete_subscription(&self, name: &str) {
        let path = format!("/v1/projects/{PROJECT}/subscriptions/{name}");
        self.done(Method::DELETE, &path, &Value::Null).await;
    }

    /// Publishes by Google's Go client, and gives back the ids.
    ///
    /// # Panics
    /// It was refused.
    pub async fn publish(&self, topic: &str, messages: &[Message]) -> Vec<String> {
        let messages: Vec<Value> = messages
            .iter()
            .map(|message| {
                json!({
                    "data": BASE64_STANDARD.encode(&message.data),
                    "attributes": message.attributes,
                    "orderingKey": message.ordering_key,
                })
            })
            .collect();
        let wanted = json!({ "topic": topic, "messages": messages });
        let answer = self.done(Method::POST, "/testkit/publish", &wanted).await;
        serde_json::from_value(answer["ids"].clone()).expect("ids")
    }

    /// Puts so many events of 1 KiB over so many keys into a topic of the [`fake`], at once.
    ///
    /// # Panics
    /// It is not the fake, or was refused.
    pub async fn fill(&self, topic: &str, events: u64, keys: u64) {
        let topic = format!("projects/{PROJECT}/topics/{topic}");
        let wanted = json!({ "topic": topic, "events": events, "keys": keys });
        self.done(Method::POST, "/testkit/fill", &wanted).await;
    }

    /// Every message of a topic, in the order of publishing.
    ///
    /// # Panics
    /// The server does not answer.
    pub async fn messages(&self, topic: &str) -> Vec<Told> {
        let path = format!("/testkit/messages?topic=projects/{PROJECT}/topics/{topic}");
        let answer = self.done(Method::GET, &path, &Value::Null).await;
        serde_json::from_value(answer).expect("messages")
    }

    /// Makes calls fail.
    ///
    /// # Panics
    /// The server does not answer.
    pub async fn fault(&self, fault: &Fault) {
        let Fault { method, code, times, reason } = fault;
        let fault = json!({"method": method, "code": code, "times": times, "reason": reason, "message": "by the test"});
        self.done(Method::POST, "/testkit/fault", &fault).await;
    }

    /// Makes no call fail any more.
    ///
    /// # Panics
    /// The server does not answer.
    pub async fn clear_faults(&self) {
        self.done(Method::DELETE, "/testkit/fault", &Value::Null).await;
    }

    /// Ends every open stream, as a server that restarts does.
    ///
    /// # Panics
    /// The server does not answer.
    pub async fn cut(&self) {
        self.done(Method::POST, "/testkit/cut", &Value::Null).await;
    }

    async fn done(&self, method: Method, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let uri = format!("http://{}{path}", self.address);
        let request = Request::builder().method(method).uri(uri).body(Full::new(body)).expect("a request");
        let answer = self.client.request(request).await.expect("the server answers");
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("a whole answer").to_bytes();
        assert!(status.is_success(), "{path}: {status}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap_or(Value::Null)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Message {
    /// An event in the binary mode; its ordering key is the event's key.
    #[must_use]
    pub fn binary(event: &Outgoing) -> Self {
        let mut attributes: BTreeMap<_, _> =
            event.attributes().map(|(name, text)| (format!("ce-{name}"), text.to_owned())).collect();
        if let Some(ty) = &event.content_type {
            attributes.insert("content-type".to_owned(), ty.clone());
        }
        Self { data: event.data.clone(), attributes, ordering_key: event.key.clone().unwrap_or_default() }
    }

    /// An event in the structured mode.
    #[must_use]
    pub fn structured(event: &Outgoing) -> Self {
        let ty = "application/cloudevents+json; charset=utf-8".to_owned();
        Self {
            data: event.json().into(),
            attributes: [("Content-Type".to_owned(), ty)].into(),
            ordering_key: event.key.clone().unwrap_or_default(),
        }
    }

    /// A message that is no event.
    #[must_use]
    pub fn plain(data: impl Into<Bytes>, attributes: &[(&str, &str)]) -> Self {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { data: data.into(), attributes: attributes.collect(), ordering_key: String::new() }
    }
}

impl Told {
    /// Its data.
    ///
    /// # Panics
    /// The server did not write base64.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        BASE64_STANDARD.decode(&self.data).expect("base64")
    }

    /// An attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.as_ref()?.get(name).map(String::as_str)
    }

    /// How often it was given back.
    #[must_use]
    pub fn nacks(&self) -> usize {
        self.deadlines.iter().filter(|deadline| **deadline == 0).count()
    }
}

/// The program, which the script finds, or what is absent.
fn program() -> Result<&'static str, &'static str> {
    static FOUND: OnceLock<Result<String, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        if let Some(named) = std::env::var_os("OUTRIGGER_PSTEST").filter(|name| !name.is_empty()) {
            return Ok(named.to_string_lossy().into_owned());
        }
        let script = crate::place::workspace().join("scripts/pstest.sh");
        let run = Command::new(script).arg("--find").output().map_err(|error| error.to_string())?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
        if run.status.success() { Ok(text(run.stdout)) } else { Err(text(run.stderr)) }
    });
    found.as_ref().map(String::as_str).map_err(String::as_str)
}
