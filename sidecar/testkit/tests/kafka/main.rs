//! The real Kafka proves itself: what its handles promise is seen to happen.

mod broker;
mod client;
mod cluster;
mod end;
mod secure;
