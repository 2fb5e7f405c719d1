//! A message of Pub/Sub: as it is pushed, wrapped in JSON or with its metadata as headers. Nothing panics, and whatever
//! becomes an event is one that can be written and read again.
//!
//! The modules are compiled from the adapter's own files, because the adapter itself brings Google's client along.
#![no_main]

use outrigger_core::event::json;
use outrigger_fuzz::message;

#[path = "../../adapters/pubsub/src/decode/mod.rs"]
mod decode;
#[path = "../../adapters/pubsub/src/push/unwrapped.rs"]
mod unwrapped;
#[path = "../../adapters/pubsub/src/push/wrapped.rs"]
mod wrapped;

use decode::{Place, decode};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (headers, body) = message(data);
    let read =
        if unwrapped::is(&headers) { unwrapped::message(&headers, body) } else { wrapped::message(&body) };
    let Ok((message, subscription)) = read.inspect_err(|why| assert!(!why.contains('\n'), "{why:?}")) else {
        return;
    };
    let size = message.size();
    match decode(&message, &Place { subscription, topic: Some("projects/p/topics/t".to_owned()) }) {
        Ok(event) => assert_eq!(json::decode(json::encode(&event)), Ok(event)),
        Err(malformed) => {
            assert!(!malformed.why.contains('\n') && malformed.raw.len() <= size, "{malformed:?}")
        }
    }
    assert!(decode::hop(&message).len() <= message.attributes.len());
    assert!(decode::kept(&message, &["traceparent"]).len() <= 1);
});
