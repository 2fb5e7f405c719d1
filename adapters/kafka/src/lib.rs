//! Kafka as a source and a sink.

pub mod decode;
pub mod encode;
