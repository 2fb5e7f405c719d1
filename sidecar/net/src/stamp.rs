//! What tells that a file is another one than before.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

/// What changes when a file is written anew or replaced (a mounted secret is: its link is swapped).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    device: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Of the file that has the name now; `None` where there is none that can be asked.
    #[must_use]
    pub fn now(path: &Path) -> Option<Stamp> {
        fs::metadata(path).ok().map(|metadata| Stamp::of(&metadata))
    }

    /// Of the file with this metadata.
    pub(crate) fn of(m: &fs::Metadata) -> Stamp {
        Stamp {
            inode: m.ino(),
            device: m.dev(),
            size: m.size(),
            modified: (m.mtime(), m.mtime_nsec()),
            changed: (m.ctime(), m.ctime_nsec()),
        }
    }
}
