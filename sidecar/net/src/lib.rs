//! What several crates need of HTTP: bounded bodies, bearer tokens, listeners.
//!
//! | file | what |
//! |---|---|
//! | [`limits`] | the bounds of a listener, as plain numbers |
//! | [`body`] | a whole body in memory, never more of it than allowed |
//! | [`token`] | a bearer token kept in a file |
//! | [`auth`] | who may enter a listener, and what they may send |
//! | [`client`] | one small answer over HTTP or HTTPS, in bounded time and memory |
//! | [`client_credentials`] | a bearer token of ours, fetched and kept fresh |
//! | [`tls`] | certificates and keys from files, for listeners and clients; who the other side is |
//! | [`stamp`] | whether a file is another one than before |
//! | [`listen`] | taking a TCP port or an owner-only Unix socket, with errors that say what to do |
//! | [`server`] | the accept loop over either: TLS, HTTP/1.1, HTTP/2 |
//! | [`websocket`] | the handshake of a WebSocket that is passed on |
//!
//! Not here: what a request means (the ingress and the admin surface decide), how the function is called
//! (`outrigger-http`).

pub mod limits;

pub mod auth;
pub mod body;
pub mod client;
pub mod client_credentials;
pub mod listen;
pub mod server;
pub mod stamp;
pub mod tls;
pub mod token;
pub mod websocket;

mod aside;
mod connection;
mod head;
mod protocol;
mod unpack;
mod watched;
