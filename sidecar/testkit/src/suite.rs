//! One suite over all sources: what every adapter owes, written once, run over each with the shipped binary.
//!
//! A source under test is an [`Adapter`]: a broker that is really there, a place of the test's own on it, and the
//! [`Capabilities`] that it names. [`suite!`](crate::suite!) makes a test of each scenario from that:
//!
//! ```text
//! outrigger_testkit::suite!(Kafka, Outrigger::new(env!("CARGO_BIN_EXE_outrigger")));
//! ```
//!
//! | scenario | what is owed | runs where |
//! |---|---|---|
//! | [redelivery](scenarios::redelivery) | what fails is tried again, what is let go at a drain comes again, and nothing else | always |
//! | [crash](scenarios::crash) | killed, it repeats what was in flight or had just been settled, and loses nothing | always |
//! | [drain](scenarios::drain) | it finishes what it has, tells the broker, ends with 0, and repeats nothing | always |
//! | [backpressure](scenarios::backpressure) | it takes no more than its window while the function stands still | always |
//! | [poison](scenarios::poison) | an event that cannot be delivered becomes a dead letter, and its key goes on | always |
//! | [duplicates](scenarios::duplicates) | an event that is there twice is settled twice, one copy at a time | the broker keeps both |
//! | [order](scenarios::order) | the events of a key come in the order of publishing, also while one is retried | the broker keeps it |
//! | [`slow_function`](scenarios::slow_function) | a call longer than the broker's patience does not repeat its event | the broker has a lease |
//! | [routes](scenarios::routes) | events go where the rules say, in order at each target; discards are counted | always |
//! | [shares](scenarios::shares) | settled once all targets have it; what one fails is not sent the others again | always |
//! | [marks](scenarios::marks) | killed, it sends no target again what that has | always |
//! | [overflow](scenarios::overflow) | a target that stands still holds nobody up, and gets all in order in the end | always |
//! | [reconnect](scenarios::reconnect) | a connection that is cut is made again, and everything arrives | there is a connection |
//!
//! What always runs cannot be declined: [`Capabilities`] has no word for that. What a source declines, it declines
//! with a reason, which is printed for each run and stands in the table of the testkit's README.

pub mod capabilities;
pub mod outrigger;
pub mod routes;
pub mod scenario;
pub mod scenarios;
pub mod source;
pub mod stage;
pub mod toy;

pub use capabilities::{Capabilities, Declared, Reconnect};
pub use outrigger::Outrigger;
pub use routes::Routes;
pub use scenario::{Scenario, run, scenario, table};
pub use source::{Adapter, Letter, Setup, Sidecar, Source, Subject, Way};
pub use stage::Stage;
