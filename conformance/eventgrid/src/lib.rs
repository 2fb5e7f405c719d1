//! A fake of Azure Event Grid for tests, as strict as the service is known to be.
//!
//! It speaks the service's own interfaces: a namespace whose topics are pulled, custom topics that are published to,
//! and webhooks that are delivered to. Whatever the service does by time goes by a clock that a test can move. It runs
//! inside a test ([`Fake`]) or as a process (`outrigger-eventgrid-fake`); the README lists its rules, its own
//! interface, and what it is not sure of.
//!
//! It is a judge, so it shares no code with what it judges: it reads and writes events by itself.
//!
//! | module | what stands there |
//! |---|---|
//! | [`config`] | what a fake begins with |
//! | [`clock`] | its time |
//! | [`event`] | events, read strictly; the mapping between the two schemas |
//! | [`filter`] | which events a subscription wants (pure) |
//! | [`queue`] | a queue subscription: locks, deliveries, dead letters (pure) |
//! | [`retry`] | what becomes of a failed delivery (pure) |
//! | [`push`] | a webhook subscription (pure) |
//! | [`auth`] | keys, signatures, tokens |
//! | [`fault`] | what a test plants |
//! | [`grid`] | all of that behind one lock |
//! | [`webhooks`] | subscriptions of webhooks: made, validated, taken away |
//! | `deliver` | one of them at work: its handshake, its deliveries |
//! | [`server`] | the HTTP server: the namespace, custom topics, the fake's own interface |
//! | [`fake`] | the same inside a test, on a thread of its own |

pub mod auth;
pub mod clock;
pub mod config;
pub mod event;
pub mod fake;
pub mod fault;
pub mod filter;
pub mod grid;
pub mod push;
pub mod queue;
pub mod retry;
pub mod server;
pub mod topic;
pub mod webhooks;

mod admin;
mod answer;
mod deliver;
mod namespace;
mod tls;

pub use answer::Refusal;
pub use clock::{Clock, Moment, Pace};
pub use config::Config;
pub use fake::Fake;
pub use fault::{Fault, Op};
pub use push::{PushSettings, Standing};
pub use queue::QueueSettings;
pub use server::Setup;
