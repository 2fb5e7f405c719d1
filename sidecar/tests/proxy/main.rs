//! What passes through the shipped binary: clients of hyper, raw sockets and a WebSocket on one side, a function that
//! streams on the other.

#[path = "../common/mod.rs"]
mod common;

mod certificates;
mod edge;
mod hop;
mod path;
mod rig;
mod secured;
mod stream;
mod tokens;
mod tricks;
mod wait;
mod websocket;
