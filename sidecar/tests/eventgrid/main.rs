//! Event Grid on the shipped binary: the strict fake of the service before it, the programmable function behind it, and
//! a judge over both.
//!
//! | module | what stands there |
//! |---|---|
//! | `rig` | the fake, a subscription, the function, the judge |
//! | `flow` | what the function sees; locks of slow and of lost events; how much is in hand |
//! | `end` | rows 1, 3, 4 and 8: kills and drains |
//! | `poison` | rows 19, 20 and 34: dead letters, and their home |
//! | `trouble` | row 9: what is not there, what is refused, and what readiness says of it |
//! | `written` | replies and dead letters in topics, by each credential |
//!
//! The fake's time goes 60 times as fast, so that a lock of a minute ends after a second.

#[path = "../common/mod.rs"]
mod common;
mod end;
mod flow;
mod poison;
mod rig;
mod trouble;
mod written;
