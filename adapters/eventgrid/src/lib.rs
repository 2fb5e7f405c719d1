//! Azure Event Grid as a source and a sink: namespaces that are pulled, and topics that are written.
//!
//! A map, in reading order:
//!
//! - [`Config`], [`Endpoint`]: every setting with its default. [`Credential`], [`sas`]: who we say that we are.
//! - [`EventGrid`], in `source`: polls ask for events. `keep`: locks are renewed, outcomes told. `desk`: where outcomes
//!   arrive. `board`: what is known from outside.
//! - `locks`: which events are in hand, how long, and what is to be told of them. Pure, as is `appetite`: how many events
//!   are asked for at once.
//! - [`EventGridSink`], in `sink`: a topic of a namespace, or a custom topic.
//! - [`decode`], [`encode`], [`schema`], [`deadletter`]: what is read and written, pure. `trouble`: what a refusal means.
//! - `namespace`, `service`: the protocol, over one client of HTTP.
//!
//! Deliberately absent: Azure's own client (its crate has none), an order beyond that of arrival, since Event Grid has
//! none, and a rejection of ours: what is given up becomes a dead letter of ours first and is acknowledged then.

pub mod deadletter;
pub mod decode;
pub mod encode;
pub mod sas;
pub mod schema;

mod appetite;
mod board;
mod config;
mod credential;
mod desk;
mod keep;
mod locks;
mod namespace;
mod service;
mod sink;
mod source;
mod trouble;

pub use board::Status;
pub use config::{Config, Delay, Endpoint};
pub use credential::{Credential, Place, SecretFile};
pub use locks::Counts;
pub use sink::{EventGridSink, SinkConfig, SinkCounts};
pub use source::EventGrid;
