//! The function client over HTTP: one event becomes one POST, its answer a reply or an error; a proxied request
//! passes as it is.
//!
//! | file | what |
//! |---|---|
//! | [`config`] | where the function is, how long it may take, how an event is written |
//! | [`tuning`] | what of that may change while it works |
//! | [`call`] | [`Call`](outrigger_core::Call): encode, exchange, decode |
//! | [`batch`] | several events in one request, and what its answer says of each |
//! | `encode`, `raw` | how an event is written into a request, as pure functions |
//! | `decode` | what an answer is, as pure functions: a reply event, a plain body, a failure |
//! | [`client`] | [`Exchange`](outrigger_core::Exchange): a connection, the request, the answer, within one deadline |
//! | [`outward`] | the same to others than the function: our token, and the rules of webhooks |
//! | [`sink`] | where replies and dead letters go by POST |
//! | `answer` | an answer's body on its way, and what becomes of its connection |
//! | `upload` | a request's body that is passed on as it comes |
//! | `pool`, `h2`, `connect`, `flat` | idle connections of HTTP/1.1; the one of HTTP/2; new ones; how they write |
//!
//! Not here: retries, rates and how many calls run at once (the lanes decide), what a status means
//! (`outrigger_core::decide::verdict`), certificates (`outrigger_net::tls`), redirects (never followed).
//!
//! # Why an own pool
//! hyper's connections are used, but not `hyper-util`'s client above them. It cannot tell a timeout before
//! the request was sent from one after it, which decides whether an attempt counts; and it cost 1.18 times
//! the CPU of a bare connection per POST of 1 KiB (9.1 µs against 7.6 µs, 32 in flight, one thread, median
//! of 14 interleaved runs), where a plain pool cost 0.98 times.

pub mod batch;
pub mod call;
pub mod client;
pub mod config;
pub mod outward;
pub mod sink;
pub mod tuning;

mod alarm;
mod answer;
mod connect;
mod decode;
mod encode;
mod flat;
mod h2;
mod pool;
mod raw;
mod upload;

pub use batch::{BatchCall, Limits};
pub use call::FunctionCall;
pub use client::Client;
pub use config::{Config, Mode, Protocol, Replies};
pub use sink::HttpSink;
pub use tuning::Tuning;
