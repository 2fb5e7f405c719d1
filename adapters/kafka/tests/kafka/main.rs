//! The adapter against a real Kafka, which `scripts/kafka.sh` fetches: what a broker really does is not to be guessed.
//!
//! One process, so that one broker serves all tests that do not harm it.

mod group;
mod raw;
mod records;
mod replay;
mod rig;
mod sink;
mod sink_faults;
mod source;
