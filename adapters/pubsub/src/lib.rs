//! Google Pub/Sub as a source and a sink: pulled or pushed, ordered per key, leases kept while an event waits.
//!
//! | file | what |
//! |---|---|
//! | [`push`] | what a push subscription sends by HTTP, and how it is answered |

pub mod push;
