//! What is to be forgotten before its time.

/// What a person, a program or a control event wants forgotten. What it says is read by each store in its own terms:
/// of responses the key is path and query, and tags are what the function writes into the configured headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalidate {
    /// What is kept under exactly this key.
    Key(String),
    /// What bears this tag.
    Tag(String),
    /// What is kept under keys that begin so.
    Prefix(String),
    /// Everything.
    All,
}
