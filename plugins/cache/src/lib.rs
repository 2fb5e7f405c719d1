//! Deduplication, HTTP responses and results of pure functions, kept for Outrigger.
