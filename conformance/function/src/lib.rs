//! A programmable function: the far end that every test of a sidecar calls.
//!
//! It answers as a [`Program`] says (statuses, delays, resets, half-answers, replies), keeps a record of
//! what it saw, and counts what must not happen, such as two calls of one key at once. It runs inside a
//! test ([`Function`]) or as a process (`outrigger-function`); the README lists its options.
//!
//! It is a judge, so it shares no code with what it judges: it knows HTTP headers and bytes, and reads
//! an event's name from them by itself ([`identity`]).
//!
//! | module | what stands there |
//! |---|---|
//! | [`program`] | the rules: what to answer to which request |
//! | [`record`] | one line per request, as a test reads it back |
//! | [`book`] | where those lines and the counts are kept |
//! | [`identity`] | how an event is called, from headers or JSON |
//! | [`server`] | the HTTP server around all of that |
//! | [`function`] | the same inside a test, on a thread of its own |

pub mod book;
pub mod function;
pub mod identity;
pub mod program;
pub mod record;
pub mod server;

mod admin;
mod answer;
mod wire;

pub use function::Function;
pub use program::{Action, Fault, Match, Program, Rule};
pub use record::{Outcome, Record, Stats};
