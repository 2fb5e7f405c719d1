//! Deduplication, HTTP responses and results of pure functions, kept for Outrigger.
//!
//! In reading order: [`store`] (values by key within a bound in bytes, and what is evicted), [`simulate`] (its hit rates on
//! a trace).

pub mod simulate;
pub mod store;
