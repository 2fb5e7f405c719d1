//! A broker, a function and a home of dead letters that exist only in memory and in simulated time, and the judge
//! over what a sidecar does with them. One seed decides everything, so that what went wrong once goes wrong again.
//!
//! Nothing here waits, reads a clock or knows the sidecar's crates: whoever drives it hands the time in, in
//! milliseconds since the run began.
//!
//! | module | what it is |
//! |---|---|
//! | [`plan`] | from a seed to a scenario: topic, keys, settings, and which fault comes when |
//! | [`world`] | everything together, and what the driver calls |
//! | [`broker`] | the brokers as a client meets them |
//! | [`log`] | partitions: records, gaps, retention, compaction |
//! | [`group`] | the consumer group: members, ownership, rebalances, commits |
//! | [`fetch`] | a member's way of fetching: batches, pauses, seeks, silence |
//! | [`function`] | what the function and other targets answer, and when |
//! | [`routes`] | which record goes to which of them |
//! | [`disk`] | marks of what targets have, and copies that wait for slow ones |
//! | [`judge`] | what must hold |
//! | [`marks`] | what a commit's metadata says, read without the code that wrote it |
//!
//! Not simulated: transactions, damaged batches, several topics, replicas that lose what they acknowledged, and
//! a commit that overtakes a later one of the same connection.

pub mod broker;
pub mod disk;
pub mod fetch;
pub mod function;
pub mod group;
pub mod judge;
pub mod log;
pub mod marks;
pub mod plan;
pub mod routes;
pub mod world;

pub use judge::Judge;
pub use plan::{Commits, Fault, Plan};
pub use world::World;

/// A record: its partition and its offset.
pub type Place = (i32, i64);
