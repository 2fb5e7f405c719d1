//! Outrigger brings events to functions: in order per key, at least once, settled only when it is safe.
//!
//! The path, in reading order: [`app`] wires everything and stops it; [`ingress`] takes events; [`admit`] lets them
//! in, by the user's rules ([`transform`]) and to the targets that [`route`] names; [`dispatch`] keeps a target's lanes
//! and workers; [`settle`] makes one attempt and does what follows.
//! What passes through goes by [`proxy`].
//! Beside it: [`registry`] (which adapters are compiled in), [`guarded`] (what plugins wrap around the path), [`supervise`] and [`ready`] (the function as
//! a process), [`admin`] and [`telemetry`] (what an operator sees), [`config`] (read again by [`reload`]), [`filter`] (what CESQL
//! sees of an event), [`cli`] and [`cmd`] (the verbs).
//!
//! It is a library so that tests, benchmarks and fuzz targets reach what the binary runs; its interface is the
//! command line, and nothing here is stable.

pub mod admin;
pub mod admit;
pub mod app;
pub mod audit;
pub mod cache_api;
pub mod cli;
pub mod cmd;
mod complaint;
pub mod config;
pub mod control;
pub mod dead_api;
pub mod dispatch;
pub mod events_api;
pub mod feed_api;
pub mod filter;
pub mod guard;
pub mod guarded;
pub mod ingress;
pub mod log;
pub mod proxy;
pub mod ready;
pub mod registry;
pub mod reload;
pub mod route;
pub mod settle;
pub mod supervise;
pub mod telemetry;
pub mod tls;
pub mod transform;
