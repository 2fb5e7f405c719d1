//! One line per request, as a test reads it back, and the counts over all of them.
//!
//! Both are JSON on the wire (`GET /_/log`, `GET /_/stats`, `--log FILE`) and these types in a test.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::identity::Mode;

/// One request, as the function saw it. With `--quiet` only `n`, the times, `id`, `key`, `attempt`, the
/// length and checksum of the body, `status` and `outcome` are filled.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// The number of the request since the start (1 is the first). Numbers are given out in order of start.
    pub n: u64,
    /// When the whole request had arrived; microseconds since 1970, by a monotonic clock.
    pub started_us: u64,
    /// When the answer was handed to the socket or the caller went away; `None` while it runs.
    pub ended_us: Option<u64>,
    /// The event's id (of a batch: the first one's).
    pub id: Option<Box<str>>,
    /// The event's `partitionkey`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Box<str>>,
    /// The event's source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Box<str>>,
    /// The event's type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub ty: Option<Box<str>>,
    /// How the event was carried.
    pub mode: Mode,
    /// The ids of a batch, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub batch: Vec<String>,
    /// How often this (source, id) has been seen, this time included; 1 for what is no event.
    pub attempt: u32,
    /// The method.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub method: Box<str>,
    /// The path, without its query.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub path: Box<str>,
    /// All headers, in order; values that are not UTF-8 are shown with replacement characters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// Length of the body in bytes.
    pub body_len: u64,
    /// CRC-32 of the body.
    pub body_crc: u32,
    /// The body, where bodies are kept.
    #[serde(
        rename = "body_base64",
        skip_serializing_if = "Option::is_none",
        serialize_with = "to_base64",
        deserialize_with = "from_base64"
    )]
    pub body: Option<Bytes>,
    /// The status of the answer; `None` without one.
    pub status: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a request ended, as far as the function knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It has not ended.
    #[default]
    Running,
    /// An answer was handed to the socket, whole.
    Answered,
    /// The program made it go wrong.
    Faulted,
    /// The caller closed the connection before there was an answer.
    Gone,
}

/// Counts since the start or the last `DELETE /_/log`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Requests, those still running included; requests below `/_/` are never counted.
    pub received: u64,
    /// Requests that ended, however they did.
    pub ended: u64,
    /// Requests that ended with a whole answer, by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests that the program made go wrong.
    pub faulted: u64,
    /// Requests whose caller went away.
    pub gone: u64,
    /// Distinct (source, id).
    pub distinct: u64,
    /// Requests that repeated an id.
    pub repeats: u64,
    /// Requests at this moment, and those of them that wait at a gate.
    pub running: u64,
    /// Those of the running ones that wait at a gate (`hold`).
    pub held: u64,
    /// The most requests at once.
    pub running_max: u64,
    /// Requests that started while another one of the same `partitionkey` was running.
    pub overlaps: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Records that had to go to stay within the bounds; a judge needs this to be 0.
    pub forgotten: u64,
    /// Events whose id was not counted, because `--ids-max` was reached; `attempt` is 1 for them.
    pub uncounted: u64,
}

#[expect(clippy::ref_option, reason = "serde hands the field over by reference")]
fn to_base64<S: Serializer>(body: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
    body.as_ref().map(|body| BASE64_STANDARD.encode(body)).serialize(serializer)
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Bytes>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let bytes = text.map(|text| BASE64_STANDARD.decode(text)).transpose();
    Ok(bytes.map_err(serde::de::Error::custom)?.map(Bytes::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_its_json_with_any_bytes() {
        let body = Some(Bytes::from_static(b"\xff\x00{"));
        let record = Record { n: 7, id: Some("é".into()), body, status: Some(200), ..Record::default() };
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
        assert!(!json.contains("headers"), "what is empty is left out: {json}");
    }
}
