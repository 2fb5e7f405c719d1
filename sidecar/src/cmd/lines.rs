//! Lines of input, each an event: of bounded length, whatever is read.

use std::io::{self, BufRead, Read};

use bytes::Bytes;

use crate::config::units::size_text;

/// The largest line, or file that is one event, in bytes.
pub(crate) const EVENT_BYTES_MAX: u64 = 64 << 20;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    /// What stands in it, without blanks around; it may be empty.
    Text(Bytes),
    /// It is larger than [`EVENT_BYTES_MAX`]. What follows is the rest of it, so nothing after it can be trusted to be a line.
    TooLarge,
}

/// The next line, or `None` at the end.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn next(bytes: &mut dyn BufRead) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    let length = Read::take(&mut *bytes, EVENT_BYTES_MAX + 1).read_until(b'\n', &mut line)?;
    if length == 0 {
        return Ok(None);
    }
    if length as u64 > EVENT_BYTES_MAX {
        return Ok(Some(Line::TooLarge));
    }
    let line = Bytes::from(line);
    Ok(Some(Line::Text(line.slice_ref(line.trim_ascii()))))
}

/// What the bound is for, in a message.
pub(crate) const AN_EVENT: &str = "one event";

/// What is said of what is too large for `what`.
pub(crate) fn too_large(what: &str) -> String {
    format!("more than {} for {what}", size_text(EVENT_BYTES_MAX))
}
