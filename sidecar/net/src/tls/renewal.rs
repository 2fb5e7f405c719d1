//! What is done when files change, and when a certificate nears its end.

use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use super::{
    TlsError,
    files::{Validity, date},
};
use crate::stamp::Stamp;

/// How often files are looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// From when on an end that nears is said: two weeks before, or a tenth of a shorter life.
const NEAR: Duration = Duration::from_hours(14 * 24);

type Stamps = Vec<Option<Stamp>>;

/// What was made of some files, and is made anew when they change.
#[derive(Debug)]
pub(crate) struct Renewed<T> {
    files: Vec<PathBuf>,
    /// Whether a change must have rested for one look: two files are seldom replaced in one stroke.
    patient: bool,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    current: T,
    /// Of the files that `current` was made of, or that nothing could be made of.
    seen: Stamps,
    /// Of files that had just changed when last looked at.
    fresh: Option<Stamps>,
}

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looked {
    Same,
    Renewed,
    Failed,
}

impl<T: Clone> Renewed<T> {
    pub(crate) fn new(
        files: Vec<PathBuf>,
        patient: bool,
        make: impl FnOnce() -> Result<T, TlsError>,
    ) -> Result<Self, TlsError> {
        // Before the files are read: what changes meanwhile is then seen by the next look.
        let seen = stamps(&files);
        let current = make()?;
        Ok(Self { files, patient, state: Mutex::new(State { current, seen, fresh: None }) })
    }

    pub(crate) fn current(&self) -> T {
        self.lock().current.clone()
    }

    /// Makes it anew where the files are others; what cannot be used is said once and changes nothing.
    ///
    /// A look asks the file system for each file, which a local one answers in microseconds.
    pub(crate) fn look_again(&self, make: impl FnOnce(&T) -> Result<T, TlsError>) -> Looked {
        let now = stamps(&self.files);
        let mut state = self.lock();
        if now == state.seen {
            state.fresh = None;
            return Looked::Same;
        }
        if self.patient && state.fresh.as_ref() != Some(&now) {
            state.fresh = Some(now);
            return Looked::Same;
        }
        (state.seen, state.fresh) = (now, None);
        match make(&state.current) {
            Ok(renewed) => {
                state.current = renewed;
                Looked::Renewed
            }
            Err(error) => {
                for (key, what) in &error.problems {
                    tracing::error!("{key}: {what}; what was read before stays in force");
                }
                Looked::Failed
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing that holds the lock panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamps(files: &[PathBuf]) -> Stamps {
    files.iter().map(|file| Stamp::now(file)).collect()
}

/// Where a certificate is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// Nothing to say.
    Good,
    /// It ends soon.
    Near,
    /// It does not hold: before its beginning, or after its end.
    Wrong,
}

impl Age {
    pub(crate) fn of(validity: &Validity, now: SystemTime) -> Age {
        if validity.wrong(now).is_some() {
            return Age::Wrong;
        }
        let life = validity.ends.duration_since(validity.begins).unwrap_or_default();
        let left = validity.ends.duration_since(now).unwrap_or_default();
        if left <= NEAR.min(life / 10) { Age::Near } else { Age::Good }
    }

    /// Says it, for the certificate that `key` names.
    pub(crate) fn say(self, key: &str, validity: &Validity, now: SystemTime) {
        let subject = &validity.subject;
        match self {
            Age::Good => {}
            Age::Near => {
                let ends = date(validity.ends);
                tracing::warn!("{key}: the certificate of {subject} ends at {ends}; renew it before");
            }
            Age::Wrong => {
                let wrong = validity.wrong(now).unwrap_or_default();
                tracing::error!("{key}: {wrong}; it is shown all the same, and will be refused");
            }
        }
    }
}

#[cfg(test)]
mod tests;
