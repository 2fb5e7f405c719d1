//! What services of AWS send by HTTP, as `CloudEvents`.
//!
//! A map, in reading order:
//!
//! - [`Push`], in `inbound`: a path that EventBridge, SNS or another service sends to, and how each is answered.
//! - [`decode`]: events out of what was sent, pure.
//!
//! Deliberately absent: a client. SQS and Kinesis are not pulled; what is in them comes here by a rule of EventBridge, by
//! a pipe, or to the function of a Lambda trigger. Signatures of SNS are not checked: its certificates would have to be
//! fetched from where a message says, so who sends is known by a secret of the path.

pub mod decode;

mod inbound;

pub use inbound::{Push, Subscriptions};
