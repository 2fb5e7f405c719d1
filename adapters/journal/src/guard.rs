//! What keeps the files from a second process, and what tells later whether a commit is missing.
//!
//! SQLite's recovery of a log stops silently at the first frame that is wrong. So every commit carries a number
//! (see `counters`), and the mark file holds the number of the last commit that anybody was told about. The mark
//! is written after the commit is on disk and before anyone is answered, so it never runs ahead of the truth.

use crate::{config::Config, failure::Failure};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Holds the journal's files for this process until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File, // the lock belongs to the open file and ends with it, also when the process is killed
}

impl Lock {
    /// Takes the lock, or says who holds it.
    pub(crate) fn take(config: &Config) -> Result<Self, Failure> {
        make_directory(&config.path)?;
        let path = config.beside(".lock");
        let mut file = open_private(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(config, &mut file)),
            Err(TryLockError::Error(error)) => return Err(cannot("lock", &path, &error)),
        }
        // Only for the message of a second process: a full disk must not keep the first one from draining.
        let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

fn held(config: &Config, file: &mut File) -> Failure {
    let mut pid = String::new();
    let _ = file.take(20).read_to_string(&mut pid); // only for the message
    let holder = if pid.is_empty() { "another process".to_owned() } else { format!("process {pid}") };
    Failure::invalid(format!(
        "another Outrigger ({holder}) holds the journal {}: stop it, or give this one a journal of its own",
        config.path.display()
    ))
}

/// Makes the directory, for its owner only, where it is missing.
fn make_directory(path: &Path) -> Result<(), Failure> {
    let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty() && !d.exists()) else {
        return Ok(());
    };
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| cannot("create the directory", directory, &error))
}

/// Opens a file for its owner only; one that lets others in is closed to them.
pub(crate) fn open_private(path: &Path) -> Result<File, Failure> {
    let opened =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = opened.map_err(|error| cannot("open", path, &error))?;
    let mode = file.metadata().map_err(|error| cannot("look at", path, &error))?.permissions().mode();
    if mode & 0o077 != 0 {
        let closed = file.set_permissions(fs::Permissions::from_mode(0o600));
        closed.map_err(|error| cannot("make private", path, &error))?;
    }
    Ok(file)
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::StorageFull {
        return Failure::io(&format!("cannot {what} {}", path.display()), error);
    }
    Failure::invalid(format!(
        "journal: cannot {what} {}: {error}: name a file in a directory that this user may write",
        path.display()
    ))
}

const MAGIC: [u8; 4] = *b"ORM1";
const MARK_BYTES: usize = 16;

/// The number of the last commit that anybody was told about, in a file of its own.
#[derive(Debug)]
pub(crate) struct MarkFile(File);

/// What the mark file said at open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marked {
    /// There was none, or it was empty: a new journal, or somebody removed it to accept a loss.
    Absent,
    /// It was not what was written.
    Unreadable,
    /// The number of the last commit.
    At(u64),
}

impl MarkFile {
    pub(crate) fn open(config: &Config) -> Result<(Self, Marked), Failure> {
        let path = config.beside(".mark");
        let mut file = open_private(&path)?;
        let mut bytes = Vec::new();
        let read = file.rewind().and_then(|()| Read::by_ref(&mut file).take(64).read_to_end(&mut bytes));
        read.map_err(|error| cannot("read", &path, &error))?;
        Ok((Self(file), decode(&bytes)))
    }

    /// Notes the commit. It is on disk only after [`MarkFile::sync`]: an older mark finds less, nothing false.
    pub(crate) fn note(&self, commits: u64) -> Result<(), Failure> {
        self.0.write_all_at(&encode(commits), 0).map_err(|error| Failure::io("writing the mark", &error))
    }

    pub(crate) fn sync(&self) -> Result<(), Failure> {
        self.0.sync_data().map_err(|error| Failure::io("fsync of the mark", &error))
    }
}

fn encode(commits: u64) -> [u8; MARK_BYTES] {
    let mut bytes = [0; MARK_BYTES];
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4..12].copy_from_slice(&commits.to_le_bytes());
    let sum = crc32fast::hash(&bytes[..12]);
    bytes[12..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Marked {
    let Ok(bytes) = <&[u8; MARK_BYTES]>::try_from(bytes) else {
        return if bytes.is_empty() { Marked::Absent } else { Marked::Unreadable };
    };
    let commits = u64::from_le_bytes(bytes[4..12].try_into().unwrap_or_default());
    if encode(commits) == *bytes { Marked::At(commits) } else { Marked::Unreadable }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn config() -> (tempfile::TempDir, Config) {
        let directory = tempfile::tempdir().unwrap();
        let config = Config::new(directory.path().join("deep/er/journal.db"));
        (directory, config)
    }

    #[test]
    fn a_second_lock_names_the_holder_and_the_end_of_the_first_frees_it() {
        let (_directory, config) = config();
        let first = Lock::take(&config).unwrap();
        let error = Lock::take(&config).unwrap_err().into_error().to_string();
        assert!(error.contains(&std::process::id().to_string()) && error.contains("journal.db"), "{error}");
        drop(first);
        Lock::take(&config).unwrap();
    }

    #[test]
    fn what_is_made_is_for_its_owner_only() {
        let (_directory, config) = config();
        let _lock = Lock::take(&config).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&config.beside(".lock")), 0o600);
        assert_eq!(mode(config.path.parent().unwrap()), 0o700);

        fs::write(&config.path, "").unwrap();
        fs::set_permissions(&config.path, fs::Permissions::from_mode(0o644)).unwrap();
        open_private(&config.path).unwrap();
        assert_eq!(mode(&config.path), 0o600, "a file that others could read is closed to them");
    }

    #[test]
    fn a_directory_that_cannot_be_made_says_what_to_do() {
        let error = Lock::take(&Config::new("/dev/null/journal.db")).unwrap_err().into_error().to_string();
        assert!(error.contains("/dev/null") && error.contains("may write"), "{error}");
    }

    #[test]
    fn a_mark_is_read_as_it_was_written_and_any_flipped_bit_is_found() {
        let (_directory, config) = config();
        let _lock = Lock::take(&config).unwrap();
        let (mark, marked) = MarkFile::open(&config).unwrap();
        assert_eq!(marked, Marked::Absent);
        mark.note(1 << 40).unwrap();
        assert_eq!(MarkFile::open(&config).unwrap().1, Marked::At(1 << 40));

        for bit in 0..MARK_BYTES * 8 {
            let mut bytes = encode(77);
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&bytes), Marked::Unreadable, "bit {bit}");
        }
    }
}
