//! `deflate`: the zlib format (RFC 1950), or the bare stream within it (RFC 1951).
//!
//! RFC 9110, section 8.4.1.2, means the first and knows that some clients send the second. The first two bytes tell
//! them apart: those of zlib would begin a bare stream with a stored block whose padding is not zero, which no
//! encoder writes.

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};

use super::{Bounded, Unpack, block};
use crate::body::BodyError;

pub(super) struct Inflate {
    out: Bounded,
    block: Box<[u8]>,
    /// The first bytes, until there are two.
    head: Vec<u8>,
    decoder: Option<Decompress>,
    ended: bool,
}

impl Inflate {
    pub(super) fn new(bytes_max: usize) -> Inflate {
        let out = Bounded::new(bytes_max);
        Inflate { out, block: block(), head: Vec::new(), decoder: None, ended: false }
    }

    fn inflate(&mut self, mut piece: &[u8]) -> Result<(), BodyError> {
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        loop {
            if self.ended {
                let rest = if piece.is_empty() { Ok(()) } else { Err(corrupt("something follows its end")) };
                return rest;
            }
            let (read, written) = (decoder.total_in(), decoder.total_out());
            let status = decoder.decompress(piece, &mut self.block, FlushDecompress::None);
            let status = status.map_err(|error| corrupt(error.to_string()))?;
            let (read, written) = (gained(read, decoder.total_in()), gained(written, decoder.total_out()));
            self.out.push(&self.block[..written])?;
            piece = &piece[read..];
            self.ended = status == Status::StreamEnd;
            // A full block may have more behind it.
            if !self.ended && piece.is_empty() && written < self.block.len() {
                return Ok(());
            }
            if !self.ended && read == 0 && written == 0 {
                return Err(corrupt("it does not go on"));
            }
        }
    }
}

impl Unpack for Inflate {
    fn held(&self) -> usize {
        self.out.held()
    }

    fn push(&mut self, piece: &[u8]) -> Result<(), BodyError> {
        let (head, rest) = piece.split_at(piece.len().min(2 - self.head.len()));
        if !head.is_empty() {
            self.head.extend_from_slice(head);
            let &[first, second] = &*self.head else { return Ok(()) };
            self.decoder = Some(Decompress::new(is_zlib(first, second)));
            self.inflate(&[first, second])?;
        }
        self.inflate(rest)
    }

    fn finish(mut self: Box<Self>) -> Result<Bytes, BodyError> {
        if self.ended { Ok(self.out.take()) } else { Err(corrupt("it is cut off")) }
    }
}

/// Whether these begin a zlib stream (RFC 1950, section 2.2): the method, the window, a checksum over both.
fn is_zlib(first: u8, second: u8) -> bool {
    first & 0x0f == 8 && first >> 4 <= 7 && u16::from_be_bytes([first, second]).is_multiple_of(31)
}

/// The bytes between two totals; they fit in a slice.
fn gained(before: u64, after: u64) -> usize {
    usize::try_from(after - before).unwrap_or(usize::MAX)
}

fn corrupt(detail: impl Into<String>) -> BodyError {
    BodyError::Corrupt { coding: "deflate", detail: detail.into() }
}
