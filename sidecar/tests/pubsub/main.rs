//! Pub/Sub on the shipped binary: a server before it, the programmable function behind it, and a judge over both.
//!
//! | module | what stands there |
//! |---|---|
//! | `rig` | a topic, a subscription, the function and the judge |
//! | `flow` | what the function sees of each kind of message; replies, dead letters |
//! | `order` | keys: one at a time, and the tail of one that went back |
//! | `lease` | slow functions, bounds, drains, a kill |
//! | `trouble` | what is missing, forbidden, refused or gone |
//!
//! `Rig::google` runs Google's in-memory server, `Rig::fake` a fake of ours that follows the published proto, for what
//! Google's lacks: each test says by that which one it is about. Where they are absent, each says that it was skipped.

#![allow(clippy::float_cmp, reason = "metrics are counts: whole numbers, which are exact")]

#[path = "../common/mod.rs"]
mod common;
mod flow;
mod lease;
mod order;
mod rig;
mod trouble;
