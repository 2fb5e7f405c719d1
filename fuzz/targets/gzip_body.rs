//! A compressed request body, by each compression: it unpacks within its limit or is refused.
#![no_main]

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::CONTENT_ENCODING};
use http_body_util::Full;
use outrigger_net::body::{ACCEPT_ENCODING, BodyLimits, collect};
use tokio::runtime::{Builder, Runtime};

const LIMITS: BodyLimits =
    BodyLimits { bytes_max: 1 << 16, decompressed_bytes_max: 1 << 18, timeout: Duration::from_secs(60) };

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for coding in ACCEPT_ENCODING.split(", ") {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
        let body = Full::new(Bytes::copy_from_slice(data));
        let collected = RUNTIME.with(|runtime| runtime.block_on(collect(&headers, body, &LIMITS)));
        if let Ok(unpacked) = collected {
            assert!(unpacked.len() <= LIMITS.decompressed_bytes_max);
        }
    }
});
