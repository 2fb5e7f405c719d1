//! Records as tests write and find them.

/// A record that a test writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The topic, which must exist.
    pub topic: String,
    /// The partition; without one, librdkafka's default chooses by the key.
    pub partition: Option<i32>,
    /// The key, or null.
    pub key: Option<Vec<u8>>,
    /// The value, or null: a tombstone.
    pub value: Option<Vec<u8>>,
    /// The headers in their order. Names may repeat and values may be null.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Milliseconds since 1970; without, the time of sending.
    pub timestamp_ms: Option<i64>,
}

impl Record {
    /// A record of `topic` with `value`.
    #[must_use]
    pub fn new(topic: &str, value: impl Into<Vec<u8>>) -> Self {
        Self { topic: topic.to_owned(), value: Some(value.into()), ..Self::default() }
    }

    /// A record of `topic` whose value is null.
    #[must_use]
    pub fn tombstone(topic: &str, key: impl Into<Vec<u8>>) -> Self {
        Self { topic: topic.to_owned(), ..Self::default() }.key(key)
    }

    /// Sets the key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the partition.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), Some(value.into())));
        self
    }

    /// Adds a header whose value is null.
    #[must_use]
    pub fn null_header(mut self, name: &str) -> Self {
        self.headers.push((name.to_owned(), None));
        self
    }

    /// Sets the time, in milliseconds since 1970.
    #[must_use]
    pub fn timestamp_ms(mut self, at: i64) -> Self {
        self.timestamp_ms = Some(at);
        self
    }
}

/// A record as it is found in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The partition.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
    /// Milliseconds since 1970, by the producer or by the broker as the topic has it.
    pub timestamp_ms: Option<i64>,
    /// The key, or null.
    pub key: Option<Vec<u8>>,
    /// The value, or null.
    pub value: Option<Vec<u8>>,
    /// The headers in their order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Stored {
    /// The value as text; empty where it is null.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.value.as_deref().unwrap_or_default()).into_owned()
    }

    /// The key as text; empty where it is null.
    #[must_use]
    pub fn key_text(&self) -> String {
        String::from_utf8_lossy(self.key.as_deref().unwrap_or_default()).into_owned()
    }

    /// The value of the first header `name` as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(is, _)| is == name)?;
        Some(String::from_utf8_lossy(value.as_deref()?).into_owned())
    }
}
