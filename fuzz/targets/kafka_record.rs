//! A record of Kafka: a header a line, of which one without a colon is null; an empty line; the value, which is null
//! when the empty line is not there. It is an event, a plain record or neither, and its value stays what it was.
//!
//! The module is compiled from the adapter's own files, because the adapter itself brings a C library along.
#![no_main]

use std::borrow::Cow;

use outrigger_core::event::{http as http_binding, kafka};
use outrigger_fuzz::said_well;

#[path = "../../adapters/kafka/src/decode/mod.rs"]
mod decode;

use decode::{Plain, Record, decode};

type Headers<'a> = Vec<(Cow<'a, str>, Option<&'a [u8]>)>;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (headers, value) = record(data);
    let pairs = || headers.iter().map(|(name, value)| (name.as_ref(), *value));
    match kafka::read(pairs(), value).inspect_err(said_well) {
        Ok(Some(event)) => there_and_back(&event),
        Ok(None) | Err(_) => {}
    }
    let plain = Plain::new("/{topic}", "fuzz", None, true).expect("a good configuration");
    let record = Record {
        topic: "fuzz",
        partition: 1,
        offset: i64::try_from(data.len()).unwrap_or_default(),
        timestamp_ms: value.and_then(<[u8]>::first_chunk).map(|bytes| i64::from_be_bytes(*bytes)),
        key: value.map(|value| &value[..value.len() / 2]),
        value,
        headers: pairs(),
    };
    match decode(&record, &plain) {
        Ok(event) => {
            there_and_back(&event);
            over_http(&event);
            if !matches!(kafka::mode(pairs()), Ok(kafka::Mode::Structured(_))) {
                assert_eq!(event.data().map(|data| &data[..]), value);
            }
        }
        Err(malformed) => {
            assert_eq!(malformed.raw, value.unwrap_or_default());
            assert!(malformed.headers.len() >= headers.len());
        }
    }
});

fn record(data: &[u8]) -> (Headers<'_>, Option<&[u8]>) {
    let mut headers = Vec::new();
    let mut rest = data;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = &rest[..end];
        rest = &rest[end + 1..];
        if line.is_empty() {
            return (headers, Some(rest));
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let name = String::from_utf8_lossy(&line[..colon.unwrap_or(line.len())]);
        headers.push((name, colon.map(|colon| line[colon + 1..].trim_ascii())));
    }
    (headers, None)
}

fn there_and_back(event: &outrigger_core::Event) {
    let (headers, value) = kafka::encode(event);
    let pairs = headers.iter().map(|(name, value)| (name.as_ref(), Some(value.as_bytes())));
    let again = kafka::read(pairs, value.as_deref()).expect("what was written can be read");
    let again = again.expect("what was written is an event");
    if headers.len() > 1 {
        assert_eq!(&again, event);
    } else {
        // JSON keeps no white space around the data.
        assert!(again.attributes().eq(event.attributes()));
    }
}

/// Whatever a record holds, its event has headers that HTTP can carry.
fn over_http(event: &outrigger_core::Event) {
    let mut headers = http::HeaderMap::new();
    let body = http_binding::encode(event, &mut headers);
    let mut again = http_binding::decode(&headers, body).expect("what was written can be read");
    again.set_data(event.data().cloned());
    assert_eq!(&again, event);
}
