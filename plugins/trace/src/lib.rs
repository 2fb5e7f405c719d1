//! Spans, metrics and timelines of events, for Outrigger.
