//! What Azure Event Grid sends: a line that says what it is, then headers, an empty line and a body. A webhook's request
//! is events, a handshake or malformed; a namespace's answers and files of dead letters are read member by member. Nothing
//! panics, and whatever becomes an event is one that can be written and read again.
//!
//! The modules are compiled from the adapter's own files.
#![no_main]

use outrigger_core::{Event, event::json};
use outrigger_fuzz::{message, said_well};

#[path = "../../adapters/eventgrid/src/deadletter.rs"]
mod deadletter;
#[allow(dead_code)]
#[path = "../../adapters/eventgrid/src/decode/mod.rs"]
mod decode;
#[allow(dead_code)]
#[path = "../../adapters/eventgrid/src/webhook/read.rs"]
mod read;
#[path = "../../adapters/eventgrid/src/schema/mod.rs"]
mod schema;

const EVENTS_MAX: usize = 8;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (what, rest) = data.split_at(at);
    let (headers, body) = message(rest.strip_prefix(b"\n").unwrap_or(rest));
    match what {
        b"answer" => {
            for received in decode::events(&body).into_iter().flat_map(|answer| answer.events) {
                assert!(received.deliveries > 0);
                received.item.iter().for_each(there_and_back);
            }
        }
        b"told" => drop(decode::fates(&body, ["a", "b"])),
        b"dead" => {
            for event in deadletter::read(&body).inspect_err(said_well).into_iter().flatten() {
                event.inspect_err(said_well).iter().for_each(there_and_back);
            }
        }
        _ => {
            let Ok(read::Read::Events(items)) = read::request(&headers, &body, EVENTS_MAX) else { return };
            assert!(items.len() <= EVENTS_MAX, "{} members", items.len());
            for item in items {
                item.inspect_err(|malformed| assert!(!malformed.why.contains('\n'), "{malformed:?}"))
                    .iter()
                    .for_each(there_and_back);
            }
        }
    }
});

fn there_and_back(event: &Event) {
    assert_eq!(json::decode(json::encode(event)).as_ref(), Ok(event));
}
