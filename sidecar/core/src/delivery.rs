//! An event on its way: what came in, from where, and the receipt that settles it.

use crate::{Event, Receipt, Timeline, event::hop};
use bytes::Bytes;
use http::HeaderMap;
use smallvec::SmallVec;
use std::{
    borrow::Cow,
    fmt,
    hash::{BuildHasher as _, Hash, Hasher, RandomState},
    sync::{Arc, LazyLock},
    time::Instant,
};

/// What an event costs beyond its own bytes: a place in a lane, among the keys and in its source's books, and what
/// the allocator adds to each of its pieces. Measured for 1 KiB events; without it, memory would pass its bound.
const AROUND_BYTES: usize = 512;

/// One event, or what should have been one, together with the duty to settle it.
#[derive(Debug)]
pub struct Delivery {
    /// The event, or the bytes that could not be made one.
    pub item: Result<Event, Malformed>,
    /// Events of one key run one at a time and in order; an event without one is unordered.
    pub key: Option<Key>,
    /// Where it came from.
    pub origin: Origin,
    /// When its source first received it, in Unix milliseconds.
    pub received_ms: u64,
    /// Attempts that were counted before this delivery, by the journal; or deliveries, by a broker: which of the two,
    /// the receipt says.
    pub attempts: u32,
    /// `Some`: a caller waits for the outcome until then, so there is one attempt and no dead letter.
    pub once: Option<Instant>,
    /// What happened to it so far.
    pub timeline: Timeline,
    /// Its settlement, and the permit that bounds memory.
    pub receipt: Receipt,
}

impl Delivery {
    /// The bytes that it costs in memory, for bounds.
    #[must_use]
    pub fn size(&self) -> usize {
        let item = match &self.item {
            Ok(event) => event.size(),
            Err(malformed) => malformed.size(),
        };
        item + self.key.as_ref().map_or(0, |key| key.as_bytes().len()) + size_of::<Self>() + AROUND_BYTES
    }
}

/// What came in as an event and was none. Its bytes are kept as they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The payload, untouched.
    pub raw: Bytes,
    /// The transport's headers, in their order; repeated names are kept.
    pub headers: Vec<(String, Bytes)>,
    /// The broker's key, untouched.
    pub key: Option<Bytes>,
    /// Why it is no event, in one line.
    pub why: String,
}

impl Malformed {
    /// The bytes that it holds in memory.
    #[must_use]
    pub fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.raw.len() + headers + self.key.as_ref().map_or(0, Bytes::len) + self.why.len()
    }
}

/// The ordering key of an event, scoped by its source. Cheap to clone, and hashed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    hash: u64,
    bytes: Arc<[u8]>,
}

/// So that nobody outside can choose keys whose hashes are the same.
static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Hashes of [`Key`]s for a map: they are hashes already.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = SEED.hash_one(bytes); // nothing but a key is hashed with it
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Key {
    /// The key `key` of `source`. Equal keys of different sources are different keys.
    #[must_use]
    pub fn new(source: &str, key: &[u8]) -> Self {
        // On the stack first: an `Arc` is made of a slice, and most keys are short.
        let mut bytes: SmallVec<[u8; 128]> = SmallVec::from_slice(source.as_bytes());
        bytes.push(0); // no source name holds a NUL, so the pair cannot be read in two ways
        bytes.extend_from_slice(key);
        Self { hash: SEED.hash_one(&*bytes), bytes: Arc::from(&*bytes) }
    }

    /// The scoped key as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The key without its source, as it came.
    #[must_use]
    pub fn own_bytes(&self) -> &[u8] {
        let start = self.bytes.iter().position(|b| *b == 0).map_or(0, |i| i + 1);
        &self.bytes[start..]
    }

    /// The key without its source, for people.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.own_bytes())
    }
}

/// Where a delivery came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The configured name of the source.
    pub source: Arc<str>,
    /// The position there.
    pub position: Position,
    /// The transport's headers that belong to the hop and not to the event, such as `traceparent`.
    pub headers: Vec<(String, String)>,
}

