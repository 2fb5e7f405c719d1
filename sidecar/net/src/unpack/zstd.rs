//! `zstd` (RFC 8878), with the window that RFC 9659 allows.

use bytes::Bytes;
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

use super::{Bounded, Unpack, block};
use crate::body::BodyError;

/// 8 MiB, as a power of two: what RFC 9659 wants read, and no sender may exceed.
const WINDOW_LOG_MAX: u32 = 23;
/// The first bytes of a frame, little-endian.
pub(super) const FRAME: u32 = 0xFD2F_B528;
/// Those of a frame that says nothing, but for its last four bits.
const SKIPPABLE: u32 = 0x184D_2A50;

/// A body of one or more frames in a row (RFC 8878, section 3).
pub(super) struct Unzstd {
    out: Bounded,
    block: Box<[u8]>,
    context: Option<DCtx<'static>>,
    /// The first bytes of the present frame, up to four of them; none between two frames.
    head: Vec<u8>,
    frames: u64,
}

impl Unzstd {
    pub(super) fn new(bytes_max: usize) -> Unzstd {
        let out = Bounded::new(bytes_max);
        Unzstd { out, block: block(), context: None, head: Vec::with_capacity(4), frames: 0 }
    }

    /// Unpacks what it can of the present frame, and gives back what is behind its end.
    fn frame<'a>(&mut self, piece: &'a [u8]) -> Result<&'a [u8], BodyError> {
        let context = match &mut self.context {
            Some(context) => context,
            none => none.insert(context()?),
        };
        let mut input = InBuffer::around(piece);
        loop {
            let mut output = OutBuffer::around(&mut *self.block);
            let before = input.pos();
            let left = context.decompress_stream(&mut output, &mut input);
            let left = left.map_err(|code| corrupt(explained(get_error_name(code))))?;
            let written = output.pos();
            self.out.push(&self.block[..written])?;
            if left == 0 {
                self.head.clear();
                self.frames += 1;
                return Ok(&piece[input.pos()..]);
            }
            // A full block may have more behind it.
            if input.pos() == piece.len() && written < self.block.len() {
                return Ok(&[]);
            }
            if input.pos() == before && written == 0 {
                return Err(corrupt("it does not go on"));
            }
        }
    }
}

impl Unpack for Unzstd {
    fn held(&self) -> usize {
        self.out.held()
    }

    fn push(&mut self, mut piece: &[u8]) -> Result<(), BodyError> {
        while !piece.is_empty() {
            if self.head.len() == 4 {
                piece = self.frame(piece)?;
                continue;
            }
            let (head, rest) = piece.split_at(piece.len().min(4 - self.head.len()));
            self.head.extend_from_slice(head);
            piece = rest;
            if let Ok(magic) = self.head.as_slice().try_into().map(u32::from_le_bytes) {
                // The library may be built with its formats of before the RFC, for others in this process.
                if magic != FRAME && magic & !0xf != SKIPPABLE {
                    let first = self.frames == 0;
                    let what = if first { "no frame begins it" } else { "something follows its last frame" };
                    return Err(corrupt(what));
                }
                self.frame(&magic.to_le_bytes())?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Bytes, BodyError> {
        if self.frames > 0 && self.head.is_empty() {
            Ok(self.out.take())
        } else {
            Err(corrupt("it is cut off"))
        }
    }
}

fn context() -> Result<DCtx<'static>, BodyError> {
    let mut context = DCtx::try_create().ok_or_else(|| corrupt("no memory to unpack it"))?;
    let set = context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX));
    set.map_err(|code| corrupt(get_error_name(code)))?;
    Ok(context)
}

/// What the library says, in words that help the sender where it speaks of its own parameters.
fn explained(said: &str) -> &str {
    if said.contains("too much memory") { "its window is larger than 8 MiB" } else { said }
}

fn corrupt(detail: impl Into<String>) -> BodyError {
    BodyError::Corrupt { coding: "zstd", detail: detail.into() }
}
