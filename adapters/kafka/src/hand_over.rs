//! A message of librdkafka as a record, without a copy.

use crate::{client::Take, decode::Record};
use rdkafka::{
    Message,
    message::{BorrowedMessage, Headers as _, Timestamp},
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The most headers of a record that are looked at without allocating.
const HEADERS: usize = 16;

/// Hands the record over.
pub(crate) fn hand_over(message: &BorrowedMessage<'_>, take: &mut Take<'_>) {
    let mut few = [("", None); HEADERS];
    let mut many = Vec::new();
    let headers: &[(&str, Option<&[u8]>)] = match message.headers() {
        None => &[],
        Some(headers) => {
            let count = headers.count();
            let get = |at| {
                let header = headers.get(at);
                (header.key, header.value)
            };
            let all = || {
                if count <= HEADERS {
                    (0..count).for_each(|at| few[at] = get(at));
                } else {
                    many.extend((0..count).map(get));
                }
            };
            // A name that is not UTF-8 makes the wrapper panic. Such a header cannot be told to anybody, so it is
            // left out, and its record goes on.
            if catch_unwind(AssertUnwindSafe(all)).is_err() {
                let one = |at| catch_unwind(AssertUnwindSafe(|| get(at))).unwrap_or(("", None));
                many = (0..count).map(one).collect();
            }
            if many.is_empty() { &few[..count] } else { &many }
        }
    };
    let timestamp_ms = match message.timestamp() {
        Timestamp::CreateTime(ms) | Timestamp::LogAppendTime(ms) if ms >= 0 => Some(ms),
        _ => None,
    };
    take(Record {
        topic: message.topic(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms,
        key: message.key(),
        value: message.payload(),
        headers: headers.iter().copied(),
    });
}
