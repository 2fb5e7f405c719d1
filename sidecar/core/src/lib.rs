//! Events, deliveries and the decisions about them.
//!
//! A map, in reading order:
//!
//! - [`event`]: the event and its codecs, after `CloudEvents` 1.0.
//! - [`delivery`], [`receipt`]: an event on its way, and the promise to tell its source what became of it.
//! - [`source`], [`inbound`], [`sink`]: where deliveries come from, pulled or pushed, and where replies go.
//! - [`call`], [`exchange`]: how a function is called.
//! - [`dead`], [`ledger`]: where failures rest, and what is already done.
//! - [`plugin`], [`timeline`]: what may be wrapped around the path, and what it may see.
//! - [`decide`]: every rule as a pure state machine that takes time as an argument.
//! - [`drain`], [`error`], [`live`]: stopping, failing, and changing.
//!
//! Deliberately absent: brokers, an HTTP client, files, the environment, and any clock of its own.

// What sidecar/core/clippy.toml forbids (clocks, files, the environment) its tests may use.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod call;
pub mod dead;
pub mod decide;
pub mod delivery;
pub mod drain;
pub mod error;
pub mod event;
pub mod exchange;
pub mod inbound;
pub mod ledger;
pub mod live;
pub mod plugin;
pub mod receipt;
pub mod sink;
pub mod source;
pub mod timeline;

pub use call::{Call, CallCx};
pub use dead::{DeadLetter, DeadLetters};
pub use delivery::{Code, Delivery, Key, Malformed, Origin, Position, Reason, Reply, TargetId};
pub use drain::{Drain, DrainTrigger};
pub use error::{Error, Kind, Result, Retry};
pub use event::{Event, Invalid, Value};
pub use exchange::{Body, Caller, Exchange};
pub use futures_util::future::BoxFuture;
pub use inbound::{Inbound, Inbox, Outcome, Refused};
pub use ledger::{Kept, Known, Ledger, Mark, OnAnother, Payload};
pub use live::LiveSpan;
pub use plugin::{Annotate, Observe, Plugin};
pub use receipt::{BatchOutcome, Fate, Receipt, Settlement, Settler};
pub use sink::Sink;
pub use source::{Admit, Intake, Source};
pub use timeline::{About, Step, Timeline};
