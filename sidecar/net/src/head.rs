//! Looks for a `Content-Length` line in a request's head, as its bytes come.
//!
//! hyper drops that line from a request that also has `Transfer-Encoding`, so nobody behind hyper can see
//! that there were both, which is how one request is smuggled in another (RFC 9112, section 11.2).

const NAME: &[u8] = b"content-length:";

/// Where in the head the last byte stood. A head may come in any number of pieces.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct HeadScan {
    line: Line,
}

#[derive(Debug, Clone, Copy, Default)]
enum Line {
    /// In a line that is of no interest: the request line, at first.
    #[default]
    Skipped,
    /// So many bytes of the line are those of [`NAME`].
    Like(usize),
    /// A line that has only a carriage return so far.
    Return,
    /// The head is over; a body may say what it likes.
    Over,
}

impl HeadScan {
    /// Takes the next bytes. Whether a line of the wanted name ends or begins in them.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) -> bool {
        let mut found = false;
        loop {
            match self.line {
                Line::Over => return found,
                Line::Skipped => {
                    let Some(end) = memchr::memchr(b'\n', bytes) else { return found };
                    (self.line, bytes) = (Line::Like(0), &bytes[end + 1..]);
                }
                // Most lines come whole, and are told by their first bytes together.
                Line::Like(0) if bytes.len() >= NAME_LENGTH && !matches!(bytes[0], b'\r' | b'\n') => {
                    found |= bytes[..NAME_LENGTH].eq_ignore_ascii_case(NAME);
                    self.line = Line::Skipped;
                }
                Line::Return | Line::Like(_) => {
                    let Some((&byte, rest)) = bytes.split_first() else { return found };
                    self.line = self.line.after(byte);
                    if matches!(self.line, Line::Like(NAME_LENGTH)) {
                        (found, self.line) = (true, Line::Skipped);
                    }
                    if !matches!(self.line, Line::Skipped) || byte != b'\n' {
                        bytes = rest;
                    }
                }
            }
        }
    }
}

const NAME_LENGTH: usize = NAME.len();

impl Line {
    fn after(self, byte: u8) -> Line {
        match (self, byte) {
            (Line::Like(0) | Line::Return, b'\n') => Line::Over,
            (Line::Like(0), b'\r') => Line::Return,
            (Line::Like(at), byte) if byte.to_ascii_lowercase() == NAME[at] => Line::Like(at + 1),
            _ => Line::Skipped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pieces: &[&[u8]]) -> bool {
        let mut scan = HeadScan::default();
        pieces.iter().any(|piece| scan.take(piece))
    }

    #[test]
    fn the_line_is_found_in_any_case_and_cut_anywhere() {
        let head = b"POST / HTTP/1.1\r\nhost: x\r\ncOntent-Length: 5\r\n\r\n";
        for cut in 0..head.len() {
            assert!(found(&[&head[..cut], &head[cut..]]), "cut at {cut}");
        }
        let bytes: Vec<_> = head.chunks(1).collect();
        assert!(found(&bytes));
    }

    #[test]
    fn bare_line_feeds_end_lines_too() {
        assert!(found(&[b"POST / HTTP/1.1\nhost: x\nx:\ncontent-length: 5\n\n"]));
    }

    #[test]
    fn neither_another_line_nor_a_body_is_taken_for_it() {
        for other in [
            "POST /content-length: HTTP/1.1\r\nx: content-length: 5\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-lengthy: 5\r\nx-content-length: 5\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: x\r\n\r\n--a\r\ncontent-length: 5\r\n\r\n",
            "POST / HTTP/1.1\nhost: x\n\ncontent-length: 5\n",
        ] {
            assert!(!found(&[other.as_bytes()]), "{other:?}");
            let bytes: Vec<_> = other.as_bytes().chunks(1).collect();
            assert!(!found(&bytes), "{other:?}");
        }
    }
}
