//! `gzip` (RFC 1952): members in a row are one body, and anything after the last one is an error.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;

use super::{Bounded, Unpack};
use crate::body::BodyError;

pub(super) struct Gunzip(MultiGzDecoder<Out>);

/// The buffer as a writer, which remembers why it refused.
struct Out {
    bounded: Bounded,
    refused: Option<BodyError>,
}

impl Gunzip {
    pub(super) fn new(bytes_max: usize) -> Gunzip {
        Gunzip(MultiGzDecoder::new(Out { bounded: Bounded::new(bytes_max), refused: None }))
    }

    fn told(&mut self, error: &io::Error) -> BodyError {
        let corrupt = || BodyError::Corrupt { coding: "gzip", detail: error.to_string() };
        self.0.get_mut().refused.take().unwrap_or_else(corrupt)
    }
}

impl Unpack for Gunzip {
    fn held(&self) -> usize {
        self.0.get_ref().bounded.held()
    }

    fn push(&mut self, piece: &[u8]) -> Result<(), BodyError> {
        let written = self.0.write_all(piece);
        written.map_err(|error| self.told(&error))
    }

    /// Checks the last member's end and checksum.
    fn finish(mut self: Box<Self>) -> Result<Bytes, BodyError> {
        let finished = self.0.try_finish();
        finished.map_err(|error| self.told(&error))?;
        Ok(self.0.get_mut().bounded.take())
    }
}

impl Write for Out {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if let Err(over) = self.bounded.push(piece) {
            self.refused = Some(over);
            return Err(io::Error::other("over the decompressed limit"));
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
