//! Google Pub/Sub as a source and a sink: pulled or pushed, ordered per key, leases kept while an event waits.
