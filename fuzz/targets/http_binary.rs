//! A message in HTTP's binary mode. Whatever is read must be written and read again as the same event.
#![no_main]

use http::HeaderMap;
use outrigger_core::event::http as binding;
use outrigger_fuzz::{message, said_well};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (headers, body) = message(data);
    let _ = binding::mode(&headers).inspect_err(said_well);
    let Ok(event) = binding::decode(&headers, body).inspect_err(said_well) else { return };
    let mut written = HeaderMap::new();
    let body = binding::encode(&event, &mut written);
    let again = binding::decode(&written, body).expect("what was written can be read");
    assert_eq!(event, again);
});
