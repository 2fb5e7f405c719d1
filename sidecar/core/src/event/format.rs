//! The formats that write an event as a whole, in the structured and the batched mode.

use bytes::Bytes;

use super::{Event, Invalid, json, proto};

/// How an event is written as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// One JSON object, and for batches an array: [`json`].
    #[default]
    Json,
    /// One message of Protobuf: [`proto`].
    Protobuf,
}

impl Format {
    /// The `Content-Type` of one event.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => json::CONTENT_TYPE,
            Self::Protobuf => proto::CONTENT_TYPE,
        }
    }

    /// Reads one event, whose data may share the memory of `input`.
    ///
    /// # Errors
    /// Those of the format's own function.
    pub fn decode(self, input: Bytes) -> Result<Event, Invalid> {
        match self {
            Self::Json => json::decode(input),
            Self::Protobuf => proto::decode(input),
        }
    }

    /// Reads a batch, each member for itself: a bad one comes back as its bytes and what is wrong with it.
    ///
    /// # Errors
    /// Those of the format's own function, about the batch as a whole.
    #[expect(clippy::type_complexity, reason = "a list of results, of which the bad ones keep their bytes")]
    pub fn decode_batch(self, input: Bytes) -> Result<Vec<Result<Event, (Bytes, Invalid)>>, Invalid> {
        match self {
            Self::Json => json::decode_batch(input),
            Self::Protobuf => proto::decode_batch(input),
        }
    }

    /// Writes one event.
    #[must_use]
    pub fn encode(self, event: &Event) -> Bytes {
        match self {
            Self::Json => json::encode(event),
            Self::Protobuf => proto::encode(event),
        }
    }
}
