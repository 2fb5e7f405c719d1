//! How many bytes of bodies may be on their way in at once: a bound over all requests that share it, whoever sends them.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::BodyError;

/// A bound in bytes on what [`super::collect_within`] holds of bodies that are not whole yet.
#[derive(Debug)]
pub struct Budget {
    bytes_max: usize,
    left: AtomicUsize,
}

impl Budget {
    /// A bound of `bytes_max` bytes.
    #[must_use]
    pub const fn new(bytes_max: usize) -> Self {
        Self { bytes_max, left: AtomicUsize::new(bytes_max) }
    }

    /// Bytes that are held now.
    #[must_use]
    pub fn held(&self) -> usize {
        self.bytes_max - self.left.load(Relaxed)
    }
}

/// What one body has of it, until it is dropped.
pub(super) struct Share<'b> {
    budget: Option<&'b Budget>,
    bytes: usize,
}

impl<'b> Share<'b> {
    /// Of a bound, or of none.
    pub(super) fn of(budget: Option<&'b Budget>) -> Self {
        Self { budget, bytes: 0 }
    }

    /// Makes it `bytes` in all, if that is more than before.
    pub(super) fn grow_to(&mut self, bytes: usize) -> Result<(), BodyError> {
        let (Some(budget), Some(more)) = (self.budget, bytes.checked_sub(self.bytes)) else { return Ok(()) };
        let taken = budget.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(more));
        taken.map_err(|_| BodyError::NoRoom { bytes_max: budget.bytes_max })?;
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        if let Some(budget) = self.budget {
            budget.left.fetch_add(self.bytes, Relaxed);
        }
    }
}
