//! Deduplication, HTTP responses and results of pure functions, kept for Outrigger.
//!
//! | file | what |
//! |---|---|
//! | [`invalidate`] | what is to be forgotten before its time |

pub mod invalidate;

pub use invalidate::Invalidate;
