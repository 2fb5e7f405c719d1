//! Events, and a client that sends them in the three modes of the `CloudEvents` HTTP binding (1.0.2).
//!
//! The encoding is written here anew, so that outrigger's own is not its own judge.

use std::fmt::Write as _;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Map, Value, value::RawValue};

/// One event to send. Fields are sent as they are: a test may make them wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// The attribute `id`.
    pub id: String,
    /// The attribute `source`.
    pub source: String,
    /// The attribute `type`.
    pub ty: String,
    /// The attribute `partitionkey`.
    pub key: Option<String>,
    /// The attribute `datacontenttype`.
    pub content_type: Option<String>,
    /// Other attributes, as text.
    pub extensions: Vec<(String, String)>,
    /// The data, as the function must get it.
    pub data: Bytes,
}

/// The modes of the HTTP binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Attributes in headers.
    Binary,
    /// One JSON object.
    Structured,
    /// A JSON array; here of one event, see [`Producer::send_batch`].
    Batch,
}

impl Mode {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Binary, Self::Structured, Self::Batch];
}

impl Outgoing {
    /// The event `id` of `key`, with a small JSON object as its data.
    #[must_use]
    pub fn new(id: &str, key: Option<&str>) -> Self {
        Self {
            id: id.to_owned(),
            source: "/testkit".to_owned(),
            ty: "io.outrigger.test".to_owned(),
            key: key.map(str::to_owned),
            content_type: Some("application/json".to_owned()),
            extensions: Vec::new(),
            // The spaces would not survive being parsed and written again.
            data: Bytes::from(format!("{{ \"id\" : {} }}", Value::from(id))),
        }
    }

    /// The same with other data.
    #[must_use]
    pub fn with_data(mut self, content_type: &str, data: impl Into<Bytes>) -> Self {
        (self.content_type, self.data) = (Some(content_type.to_owned()), data.into());
        self
    }

    /// Every attribute but `datacontenttype`: name and text.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        let named = [("specversion", "1.0"), ("id", &self.id), ("source", &self.source), ("type", &self.ty)];
        let key = self.key.as_deref().map(|key| ("partitionkey", key));
        let others = self.extensions.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        named.into_iter().chain(key).chain(others)
    }

    /// The headers of binary mode (HTTP binding 3.1).
    ///
    /// # Panics
    /// An attribute's name cannot be a header's.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, text) in self.attributes() {
            let name: HeaderName = format!("ce-{name}").parse().expect("an attribute's name fits a header");
            headers.append(name, percent_encoded(text));
        }
        if let Some(content_type) = &self.content_type {
            let value = HeaderValue::from_str(content_type).expect("a content type fits a header");
            headers.insert("content-type", value);
        }
        headers
    }

    /// The JSON object of structured mode: `data` as it stands where it is JSON by its content type, else
    /// `data_base64` (JSON format 3.1).
    ///
    /// # Panics
    /// The data is not JSON although its content type says so.
    #[must_use]
    pub fn json(&self) -> String {
        let mut attributes: Map<String, Value> =
            self.attributes().map(|(name, text)| (name.to_owned(), text.into())).collect();
        if let Some(content_type) = &self.content_type {
            attributes.insert("datacontenttype".to_owned(), content_type.clone().into());
        }
        let mut object = Value::from(attributes).to_string();
        object.pop();
        if self.is_json() {
            let raw: &RawValue = serde_json::from_slice(&self.data).expect("JSON data");
            let _ = write!(object, ",\"data\":{raw}}}");
        } else {
            let _ = write!(object, ",\"data_base64\":\"{}\"}}", BASE64_STANDARD.encode(&self.data));
        }
        object
    }

    fn is_json(&self) -> bool {
        let media_type =
            self.content_type.as_deref().map(|text| text.split(';').next().unwrap_or_default().trim());
        media_type.is_none_or(|media_type| media_type.ends_with("/json") || media_type.ends_with("+json"))
    }
}

/// A client of one ingress, with kept connections. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Producer {
    url: String,
    client: Client<HttpConnector, Full<Bytes>>,
    headers: HeaderMap,
}

