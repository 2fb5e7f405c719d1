//! One event in the JSON format. Whatever is read must be written and read again as the same event.
#![no_main]

use bytes::Bytes;
use outrigger_core::event::json;
use outrigger_fuzz::said_well;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(event) = json::decode(Bytes::copy_from_slice(data)).inspect_err(said_well) else { return };
    let again = json::decode(json::encode(&event)).expect("what was written can be read");
    assert_eq!(event, again);
});
