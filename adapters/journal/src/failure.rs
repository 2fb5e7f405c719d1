//! What a failure of the storage means for the writer: go on, wait for space, or stop for good.

use outrigger_core::{Error, Kind};
use rusqlite::ErrorCode;
use std::{io, path::Path};

/// A failure, by what follows from it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No space. Nothing of the transaction was kept; it may succeed when there is space again.
    Full(Error),
    /// A row is not what was written. Whoever asked for it is told; the queue's own rows end the journal.
    Damaged(Error),
    /// Anything else. After a failed fsync nobody knows what is on the disk, and trying again would only hide
    /// it (the kernel reports such an error once), so the journal stops for good and the process exits.
    Fatal(Error),
}

impl Failure {
    /// The input, not the storage, is wrong; for use while opening.
    pub(crate) fn invalid(message: String) -> Self {
        Self::Fatal(Error::new(Kind::Invalid, message))
    }

    /// `what` failed with an error of the operating system.
    pub(crate) fn io(what: &str, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::StorageFull {
            return Self::Full(full(&format!("{what}: {error}")));
        }
        Self::Fatal(Error::new(
            Kind::Storage,
            format!("journal: {what}: {error}: look after the disk, then start again"),
        ))
    }

    /// The error of an open that failed: nothing goes on by itself then.
    pub(crate) fn at_open(self, path: &Path) -> Error {
        match self {
            Self::Full(_) => {
                let path = path.display();
                Error::new(
                    Kind::Full,
                    format!("no space to open the journal {path}: free space and start again"),
                )
            }
            failure => failure.into_error(),
        }
    }

    pub(crate) fn error(&self) -> &Error {
        match self {
            Self::Full(error) | Self::Damaged(error) | Self::Fatal(error) => error,
        }
    }

    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Full(error) | Self::Damaged(error) | Self::Fatal(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(full(&error.to_string())),
            _ => Self::Fatal(Error::new(Kind::Storage, describe(&error))),
        }
    }
}

/// The extended code tells a failed fsync from a failed read, so it belongs into the message.
fn describe(error: &rusqlite::Error) -> String {
    let code = error.sqlite_error().map(|e| format!(" (SQLite code {})", e.extended_code));
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::SystemIoFailure) => {
            ": nobody knows what of the last write is on the disk; look after the disk, then start again"
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            ": the journal is damaged; keep a copy of its files, and restore them from a backup or move them away"
        }
        _ => "",
    };
    format!("journal: {error}{}{advice}", code.unwrap_or_default())
}

/// Refused before it was tried.
pub(crate) fn no_space(detail: &str) -> Failure {
    Failure::Full(full(detail))
}

fn full(detail: &str) -> Error {
    Error::new(Kind::Full, format!("journal: no space left ({detail}): free space, and it goes on by itself"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    fn sqlite(code: i32) -> Failure {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into()
    }

    #[test]
    fn only_a_full_disk_may_pass_by_itself() {
        assert!(matches!(sqlite(ffi::SQLITE_FULL), Failure::Full(_)));
        for code in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_CORRUPT, ffi::SQLITE_NOMEM]
        {
            assert!(matches!(sqlite(code), Failure::Fatal(_)), "{code}");
        }
        assert!(matches!(Failure::io("x", &io::ErrorKind::StorageFull.into()), Failure::Full(_)));
    }

    #[test]
    fn a_failed_fsync_is_named_by_its_code() {
        let message = sqlite(ffi::SQLITE_IOERR_FSYNC).into_error().to_string();
        assert!(message.contains("1034") && message.contains("start again"), "{message}");
    }

    #[test]
    fn what_sqlite_takes_for_damage_says_what_to_do() {
        let message = sqlite(ffi::SQLITE_CORRUPT).into_error().to_string();
        assert!(message.contains("damaged") && message.contains("backup"), "{message}");
    }
}