impl Producer {
    /// A client that posts to `url`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { url: url.to_owned(), client, headers: HeaderMap::new() }
    }

    /// Sends this header with everything, such as `authorization`.
    ///
    /// # Panics
    /// `value` cannot be a header's.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, HeaderValue::from_str(value).expect("a header's value"));
        self
    }

    /// Sends one event and returns the whole answer.
    ///
    /// # Errors
    /// There was no connection, or no whole answer: the event may have been accepted or not.
    pub async fn send(&self, event: &Outgoing, mode: Mode) -> Result<Response<Bytes>, String> {
        match mode {
            Mode::Binary => self.post(event.headers(), event.data.clone()).await,
            Mode::Structured => {
                self.post(content_type("application/cloudevents+json; charset=utf-8"), event.json()).await
            }
            Mode::Batch => self.send_batch(std::slice::from_ref(event)).await,
        }
    }

    /// Sends a batch and returns the whole answer.
    ///
    /// # Errors
    /// As [`Producer::send`].
    pub async fn send_batch(&self, events: &[Outgoing]) -> Result<Response<Bytes>, String> {
        let objects: Vec<_> = events.iter().map(Outgoing::json).collect();
        let body = format!("[{}]", objects.join(","));
        self.post(content_type("application/cloudevents-batch+json"), body).await
    }

    /// Posts any headers and body: the malformed, the compressed.
    ///
    /// # Errors
    /// As [`Producer::send`].
    pub async fn post(&self, headers: HeaderMap, body: impl Into<Bytes>) -> Result<Response<Bytes>, String> {
        let mut request = Request::post(&self.url).body(Full::new(body.into())).map_err(|e| e.to_string())?;
        *request.headers_mut() = headers;
        for (name, value) in &self.headers {
            request.headers_mut().insert(name, value.clone());
        }
        let response = self.client.request(request).await.map_err(|error| told(&error))?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| told(&error))?.to_bytes();
        Ok(Response::from_parts(parts, body))
    }
}

/// The error with its causes: hyper's own text only says which step failed.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn content_type(value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static(value))])
}

/// The header form of an attribute: space, `"`, `%` and all beyond printable ASCII as `%XY` (binding 3.1.3.2).
fn percent_encoded(text: &str) -> HeaderValue {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'!' | b'#' | b'$' | b'&'..=b'~' => encoded.push(char::from(byte)),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    HeaderValue::from_str(&encoded).expect("printable ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_percent_coded_as_the_specification_shows() {
        assert_eq!(percent_encoded("Euro € 😀"), "Euro%20%E2%82%AC%20%F0%9F%98%80");
        assert_eq!(percent_encoded("a\"b%c~!"), "a%22b%25c~!");
    }

    #[test]
    fn json_data_is_embedded_as_it_stands_and_other_data_in_base64() {
        let event = Outgoing::new("1", Some("k"));
        assert!(event.json().ends_with(r#","data":{ "id" : "1" }}"#), "{}", event.json());
        let event = event.with_data("application/octet-stream", &b"\xff"[..]);
        let value: Value = serde_json::from_str(&event.json()).unwrap();
        assert_eq!((&value["data_base64"], &value["partitionkey"]), (&"/w==".into(), &"k".into()));
        assert_eq!(value["specversion"], "1.0");
    }

    #[tokio::test]
    async fn each_mode_is_understood_by_the_function_and_carries_the_same_names() {
        let function = outrigger_function::Function::start(outrigger_function::Program::default());
        let producer = Producer::new(&function.url());
        let event = Outgoing::new("é 1", Some("k"));
        for mode in Mode::ALL {
            assert_eq!(producer.send(&event, mode).await.unwrap().status(), 200);
        }
        for record in function.log() {
            assert_eq!(
                (record.id.as_deref(), record.key.as_deref()),
                (Some("é 1"), Some("k")),
                "{:?}",
                record.mode
            );
        }
        assert_eq!(function.stats().distinct, 1);
    }
}
