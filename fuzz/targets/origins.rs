//! What services of AWS and GitHub send: a line that says who, then headers, an empty line and a body. Nothing panics,
//! errors are one line, and whatever becomes an event is one that can be written and read again, its data a part of the
//! body where it was not written in another way there.
//!
//! GitHub's module is compiled from the sidecar's own file.
#![no_main]

use outrigger_aws::decode::{Origin, events};
use outrigger_core::{Event, event::json};
use outrigger_fuzz::{message, said_well};

#[allow(dead_code)]
#[path = "../../sidecar/src/ingress/cloudevents.rs"]
mod cloudevents;
#[allow(dead_code)]
#[path = "../../sidecar/src/ingress/github/mod.rs"]
mod github;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (who, rest) = data.split_at(at);
    let (headers, body) = message(rest.strip_prefix(b"\n").unwrap_or(rest));
    let origin = match who {
        b"eventbridge" => Origin::EventBridge,
        b"s3" => Origin::S3,
        b"sns" => Origin::Sns,
        b"sqs" => Origin::Sqs,
        b"lambda" => Origin::Lambda,
        _ => {
            if let Ok(event) = github::decode(&headers, body.clone()).inspect_err(said_well) {
                assert_eq!(event.data(), Some(&body));
                there_and_back(&event);
            }
            return;
        }
    };
    let Ok(items) = events(origin, &headers, &body, Some("/queue")).inspect_err(said_well) else { return };
    for item in items {
        match item {
            Ok(event) => {
                let data = event.data().map(|data| &data[..]).unwrap_or_default();
                let is_part = data.is_empty() || body.windows(data.len()).any(|part| part == data);
                assert!(is_part || matches!(origin, Origin::Sqs | Origin::Lambda), "{event:?}");
                there_and_back(&event);
            }
            Err(malformed) => assert!(!malformed.why.contains('\n') && malformed.raw.len() <= body.len()),
        }
    }
});

fn there_and_back(event: &Event) {
    // White space around a JSON payload is no part of its value.
    let again = json::decode(json::encode(event)).expect("it was written by us");
    assert_eq!((again.id(), again.source(), again.ty()), (event.id(), event.source(), event.ty()));
    let trimmed = |event: &Event| event.data().map(|data| data.trim_ascii().to_vec());
    assert_eq!(trimmed(&again), trimmed(event));
}
