//! What brokers push by HTTP, through the shipped binary: Google Pub/Sub and Azure Event Grid.

#[path = "../common/mod.rs"]
mod common;

mod eventgrid;
mod faults;
mod origins;
mod pubsub;
mod rig;
mod service;
mod tokens;
mod validation;
