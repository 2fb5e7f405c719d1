//! The documents of an input: JSON lines, or values that go over several lines, one after the other.
//!
//! Which of the two it is shows with the first that is good: a line that is whole by itself is the first of lines, each of
//! which then stands for itself, however broken one is. Else a document ends where its brackets are closed. Only one
//! document is in memory, and none larger than [`EVENT_BYTES_MAX`].

use std::io::{self, BufRead};

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::error::Category;

use crate::cmd::lines::{self, EVENT_BYTES_MAX, Line, too_large};

/// One of the input, with the line where it begins, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Document {
    /// Where it begins.
    pub(super) line: u64,
    /// Its bytes, or why it is none.
    pub(super) bytes: Result<Bytes, String>,
}

/// Reads documents.
pub(super) struct Documents<'b> {
    bytes: &'b mut dyn BufRead,
    /// How many lines were read.
    line: u64,
    /// One that was read and belongs to the next document.
    kept: Option<Bytes>,
    /// Whether each line is a document: known once a line was one.
    by_line: bool,
    ended: bool,
}

const A_DOCUMENT: &str = "one document";

impl<'b> Documents<'b> {
    pub(super) fn new(bytes: &'b mut dyn BufRead) -> Self {
        Self { bytes, line: 0, kept: None, by_line: false, ended: false }
    }

    /// The next one, or `None` at the end. Nothing can be read after one that is too large.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub(super) fn next(&mut self) -> io::Result<Option<Document>> {
        loop {
            let Some(text) = self.next_line()? else { return Ok(None) };
            let line = self.line;
            let bytes = match text {
                Err(why) => Err(why),
                Ok(text) if text.is_empty() => continue,
                Ok(text) => match whole(&text) {
                    Ok(()) => {
                        self.by_line = true;
                        Ok(text)
                    }
                    Err(why) if self.by_line || !why.is_open => Err(why.text),
                    Err(_) => self.further(&text)?,
                },
            };
            return Ok(Some(Document { line, bytes }));
        }
    }

    fn next_line(&mut self) -> io::Result<Option<Result<Bytes, String>>> {
        if let Some(kept) = self.kept.take() {
            return Ok(Some(Ok(kept)));
        }
        if self.ended {
            return Ok(None);
        }
        let line = match lines::next(self.bytes)? {
            None => return Ok(None),
            Some(Line::TooLarge) => {
                self.ended = true;
                Err(too_large(A_DOCUMENT))
            }
            Some(Line::Text(text)) => Ok(text),
        };
        self.line += 1;
        Ok(Some(line))
    }

    /// The rest of a document whose first line is `first`.
    fn further(&mut self, first: &Bytes) -> io::Result<Result<Bytes, String>> {
        let mut nesting = Nesting::default();
        let mut text = first.to_vec();
        nesting.read(first);
        let started = self.line;
        loop {
            let end = |nesting: &Nesting| whole(&text).map_err(|why| why.text).and(nesting.whole());
            if !nesting.is_open() {
                return Ok(end(&nesting).map(|()| Bytes::from(text)));
            }
            let next = match self.next_line()? {
                None => return Ok(end(&nesting).map(|()| Bytes::from(text))),
                Some(Err(why)) => return Ok(Err(why)),
                Some(Ok(next)) => next,
            };
            // A line that is an object by itself, right after one that breaks off, is no part of it.
            let is_next = self.line == started + 1 && breaks_off(&text) && next.starts_with(b"{");
            if is_next && whole(&next).is_ok() {
                self.by_line = true;
                self.kept = Some(next);
                return Ok(end(&nesting).map(|()| Bytes::from(text)));
            }
            if (text.len() + next.len()) as u64 >= EVENT_BYTES_MAX {
                self.ended = true;
                return Ok(Err(too_large(A_DOCUMENT)));
            }
            text.push(b'\n');
            text.extend_from_slice(&next);
            nesting.read(&next);
        }
    }
}

/// Why a text is no document.
struct NotWhole {
    text: String,
    /// Whether what is there may go on.
    is_open: bool,
}

/// Whether it is one value of JSON. It is passed over without recursion.
fn whole(text: &[u8]) -> Result<(), NotWhole> {
    match serde_json::from_slice::<IgnoredAny>(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(NotWhole {
            is_open: error.classify() == Category::Eof && text.starts_with(b"{") | text.starts_with(b"["),
            text: format!("no JSON: {error}"),
        }),
    }
}

