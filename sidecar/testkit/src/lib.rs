//! What the tests of outrigger stand on: real processes, faults from outside, and judges that were tested
//! themselves. For development only.
//!
//! Nothing here knows outrigger's codec or its crates: a judge that shared them would share their faults.
//! The function at the far end is the crate `outrigger-function`.
//!
//! | module | what stands there |
//! |---|---|
//! | [`process`] | the binary under test: started, watched, ended, killed |
//! | [`shim`] | a preloaded library that kills, fails or cuts the power at the n-th named call |
//! | [`proxy`] | a TCP proxy that cuts, resets, delays or swallows |
//! | [`producer`] | events, and a client that sends them in the three modes of `CloudEvents` over HTTP |
//! | [`oracle`] | what was acknowledged is owed: the judge over the function's record |
//! | [`issuer`] | an issuer of tokens, and keys that sign any of them |
//! | [`eventgrid`] | a fake Event Grid, and a client that knows what is in it |
//! | [`kafka`] | a real Kafka, alone or as a cluster, and a client that knows what is in it |
//! | [`pubsub`] | Google's in-memory Pub/Sub and a fake of ours, with Google's Go client as the publisher |
//! | [`redis`] | a real Redis or Valkey |
//! | [`mod@suite`] | one suite over all sources: what every adapter owes |
//! | [`sim`] | a broker, a function and a home of dead letters in simulated time, and their judge |
//! | [`place`] | free ports, the shared data folder, and how a test says that it was skipped |

pub mod eventgrid;
pub mod issuer;
pub mod kafka;
pub mod oracle;
pub mod otelcol;
pub mod place;
pub mod process;
pub mod producer;
pub mod proxy;
pub mod pubsub;
pub mod redis;
pub mod shim;
pub mod sim;
pub mod suite;

pub use issuer::{Issuer, SigningKey};
pub use oracle::{Judgement, Oracle};
pub use place::{free_port, shared, skip};
pub use process::{Launch, Process};
pub use producer::{Mode, Outgoing, Producer};
pub use proxy::{Proxy, Trouble};
pub use shim::Shim;
