//! Deduplication, HTTP responses and results of pure functions, kept for Outrigger.
//!
//! | file | what |
//! |---|---|
//! | [`dedup`] | marks of what each target has, over a window of time |
//!
//! Not here: configuration files, metrics, and the places where a plugin is called (`outrigger_core::plugin`).

pub mod dedup;

pub use dedup::Dedup;
