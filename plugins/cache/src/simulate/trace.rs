//! Reads a trace: what was asked of a cache, in order.

use std::io::{self, BufRead, Read as _};

use crate::store::hash;

/// Requests of one trace, at most: the optimum needs all of them in memory, some 100 bytes each.
pub const REQUESTS_MAX: usize = 20_000_000;
/// The longest line, in bytes.
const LINE_BYTES_MAX: usize = 64 << 10;
/// What some programs write before the first line of a text in UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// Bytes of a line that an error shows.
const SHOWN_MAX: usize = 60;
/// Keys are known by a hash of 64 bits. A cache of the simulation is no one's target, so the seed is no secret.
const SEED: u64 = 0x6f75_7472_6967_6765;

/// How a trace is written. Each request is a line; empty lines count for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A key a line. Each weighs one byte, so that a bound in bytes counts keys.
    Keys,
    /// `key,size` a line, the size in bytes; a key may have commas itself. One of no bytes weighs one. A first line of
    /// exactly `key,size` is a heading.
    KeySize,
    /// As the traces of ARC: the first block's number, how many blocks, and two more numbers that are of no use here. Each
    /// block is a request, and weighs one byte.
    Arc,
}

impl Format {
    /// As the command line names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::KeySize => "key-size",
            Self::Arc => "arc",
        }
    }

    /// What a trace with this first line looks like.
    fn of(line: &[u8]) -> Self {
        if arc(line).is_some() {
            Self::Arc
        } else if is_heading(line) || key_size(line).is_some() {
            Self::KeySize
        } else {
            Self::Keys
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Keys => "a key",
            Self::KeySize => "key,size with a whole number of bytes as the size",
            Self::Arc => {
                "four numbers: the first block, how many blocks (at least one), and two that are not used"
            }
        }
    }
}

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    /// The key's hash.
    pub(crate) key: u64,
    /// At least one.
    pub(crate) bytes: u64,
}

/// What was asked for, in order.
#[derive(Debug, Clone)]
pub struct Trace {
    requests: Vec<Request>,
    format: Format,
}

/// Why a trace cannot be read. It says which line.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file could not be read.
    #[error("line {line}: {error}")]
    Read {
        /// The line, counted from one.
        line: u64,
        /// What happened.
        error: io::Error,
    },
    /// A line is not what the trace's format asks for.
    #[error("line {line}: found {found:?}, expected {}{}", .format.expected(), hint(*.is_guessed, *.format))]
    Line {
        /// The line, counted from one.
        line: u64,
        /// Its beginning.
        found: String,
        /// The format it is read as.
        format: Format,
        /// Whether the first line told the format.
        is_guessed: bool,
    },
    /// A line has bytes in it that no text has.
    #[error(
        "line {line}: found bytes that are no text, expected a trace; gzip and other archives are unpacked before"
    )]
    Binary {
        /// The line, counted from one.
        line: u64,
    },
    /// The first line ends like `key,size`, with a size that is larger than any.
    #[error(
        "line {line}: found a size of more than {}, expected key,size; --format keys has it as part of the key",
        u64::MAX
    )]
    TooLarge {
        /// The line, counted from one.
        line: u64,
    },
    /// A line is longer than 64 KiB.
    #[error("line {line}: longer than {LINE_BYTES_MAX} bytes, which no key is; is this a trace?")]
    TooLong {
        /// The line, counted from one.
        line: u64,
    },
    /// There are more requests than fit into memory.
    #[error("line {line}: more than {REQUESTS_MAX} requests; try a part of the trace, such as its beginning")]
    TooMany {
        /// The line, counted from one.
        line: u64,
    },
}

impl TraceError {
    /// Whether the file could not be read, rather than being no trace.
    #[must_use]
    pub fn is_of_reading(&self) -> bool {
        matches!(self, Self::Read { .. })
    }
}

fn hint(is_guessed: bool, format: Format) -> String {
    if is_guessed {
        format!(", as the first line has it (--format says what a trace is, here {})", format.name())
    } else {
        String::new()
    }
}

