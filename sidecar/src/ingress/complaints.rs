//! What the log says of pushed requests that bring no events, as often as it must and no oftener.
//!
//! Who sends by hand is told by the answer. A broker that pushes shows nobody what it was told, so the log does.

use crate::{complaint::Complaint, dispatch::now};
use outrigger_core::{Error, Malformed, Refused};
use std::sync::{Mutex, PoisonError};

/// What may be complained of at one path.
#[derive(Debug, Default)]
pub struct Complaints {
    refused: Mutex<Complaint>,
    malformed: Mutex<Complaint>,
}

impl Complaints {
    /// A request was refused, by what `sender` does then.
    pub(super) fn of_request(&self, listener: &str, sender: Refused, error: &Error) {
        if sender == Refused::Told || !is_its_own(error.told().0) {
            tracing::debug!(listener, %error, "a request was refused");
        } else if let Some(left_out) = allow(&self.refused) {
            tracing::warn!(listener, %error, left_out, "a pushed request was refused: it is not what is pushed here");
        }
    }

    /// So many members that are no events were kept as dead letters, `first` among them.
    pub(super) fn of_members(&self, listener: &str, count: usize, first: &Malformed) {
        if let Some(left_out) = allow(&self.malformed) {
            let why = &*first.why;
            tracing::warn!(
                listener,
                count,
                why,
                left_out,
                "what should have been events became dead letters"
            );
        }
    }
}

/// Whether the request itself is at fault: what has no room now may be sent again as it is.
fn is_its_own(status: u16) -> bool {
    (400..500).contains(&status) && status != 429
}

fn allow(complaint: &Mutex<Complaint>) -> Option<u64> {
    complaint.lock().unwrap_or_else(PoisonError::into_inner).allow(now())
}
