//! A secret that is kept in a file, as mounted secrets are.
//!
//! The file is looked at again at most once a second, so a rotated secret needs no restart. A new file that cannot be
//! used leaves the old secret in force: a rotation that went wrong must not lock everybody out.

use crate::stamp::Stamp;
use std::{
    fmt::Display,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Reads a file: what is in it, and how to notice that it changed.
pub(crate) type Read<T, E> = fn(&Path) -> Result<(T, Stamp), E>;

/// What a file held when it was last good.
pub(crate) struct Watched<T, E> {
    /// What is in it, as one word for the log.
    what: &'static str,
    path: PathBuf,
    read: Read<T, E>,
    state: Mutex<State<T>>,
}

struct State<T> {
    content: T,
    /// `None`: the file was gone when last looked at.
    seen: Option<Stamp>,
    looked: Instant,
}

impl<T, E: Display> Watched<T, E> {
    /// Reads the file for the first time.
    pub(crate) fn open(what: &'static str, path: PathBuf, read: Read<T, E>, now: Instant) -> Result<Self, E> {
        let (content, stamp) = read(&path)?;
        let state = Mutex::new(State { content, seen: Some(stamp), looked: now });
        Ok(Self { what, path, read, state })
    }

    /// Looks at what is in force; at most once a second of `now` this also asks the file system.
    pub(crate) fn with<R>(&self, now: Instant, look: impl FnOnce(&T) -> R) -> R {
        let mut state = self.lock();
        if now.saturating_duration_since(state.looked) >= LOOK_AGAIN_AFTER {
            state.looked = now;
            self.look_again(&mut state);
        }
        look(&state.content)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes a changed file's content; a file that is gone or no good is said once and changes nothing.
    fn look_again(&self, state: &mut State<T>) {
        let (what, seen) = (self.what, Stamp::now(&self.path));
        if seen == state.seen {
            return;
        }
        match (self.read)(&self.path) {
            Ok((content, stamp)) => {
                tracing::info!(path = %self.path.display(), "the {what} file changed and was read again");
                (state.content, state.seen) = (content, Some(stamp));
            }
            Err(error) => {
                tracing::warn!(%error, "the {what} that was read before stays in force");
                state.seen = seen;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing that holds the lock panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
