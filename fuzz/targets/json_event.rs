//! One event in the JSON format. Whatever is read must be written and read again as the same event.
#![no_main]

use bytes::Bytes;
use outrigger_core::event::json;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    match json::decode(Bytes::copy_from_slice(data)) {
        Ok(event) => {
            let again = json::decode(json::encode(&event)).expect("what was written can be read");
            assert_eq!(event, again);
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.chars().count() <= 300 && !text.contains('\n'), "{text:?}");
        }
    }
});
