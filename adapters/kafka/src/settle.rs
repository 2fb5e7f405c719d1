//! An assignment is told what became of its records. The token of a receipt is the record's offset.

use crate::partition::Assigned;
use outrigger_core::{Settlement, Settler};

impl Settler for Assigned {
    /// `Ack` counts for the next commit. `Release` has the record fetched again while the partition is ours, and
    /// leaves it to the next owner otherwise; a wait is not kept, as the order of its key would not be. `Reject`
    /// is a mistake of the caller, who is to keep a dead letter and ack.
    fn settle(&self, token: u64, settlement: Settlement) {
        let offset = i64::try_from(token).unwrap_or(i64::MAX);
        match settlement {
            Settlement::Ack(_) => self.settled(offset),
            Settlement::Release { .. } => self.released(offset),
            Settlement::Reject(reason) => {
                tracing::error!(partition = %self.at, offset, %reason, "a record was rejected; it will come again");
                self.released(offset);
            }
        }
    }

    /// A partition that is given up or gone wants none of its records begun.
    fn wanted(&self, _token: u64) -> bool {
        self.is_live()
    }
}
