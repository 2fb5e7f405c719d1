//! A batch in the JSON format. Its good members must be written and read again as they are; a bad one must come back as
//! bytes that are really in the input, and must be refused alone as well.
#![no_main]

use bytes::Bytes;
use outrigger_core::event::json;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(members) = json::decode_batch(Bytes::copy_from_slice(data)) else { return };
    let mut events = Vec::new();
    for member in members {
        match member {
            Ok(event) => events.push(event),
            Err((raw, _)) => {
                assert!(
                    data.windows(raw.len().max(1)).any(|window| window == raw),
                    "{raw:?} is not of the input"
                );
                assert!(json::decode(raw).is_err(), "a member that is refused in a batch is valid alone");
            }
        }
    }
    let again = json::decode_batch(json::encode_batch(&events)).expect("what was written can be read");
    let again: Vec<_> = again.into_iter().map(|member| member.expect("every member was good")).collect();
    assert_eq!(events, again);
});