impl Trace {
    /// Reads a whole trace. Without a format its first line tells it.
    ///
    /// # Errors
    /// [`TraceError`], at the first line that cannot be read or is no request.
    pub fn read(mut from: impl BufRead, format: Option<Format>) -> Result<Self, TraceError> {
        let mut trace = Self { requests: Vec::new(), format: format.unwrap_or(Format::Keys) };
        let mut known = format;
        let (mut text, mut line) = (Vec::new(), 0);
        loop {
            line += 1;
            text.clear();
            let mut bounded = from.by_ref().take(LINE_BYTES_MAX as u64 + 1);
            let length =
                bounded.read_until(b'\n', &mut text).map_err(|error| TraceError::Read { line, error })?;
            if length == 0 {
                return Ok(trace);
            }
            if length > LINE_BYTES_MAX {
                return Err(TraceError::TooLong { line });
            }
            let text = if line == 1 { text.strip_prefix(MARK).unwrap_or(&text) } else { &text };
            let text = text.trim_ascii();
            if is_binary(text) {
                return Err(TraceError::Binary { line });
            }
            if known.is_none() && has_endless_size(text) {
                return Err(TraceError::TooLarge { line });
            }
            if text.is_empty() {
                continue;
            }
            let is_first = known.is_none_or(|_| trace.requests.is_empty());
            trace.format = *known.get_or_insert_with(|| Format::of(text));
            if is_first && trace.format == Format::KeySize && is_heading(text) {
                continue;
            }
            trace.add(text, line, format.is_none())?;
        }
    }

    /// How many requests there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// How it was written.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The size of every request, where it is the same: of an empty trace, 1.
    pub(crate) fn size(&self) -> Option<u64> {
        let size = self.requests.first().map_or(1, |request| request.bytes);
        self.requests.iter().all(|request| request.bytes == size).then_some(size)
    }

    #[cfg(test)]
    pub(crate) fn of(requests: Vec<Request>) -> Self {
        Self { requests, format: Format::KeySize }
    }

    pub(crate) fn requests(&self) -> &[Request] {
        &self.requests
    }

    fn add(&mut self, text: &[u8], line: u64, is_guessed: bool) -> Result<(), TraceError> {
        let wrong = || TraceError::Line {
            line,
            found: String::from_utf8_lossy(&text[..text.len().min(SHOWN_MAX)]).into_owned(),
            format: self.format,
            is_guessed,
        };
        let (key, bytes) = match self.format {
            Format::Keys => (text, 1),
            Format::KeySize => key_size(text).ok_or_else(wrong)?,
            Format::Arc => {
                let (first, count) = arc(text).ok_or_else(wrong)?;
                self.has_room(count, line)?;
                let blocks = (0..count).map(|more| first.wrapping_add(more).to_le_bytes());
                self.requests.extend(blocks.map(|block| Request { key: hash(SEED, &block), bytes: 1 }));
                return Ok(());
            }
        };
        self.has_room(1, line)?;
        self.requests.push(Request { key: hash(SEED, key), bytes: bytes.max(1) });
        Ok(())
    }

    fn has_room(&self, count: u64, line: u64) -> Result<(), TraceError> {
        let room = (REQUESTS_MAX - self.requests.len()) as u64;
        if count > room { Err(TraceError::TooMany { line }) } else { Ok(()) }
    }
}

/// Whether it has bytes that neither a URL nor a name has; letters of any encoding are none of them.
fn is_binary(line: &[u8]) -> bool {
    line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t')
}

/// Whether behind the last comma stand more digits than any size has.
fn has_endless_size(line: &[u8]) -> bool {
    let Some(comma) = line.iter().rposition(|byte| *byte == b',') else { return false };
    let size = line[comma + 1..].trim_ascii();
    !size.is_empty() && size.iter().all(u8::is_ascii_digit) && number(size).is_none()
}

fn is_heading(line: &[u8]) -> bool {
    line.eq_ignore_ascii_case(b"key,size")
}

/// The key and its size.
fn key_size(line: &[u8]) -> Option<(&[u8], u64)> {
    let comma = line.iter().rposition(|byte| *byte == b',')?;
    let key = line[..comma].trim_ascii();
    Some((key, number(line[comma + 1..].trim_ascii())?)).filter(|_| !key.is_empty())
}

/// The first block, and how many there are.
fn arc(line: &[u8]) -> Option<(u64, u64)> {
    let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()).map(number);
    let numbers = [fields.next()??, fields.next()??, fields.next()??, fields.next()??];
    let [first, count, ..] = numbers;
    (fields.next().is_none() && count > 0).then_some((first, count))
}