impl Origin {
    /// The one target that it is for, whatever the rules say; none is for all that they name.
    #[must_use]
    pub fn aim(&self) -> Option<&Arc<str>> {
        if let Position::For(target, _) = &self.position { Some(target) } else { None }
    }

    /// The same for what outlives the hop: with the place in the trace that `timeline` tells the next hop instead of the one
    /// that came. That is the event's own, also where it came in a batch.
    #[must_use]
    pub fn within(&self, timeline: &Timeline) -> Self {
        let mut origin = self.clone();
        origin.headers.retain(|(name, _)| name != hop::BATCH && !timeline.owns(name));
        timeline.carry(&mut |name, value| {
            origin.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
            origin.headers.push((name.to_owned(), value.to_owned()));
        });
        origin
    }
}

/// A position in a source, as people read it. Written out only when somebody does: every event has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// None, or one that was kept as text.
    Text(String),
    /// One that many deliveries share: a source that counts nothing tells at least where they were.
    Place(Arc<str>),
    /// A sequence, such as a journal's.
    Sequence(u64),
    /// A partition (`topic/partition`) and an offset in it.
    Offset(Arc<str>, i64),
    /// A sequence of what is for one target alone, such as a dead letter of it that is delivered once more.
    For(Arc<str>, u64),
}

impl Position {
    /// A source without positions.
    #[must_use]
    pub fn none() -> Self {
        Self::Text(String::new())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Place(place) => f.write_str(place),
            Self::Sequence(sequence) | Self::For(_, sequence) => write!(f, "{sequence}"),
            Self::Offset(partition, offset) => write!(f, "{partition}/{offset}"),
        }
    }
}

/// Names a target: the function, another function, a sink.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TargetId(pub Arc<str>);

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a target answered.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// The HTTP status, 2xx.
    pub status: u16,
    /// The event in the answer, if it was one.
    pub event: Option<Event>,
    /// The answer's headers, for a caller who waits.
    pub headers: HeaderMap,
    /// The answer's body, for a caller who waits; empty when `event` holds it.
    pub body: Bytes,
}

/// Why an event was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The kind of failure.
    pub code: Code,
    /// The function's last status, if it answered.
    pub status: Option<u16>,
    /// One line for people, at most about 1 KiB.
    pub detail: String,
}

/// The kinds of failure that end an event. The names are stable: filters and dashboards use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// What came in was no event.
    Malformed,
    /// A rule of the user failed on it; the detail names the rule.
    Rule,
    /// The function answered that it will never take it.
    Refused,
    /// Every attempt failed.
    Exhausted,
    /// The total deadline passed.
    Deadline,
    /// The caller's time was over before the function answered (synchronous ingress only).
    TimedOut,
    /// The function cannot be reached (synchronous ingress only).
    Unavailable,
    /// The function has it, but what it answered can never be kept where replies go.
    ReplyRefused,
    /// Another event of its source and id, with another payload, was there before.
    Conflict,
}

impl Code {
    /// Every code, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::Malformed,
        Self::Rule,
        Self::Refused,
        Self::Exhausted,
        Self::Deadline,
        Self::TimedOut,
        Self::Unavailable,
        Self::ReplyRefused,
        Self::Conflict,
    ];

    /// Its stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Rule => "rule",
            Self::Refused => "refused",
            Self::Exhausted => "exhausted",
            Self::Deadline => "deadline",
            Self::TimedOut => "timed-out",
            Self::Unavailable => "unavailable",
            Self::ReplyRefused => "reply-refused",
            Self::Conflict => "conflict",
        }
    }

    /// The code of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(status) = self.status {
            write!(f, " (status {status})")?;
        }
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_of_different_sources_are_different() {
        assert_ne!(Key::new("a", b"k"), Key::new("b", b"k"));
        assert_ne!(Key::new("ab", b"c"), Key::new("a", b"bc"));
        assert_eq!(Key::new("a", b"k").name(), "k");
    }

    #[test]
    fn every_code_is_found_by_its_name() {
        for code in Code::ALL {
            assert_eq!(Code::from_name(code.name()), Some(code));
        }
    }
}
