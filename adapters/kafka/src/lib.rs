//! Kafka as a source and a sink: parallel across keys, ordered within one, exact after a restart.
//!
//! A map, in reading order:
//!
//! - [`Config`], [`Cluster`]: every setting with its default; what librdkafka is given for it.
//! - [`Sasl`], in `login`: who we say that we are, and what may change of it.
//! - [`Kafka`]: the source, and what its owner may ask of it.
//! - `source`: the loop. `turn`: partitions change hands. `pulse`: the watchdog, damage, numbers. `commit`.
//! - `desk`: a record's way into the path. `partition`, `settle`: one assignment, and whether its outcome counts.
//! - `replay`: a range of a topic once more, without the group.
//! - `sink`, `producer`: a topic that is written.
//! - [`decode`], [`encode`]: records and events, pure.
//! - [`client`]: what the loop asks of Kafka. `librdkafka`, `hand_over`, `starts`, `probe`, `stats`, `trouble`: librdkafka
//!   answers.
//!
//! What is in hand, what is committed and what a restart repeats is decided by
//! [`outrigger_core::decide::watermark`].
//!
//! Deliberately absent: automatic commits, a second thread that polls, and transactions: they would not cover the
//! call of the function.

pub mod client;
pub mod decode;
pub mod encode;

mod appetite;
mod board;
mod cluster;
mod commit;
mod config;
mod deliver;
mod desk;
mod hand_over;
mod kafka;
mod librdkafka;
mod login;
mod partition;
mod probe;
mod producer;
mod pulse;
mod replay;
mod settle;
mod sink;
mod source;
mod starts;
mod stats;
mod trouble;
mod turn;

pub use board::{Ask, PartitionStatus, Status};
pub use cluster::{Cluster, Tls};
pub use config::{Config, Order, Rebalance, StartAt};
pub use kafka::Kafka;
pub use librdkafka::Librdkafka;
pub use login::{Sasl, Secret, Token, Tokens};
pub use producer::{Mode, SinkConfig};
pub use replay::{Progress, Range, Replay};
pub use sink::{KafkaSink, SinkCounts};