fn number(text: &[u8]) -> Option<u64> {
    let digits = text.first().is_some_and(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Trace, TraceError> {
        Trace::read(text.as_bytes(), None)
    }

    fn sizes(trace: &Trace) -> Vec<u64> {
        trace.requests().iter().map(|request| request.bytes).collect()
    }

    #[test]
    fn the_first_line_tells_what_a_trace_is() {
        let formats = [
            ("a\nb\n\na\n", Format::Keys),
            ("/a?b=1,x\n", Format::Keys),
            ("17 4 0\n", Format::Keys),
            ("/a?b=1,x,512\r\n/b, 7\n", Format::KeySize),
            ("Key,Size\na,1\n", Format::KeySize),
            ("17 4 0 1\n", Format::Arc),
        ];
        for (text, format) in formats {
            assert_eq!(read(text).unwrap().format(), format, "{text}");
        }
        assert!(read("").unwrap().is_empty());
    }

    #[test]
    fn a_line_is_a_request_and_one_of_arc_is_one_for_each_block() {
        let keys = read("a\nb\n\n  a \r\n").unwrap();
        assert_eq!(keys.requests()[0], keys.requests()[2]);
        assert_eq!(sizes(&keys), [1, 1, 1]);
        assert_eq!(sizes(&read("key,size\na,1,5\nb,0\na,1,6").unwrap()), [5, 1, 6]);
        let blocks = read("10 3 0 0\n12 1 0 1\n").unwrap();
        assert_eq!(blocks.len(), 4);
        assert_eq!(blocks.requests()[2], blocks.requests()[3]);
        assert_ne!(blocks.requests()[0], blocks.requests()[1]);
    }

    #[test]
    fn a_line_of_another_format_is_told_with_its_number_and_what_to_do() {
        let error = read("a,1\n\nb\n").unwrap_err().to_string();
        assert_eq!(
            error,
            "line 3: found \"b\", expected key,size with a whole number of bytes as the size, as the first line has it \
             (--format says what a trace is, here key-size)"
        );
        assert!(Trace::read("a,1\nb\n".as_bytes(), Some(Format::Keys)).is_ok());
        let error = Trace::read("1 0 0 0".as_bytes(), Some(Format::Arc)).unwrap_err().to_string();
        assert!(error.starts_with("line 1: found \"1 0 0 0\", expected four numbers"), "{error}");
        assert!(!error.contains("--format"), "{error}");
    }

    #[test]
    fn what_is_no_trace_is_refused_and_a_mark_before_the_heading_is_none_of_it() {
        for (bytes, line) in [(&b"\x1f\x8b\x08\x00x"[..], 1), (b"a\nb\x00c\n", 2), (b"\x7fELF", 1)] {
            let error = Trace::read(bytes, None).unwrap_err();
            assert!(matches!(error, TraceError::Binary { line: at } if at == line), "{error}");
        }
        let marked = read("\u{feff}key,size\na,5\n").unwrap();
        assert_eq!((marked.format(), sizes(&marked)), (Format::KeySize, vec![5]));
        let error = read("a,18446744073709551616\nb,1\n").unwrap_err();
        assert!(
            error.to_string().starts_with("line 1: found a size of more than 18446744073709551615"),
            "{error}"
        );
        assert!(Trace::read("a,18446744073709551616".as_bytes(), Some(Format::Keys)).is_ok());
        assert!(read("/caf\u{e9}?a=b\n").is_ok() && Trace::read(&b"/caf\xe9\n"[..], None).is_ok());
    }

    #[test]
    fn what_would_not_fit_into_memory_is_refused_at_its_line() {
        let long = "x".repeat(LINE_BYTES_MAX + 1);
        assert!(matches!(read(&format!("a\n{long}\n")), Err(TraceError::TooLong { line: 2 })));
        assert!(matches!(read("1 2 0 0\n1 99999999999 0 1\n"), Err(TraceError::TooMany { line: 2 })));
        assert!(matches!(read("18446744073709551615 2 0 0\n"), Ok(trace) if trace.len() == 2));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_trace_or_an_error_of_one_line(bytes: Vec<u8>, lines in "([a-c],?[0-9 ]{0,12}\n){0,9}") {
            for text in [&bytes[..], lines.as_bytes()] {
                for format in [None, Some(Format::Keys), Some(Format::KeySize), Some(Format::Arc)] {
                    match Trace::read(text, format) {
                        Ok(trace) => prop_assert!(trace.requests().iter().all(|request| request.bytes > 0)),
                        Err(error) => prop_assert!(!error.to_string().contains('\n'), "{error}"),
                    }
                }
            }
        }
    }
}
