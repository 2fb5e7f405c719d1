//! Decompression that stops at a limit.
//!
//! The input comes in pieces and the output is bounded, so that neither a bomb nor a lie in the trailer's
//! length makes us hold more than the limit and one internal block (32 KiB).

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;

use crate::body::BodyError;

/// A gzip stream on its way into memory. Several members in a row are one body (RFC 1952, section 2.2);
/// anything after the last one is an error.
pub(crate) struct Gunzip(MultiGzDecoder<Bounded>);

impl Gunzip {
    pub(crate) fn new(bytes_max: usize) -> Gunzip {
        Gunzip(MultiGzDecoder::new(Bounded { out: Vec::new(), bytes_max, over: false }))
    }

    /// Takes the next piece of compressed bytes.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), BodyError> {
        let written = self.0.write_all(piece);
        written.map_err(|error| self.told(&error))
    }

    /// The decompressed body, once every piece was pushed: checks the last member's end and checksum.
    pub(crate) fn finish(mut self) -> Result<Bytes, BodyError> {
        let finished = self.0.try_finish();
        finished.map_err(|error| self.told(&error))?;
        let mut out = std::mem::take(&mut self.0.get_mut().out);
        out.shrink_to_fit();
        Ok(out.into())
    }

    fn told(&self, error: &io::Error) -> BodyError {
        let Bounded { over, bytes_max, .. } = *self.0.get_ref();
        if over {
            BodyError::TooLargeDecompressed { bytes_max }
        } else {
            BodyError::CorruptGzip { detail: error.to_string() }
        }
    }
}

/// A buffer that refuses to grow past its limit.
struct Bounded {
    out: Vec<u8>,
    bytes_max: usize,
    over: bool,
}

impl Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if piece.len() > self.bytes_max - self.out.len() {
            self.over = true;
            return Err(io::Error::other("over the decompressed limit"));
        }
        self.out.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn gunzip(pieces: &[&[u8]], bytes_max: usize) -> Result<Bytes, BodyError> {
        let mut gunzip = Gunzip::new(bytes_max);
        for piece in pieces {
            gunzip.push(piece)?;
        }
        gunzip.finish()
    }

    #[test]
    fn members_in_a_row_are_one_body() {
        let members = [gzip(b"out"), gzip(b""), gzip(b"rigger")].concat();
        assert_eq!(gunzip(&[&members], 64).unwrap(), "outrigger");
    }

    #[test]
    fn what_follows_the_last_member_is_refused() {
        for tail in [&b"x"[..], b"\0", b"trailing garbage, longer than a header"] {
            let body = [&gzip(b"outrigger")[..], tail].concat();
            let refused = gunzip(&[&body], 64);
            assert!(matches!(refused, Err(BodyError::CorruptGzip { .. })), "{tail:?}: {refused:?}");
        }
    }

    #[test]
    fn a_cut_or_a_flipped_bit_is_refused() {
        let whole = gzip(b"outrigger");
        for length in 0..whole.len() {
            let refused = gunzip(&[&whole[..length]], 64);
            assert!(matches!(refused, Err(BodyError::CorruptGzip { .. })), "cut at {length}: {refused:?}");
        }
        let mut flipped = whole.clone();
        let checksum_at = whole.len() - 8;
        flipped[checksum_at] ^= 1;
        assert!(matches!(gunzip(&[&flipped], 64), Err(BodyError::CorruptGzip { .. })));
    }

    #[test]
    fn row_30_a_bomb_is_cut_at_the_decompressed_limit() {
        let bomb = gzip(&vec![0; 64 << 20]);
        let mut gunzip = Gunzip::new(1 << 20);
        let refused = gunzip.push(&bomb);
        assert!(matches!(refused, Err(BodyError::TooLargeDecompressed { bytes_max: 0x10_0000 })));
        assert!(gunzip.0.get_ref().out.capacity() <= 2 << 20, "more was held than the limit allows");
    }

    #[test]
    fn exactly_the_limit_fits() {
        let body = gzip(&[7; 4096]);
        assert_eq!(gunzip(&[&body], 4096).unwrap().len(), 4096);
        assert!(matches!(gunzip(&[&body], 4095), Err(BodyError::TooLargeDecompressed { bytes_max: 4095 })));
    }

    proptest! {
        #[test]
        fn however_it_is_cut_into_pieces_the_body_comes_out(
            plain in proptest::collection::vec(any::<u8>(), 0..2000), cuts in 1_usize..50,
        ) {
            let packed = gzip(&plain);
            let pieces: Vec<_> = packed.chunks(cuts).collect();
            prop_assert_eq!(gunzip(&pieces, 2000).unwrap(), plain);
        }

        #[test]
        fn no_input_panics(garbage in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = gunzip(&[&garbage], 1000);
            let _ = gunzip(&[&[0x1f, 0x8b, 8, 0], &garbage], 1000);
        }
    }
}
