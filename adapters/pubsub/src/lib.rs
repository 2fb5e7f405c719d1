//! Google Pub/Sub as a source and a sink: pulled, ordered per key, leases kept while an event waits or runs.
//!
//! A map, in reading order:
//!
//! - [`Config`], [`Link`]: every setting with its default; the project, the endpoint, and who we say that we are.
//! - [`Pubsub`]: the source, and what its owner may ask of it.
//! - `source`: the loop. `feed`: one subscription's streams, opened again when they end. `probe`: what is asked of the
//!   subscription while nothing comes. `trouble`: Google's errors as ours.
//! - `desk`: what is in hand, bounded over all streams. `settle`: acks, nacks, confirmations. `keys`: which messages of
//!   a key are handed back, pure.
//! - `sink`: a topic that is written.
//! - [`decode`], [`encode`]: messages and events, pure.
//!
//! What Google's client does is left to it: leases are extended there, acks are sent there in batches, streams are
//! opened again there after what passes by itself.
//!
//! Deliberately absent: seeking, snapshots, and making topics or subscriptions: what is missing is said, not made.

pub mod decode;
pub mod encode;

mod config;
mod desk;
mod feed;
mod keys;
mod link;
mod probe;
mod publisher;
mod settle;
mod sink;
mod source;
mod status;
mod trouble;

pub use config::{Config, Order};
pub use link::{Credentials, Link};
pub use publisher::{Mode, SinkConfig};
pub use sink::{PubsubSink, SinkCounts};
pub use source::Pubsub;
pub use status::{Status, SubscriptionStatus};