/// Whether a line that is not whole ends where no writer of documents begins another.
fn breaks_off(line: &[u8]) -> bool {
    !matches!(line.last(), Some(b'{' | b'[' | b',' | b':'))
}

/// How deep a document is open, as far as it was read.
#[derive(Debug, Default)]
struct Nesting {
    depth: u64,
    in_text: bool,
    is_broken: bool,
}

impl Nesting {
    /// Reads a line, which no string goes beyond.
    fn read(&mut self, line: &[u8]) {
        let mut escaped = false;
        for byte in line {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if self.in_text => escaped = true,
                b'"' => self.in_text = !self.in_text,
                _ if self.in_text => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.is_broken |= self.depth == 0;
                    self.depth = self.depth.saturating_sub(1);
                }
                _ => {}
            }
        }
        self.is_broken |= self.in_text;
    }

    fn is_open(&self) -> bool {
        self.depth > 0 && !self.is_broken
    }

    fn whole(&self) -> Result<(), String> {
        if self.is_broken { Err("no JSON: a string or a bracket does not end".to_owned()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Each document as its line and its bytes, or nothing where it is none.
    fn read(text: &[u8]) -> Vec<(u64, Option<String>)> {
        let mut input = text;
        let mut documents = Documents::new(&mut input);
        let mut all = Vec::new();
        while let Some(Document { line, bytes }) = documents.next().unwrap() {
            all.push((line, bytes.ok().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())));
        }
        all
    }

    fn good(line: u64, text: &str) -> (u64, Option<String>) {
        (line, Some(text.to_owned()))
    }

    #[test]
    fn lines_are_documents() {
        assert_eq!(
            read(b"{\"a\":1}\r\n\n [2] \n\"x\""),
            [good(1, "{\"a\":1}"), good(3, "[2]"), good(4, "\"x\"")]
        );
        assert_eq!(read(b""), []);
    }

    #[test]
    fn a_broken_line_is_told_and_the_next_is_read() {
        let text = b"{\"a\":1}\n{\"b\": [\n{\"c\":3}\nno\n{\"d\":4}";
        assert_eq!(
            read(text),
            [good(1, "{\"a\":1}"), (2, None), good(3, "{\"c\":3}"), (4, None), good(5, "{\"d\":4}")]
        );
        assert_eq!(read(b"no\n{\"a\":1}"), [(1, None), good(2, "{\"a\":1}")]);
        assert_eq!(
            read(b"{\"b\": [1\n{\"c\":3}\n{\"d\":4}"),
            [(1, None), good(2, "{\"c\":3}"), good(3, "{\"d\":4}")]
        );
        assert_eq!(read(b"{\"b\": \"x\n{\"c\":3}"), [(1, None), good(2, "{\"c\":3}")]);
    }

    #[test]
    fn a_document_may_go_over_several_lines_and_another_follow() {
        let first = "{\n\"a\": [\n\"}]\\\"\",\n{}\n]\n}";
        let second = "[\n{\"b\":2}\n]";
        let both = format!("{first}\n{second}\n");
        assert_eq!(read(both.as_bytes()), [good(1, first), good(7, second)]);
        let listed = "{\"Records\": [\n{\"a\":1}\n]}";
        assert_eq!(read(listed.as_bytes()), [good(1, listed)]);
        assert_eq!(read(b"{\n\"a\": 1\n"), [(1, None)]);
        assert_eq!(read(b"{\n\"a\": }\n}\n{\n}"), [(1, None), (3, None), good(4, "{\n}")]);
    }

    #[test]
    fn one_that_is_too_large_ends_the_input() {
        let line = vec![b'1'; usize::try_from(EVENT_BYTES_MAX).unwrap() / 2];
        let text = [b"[\n", &line[..], b",\n", &line[..], b"\n]\n{}"].concat();
        assert_eq!(read(&text), [(1, None)]);
    }

    #[test]
    fn a_megabyte_of_nesting_is_one_document() {
        let text = "[".repeat(1 << 20) + "\n" + &"]".repeat(1 << 20);
        assert_eq!(read(text.as_bytes()), [good(1, &text)]);
    }

    proptest! {
        #[test]
        fn whatever_the_input_it_ends(text in "[\\[\\]{}\"\\\\a:,\n1 ]{0,40}") {
            let lines = text.split('\n').filter(|line| !line.trim().is_empty()).count();
            prop_assert!(read(text.as_bytes()).len() <= lines);
        }
    }
}
