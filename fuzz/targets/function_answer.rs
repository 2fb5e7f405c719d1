//! A function's answer: two bytes of status, then a message. It is a reply or an error with its retry advice
//! (`Retry-After` in seconds or as a date among it), and never more than the reply's limit.
#![no_main]

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use outrigger_core::{Body, BoxFuture, Call as _, CallCx, Error, Event, Exchange, Result, TargetId};
use outrigger_http::{Config, FunctionCall, Replies};
use tokio::runtime::{Builder, Runtime};

const REPLY_BYTES_MAX: usize = 4096;

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
}

/// The answer that is always given.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: bytes::Bytes,
}

impl Exchange for Answer {
    fn send<'a>(&'a self, _: Request<Body>, _: &'a CallCx) -> BoxFuture<'a, Result<Response<Body>>> {
        let body = Full::new(self.body.clone()).map_err(|never| match never {}).boxed_unsync();
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        Box::pin(async { Ok(response) })
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&status, message)) = data.split_first_chunk() else { return };
    let Ok(status) = StatusCode::from_u16(u16::from_be_bytes(status)) else { return };
    let (headers, body) = outrigger_fuzz::message(message);
    let base = Config::new(Uri::from_static("http://127.0.0.1:1/")).expect("a good address");
    let config = Config { replies: Replies::Used, reply_bytes_max: REPLY_BYTES_MAX, ..base };
    let call = FunctionCall::new(&config, Arc::new(Answer { status, headers, body }));
    let events = [Event::new("1", "/fuzz", "fuzz").expect("a good event")];
    let target = TargetId("function".into());
    let cx = CallCx::first(target);
    match RUNTIME.with(|runtime| runtime.block_on(call.call(&events, &cx))) {
        Ok(replies) => {
            assert_eq!(replies.len(), 1);
            assert!(replies[0].body.len() <= REPLY_BYTES_MAX);
        }
        Err(error) => told_well(&error),
    }
});

/// An error's text is one line, and its wait is one that a clock can be moved by.
fn told_well(error: &Error) {
    assert!(!error.to_string().contains('\n'), "{error}");
    let wait = error.retry_after().unwrap_or_default();
    assert!(std::time::Instant::now().checked_add(wait.min(Duration::from_secs(1 << 33))).is_some());
}
