//! The Protobuf format: one event, and the same bytes as a batch. Whatever is read must be written and read again as the
//! same event, and written as JSON as well; a bad member must come back as bytes that are really in the input.
#![no_main]

use bytes::Bytes;
use outrigger_core::event::{json, proto};
use outrigger_fuzz::said_well;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let input = Bytes::copy_from_slice(data);
    if let Ok(event) = proto::decode(input.clone()).inspect_err(said_well) {
        assert_eq!(proto::decode(proto::encode(&event)).as_ref(), Ok(&event));
        json::decode(json::encode(&event)).expect("what is an event here is one in JSON");
    }
    let Ok(members) = proto::decode_batch(input).inspect_err(said_well) else { return };
    let mut events = Vec::new();
    for member in members {
        match member {
            Ok(event) => events.push(event),
            Err((raw, _)) => {
                assert!(
                    data.windows(raw.len().max(1)).any(|window| window == raw) || raw.is_empty(),
                    "{raw:?} is not of the input"
                );
                assert!(proto::decode(raw).is_err(), "a member that is refused in a batch is valid alone");
            }
        }
    }
    let again = proto::decode_batch(proto::encode_batch(&events)).expect("what was written can be read");
    let again: Vec<_> = again.into_iter().map(|member| member.expect("every member was good")).collect();
    assert_eq!(events, again);
});
