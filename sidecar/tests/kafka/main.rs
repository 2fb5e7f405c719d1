//! Kafka on the shipped binary: a real broker before it, the programmable function behind it, and a judge over both.
//!
//! | module | what stands there |
//! |---|---|
//! | `rig` | a topic, a group, the function, the judge, and the watch over the group's committed offsets |
//! | `judge` | that watch is shown a planted gap and a planted step back |
//! | `flow` | what the function sees of each kind of record; a hundred thousand in order |
//! | `start` | what is not there yet, and what is wrong from the start |
//! | `crash` | rows 1 to 6 of the fault matrix: killed at named points |
//! | `handover` | rows 8 and 10: drains, and partitions that change hands |
//! | `outage` | rows 9 and 11: a broker that is gone, a function that is slow |
//! | `poison` | rows 19, 20, 21 and 34: dead letters, parked keys, what cannot be read |
//! | `corrupt` | a batch whose bytes have changed on the broker's disk |
//! | `topic` | topics that grow, are compacted, have transactions, are deleted |
//!
//! One broker serves all tests that do not harm it. Where Kafka is absent, each says that it was skipped.

#![allow(clippy::similar_names, reason = "status and site, text and test: each is what it is called")]
#![allow(clippy::float_cmp, reason = "metrics are counts: whole numbers, which are exact")]

#[path = "../common/mod.rs"]
mod common;
mod corrupt;
mod crash;
mod flow;
mod handover;
mod judge;
mod outage;
mod poison;
mod rig;
mod start;
mod topic;
