//! Kafka on the shipped binary: a real broker before it, the programmable function behind it, and a judge over both.
//!
//! | module | what stands there |
//! |---|---|
//! | `rig` | a topic, a group, the function, the judge, and the watch over the group's committed offsets |
//! | `flow` | what the function sees of each kind of record; a hundred thousand in order |
//! | `crash` | rows 1 to 4 and 6 of the fault matrix: killed at named points |
//!
//! One broker serves all tests that do not harm it. Where Kafka is absent, each says that it was skipped.

#[path = "../common/mod.rs"]
mod common;
mod corrupt;
mod crash;
mod flow;
mod handover;
mod outage;
mod poison;
mod rig;
mod start;
mod topic;
