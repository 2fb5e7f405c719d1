//! The form in which the journal keeps an event. Two readings of the input: as such a record; and as an event in JSON
//! behind five bytes that say how its record is damaged. A damaged record is refused or read, and never crashes; an
//! undamaged one is the same event.
#![no_main]

use bytes::Bytes;
use outrigger_core::event::{json, record};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    survive(data);
    let Some((&[at_high, at_low, flip, cut_high, cut_low], text)) = data.split_first_chunk() else { return };
    let Ok(event) = json::decode(Bytes::copy_from_slice(text)) else { return };
    let mut stored = Vec::new();
    record::encode(&event, &mut stored);
    let again = record::decode(&stored).expect("what was written can be read");
    assert_eq!(event, again);

    let at = usize::from(u16::from_be_bytes([at_high, at_low])) % stored.len();
    stored[at] ^= flip;
    let cut = usize::from(u16::from_be_bytes([cut_high, cut_low]));
    stored.truncate(stored.len().saturating_sub(cut));
    survive(&stored);
});

fn survive(stored: &[u8]) {
    let Ok(event) = record::decode(stored) else { return };
    let mut again = Vec::new();
    record::encode(&event, &mut again);
    assert_eq!(event, record::decode(&again).expect("what was written can be read"));
}
