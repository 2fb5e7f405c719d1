//! Decompression that stops at a limit.
//!
//! The input comes in pieces and the output is bounded, so that neither a bomb nor a lie about the length makes us
//! hold more than the limit, one block of 32 KiB and, for zstd, the window (8 MiB at most, touched as far as there is
//! output).

mod deflate;
mod gzip;
mod zstd;

use bytes::Bytes;

use crate::body::BodyError;

/// What is unpacked at once, in bytes.
const BLOCK: usize = 32 << 10;

/// A compression that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Deflate,
    Zstd,
}

/// A packed body on its way into memory.
pub(crate) trait Unpack: Send {
    /// Takes the next piece of packed bytes.
    fn push(&mut self, piece: &[u8]) -> Result<(), BodyError>;

    /// Bytes that are unpacked.
    fn held(&self) -> usize;

    /// The unpacked body, once every piece was pushed; an end that is missing is an error.
    fn finish(self: Box<Self>) -> Result<Bytes, BodyError>;
}

impl Coding {
    /// The coding of that name; names are compared without regard to case.
    pub(crate) fn of(name: &[u8]) -> Option<Coding> {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        match () {
            () if is("gzip") || is("x-gzip") => Some(Coding::Gzip),
            () if is("deflate") => Some(Coding::Deflate),
            () if is("zstd") => Some(Coding::Zstd),
            () => None,
        }
    }

    /// Begins a body that may unpack to `bytes_max` bytes.
    pub(crate) fn unpack(self, bytes_max: usize) -> Box<dyn Unpack> {
        match self {
            Coding::Gzip => Box::new(gzip::Gunzip::new(bytes_max)),
            Coding::Deflate => Box::new(deflate::Inflate::new(bytes_max)),
            Coding::Zstd => Box::new(zstd::Unzstd::new(bytes_max)),
        }
    }
}

/// A buffer that refuses to grow past its limit.
struct Bounded {
    out: Vec<u8>,
    bytes_max: usize,
}

impl Bounded {
    fn new(bytes_max: usize) -> Bounded {
        Bounded { out: Vec::new(), bytes_max }
    }

    fn push(&mut self, piece: &[u8]) -> Result<(), BodyError> {
        if piece.len() > self.bytes_max - self.out.len() {
            return Err(BodyError::TooLargeDecompressed { bytes_max: self.bytes_max });
        }
        self.out.extend_from_slice(piece);
        Ok(())
    }

    fn held(&self) -> usize {
        self.out.len()
    }

    fn take(&mut self) -> Bytes {
        let mut out = std::mem::take(&mut self.out);
        out.shrink_to_fit();
        out.into()
    }
}

fn block() -> Box<[u8]> {
    vec![0; BLOCK].into_boxed_slice()
}

#[cfg(test)]
mod tests;
