//! Space that appends never get: without it, a journal that has filled its volume could not even delete.
//!
//! A delete needs room in the log, and copying the log needs room in the database. So a file of real, unused
//! space lies beside them; it is let go when a settlement finds no space, and taken again, before anything is
//! appended, once the log is copied and empty. And an append is refused while as much again would not be left
//! for the log: the database never shrinks, and what it holds free is of use only while the log can grow.

use crate::{
    config::Config,
    failure::{Failure, no_space},
    guard::open_private,
    store::Store,
};
use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
};

const PAGE_BYTES: u64 = 8_192;
/// A frame of the log: SQLite's header of it, and a page.
pub(crate) const FRAME_BYTES: u64 = 24 + PAGE_BYTES;
/// What is needed beyond the log's own bound: the commit that reached it.
const BEYOND_LOG_BYTES: u64 = 1 << 20;
/// Less is of no use.
const BYTES_MIN: u64 = 64 << 10;
/// How much may be appended until the space is looked at again.
const LOOK_EVERY_BYTES: u64 = 64 << 20;

/// The file of reserved space.
#[derive(Debug)]
pub(crate) struct Reserve {
    file: Option<File>,
    bytes_max: u64,
    /// What it holds; 0 when there is none.
    bytes: u64,
    /// What it held before it was released; 0 when nothing is to come back.
    released: u64,
    /// So much may be appended without looking.
    room: u64,
}

impl Reserve {
    /// Takes it, or goes without and says so. One that is there and large enough is only looked at.
    pub(crate) fn open(config: &Config) -> Self {
        let bytes_max = config.wal_bytes_max + BEYOND_LOG_BYTES;
        let mut reserve = Self { file: None, bytes_max, bytes: 0, released: 0, room: 0 };
        let path = config.beside(".reserve");
        let opened = open_private(&path).map_err(|failure| io::Error::other(failure.into_error()));
        let taken = opened.and_then(|file| {
            let found = file.metadata()?;
            let real = found.blocks() * 512 >= found.len();
            reserve.bytes = if real { found.len().min(bytes_max) } else { 0 };
            if found.len() != reserve.bytes {
                file.set_len(reserve.bytes)?;
            }
            reserve.file = Some(file);
            reserve.grow()
        });
        if let Err(error) = taken {
            let path = path.display();
            tracing::debug!(%path, %error, "no more space could be reserved");
            if reserve.bytes == 0 {
                tracing::warn!(
                    %path, %error,
                    "the journal goes without reserved space: if it fills its volume, settling waits for space"
                );
            }
        }
        reserve
    }

    /// Bounds that keep a commit and the log within a reserve that is small because its volume is.
    pub(crate) fn tighten(&self, config: &mut Config) {
        if (1..self.bytes_max).contains(&self.bytes) {
            config.wal_bytes_max = config.wal_bytes_max.min(self.bytes / 2);
            let group_bytes_max = usize::try_from(self.bytes / 2).unwrap_or(usize::MAX);
            config.group_bytes_max = config.group_bytes_max.min(group_bytes_max);
        }
    }

    /// Takes up to a quarter of what is free, if that is more than it has.
    fn grow(&mut self) -> io::Result<()> {
        if self.bytes == self.bytes_max {
            return Ok(());
        }
        let bytes = self.bytes_max.min((self.free()? + self.bytes) / 4) / PAGE_BYTES * PAGE_BYTES;
        if bytes < BYTES_MIN.max(self.bytes) {
            let little = || Err(io::ErrorKind::StorageFull.into());
            return if self.bytes == 0 { little() } else { Ok(()) };
        }
        self.allocate(bytes)
    }

    fn allocate(&mut self, bytes: u64) -> io::Result<()> {
        let Some(file) = &self.file else { return Err(io::ErrorKind::NotFound.into()) };
        let flags = rustix::fs::FallocateFlags::empty();
        if let Err(error) = rustix::fs::fallocate(file, flags, 0, bytes) {
            let _ = file.set_len(self.bytes); // some file systems leave a part; at the next open it is none
            return Err(error.into());
        }
        self.bytes = bytes;
        Ok(())
    }

    /// What any process may still take of the volume.
    fn free(&self) -> io::Result<u64> {
        let Some(file) = &self.file else { return Err(io::ErrorKind::NotFound.into()) };
        let volume = rustix::fs::fstatvfs(file)?;
        Ok(volume.f_bavail.saturating_mul(volume.f_frsize))
    }

    /// Lets go of the space. Whether there was any.
    pub(crate) fn release(&mut self) -> bool {
        self.room = 0;
        let (Some(file), 1..) = (&self.file, self.bytes) else { return false };
        if let Err(error) = file.set_len(0) {
            tracing::debug!(%error, "the reserved space of the journal cannot be released");
            return false;
        }
        self.released = std::mem::take(&mut self.bytes);
        true
    }

    /// Takes back what was released, as soon as it fits. Whether nothing is amiss then.
    pub(crate) fn take_back(&mut self) -> bool {
        if self.released > 0 && self.allocate(self.released).is_ok() {
            self.released = 0;
        }
        self.released == 0
    }

    /// Space is short: it is looked at before the next append.
    pub(crate) fn look_again(&mut self) {
        self.room = 0;
    }
}

impl Store {
    /// As [`Store::write`], for what settles or deletes: where it finds no space, the reserve is let go.
    pub(crate) fn write_with_reserve<T>(
        &mut self,
        mut change: impl FnMut(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        match self.write(&mut change) {
            Err(Failure::Full(_)) => {}
            done => return done,
        }
        self.reserve.release();
        match self.checkpoint(true) {
            Ok(()) | Err(Failure::Full(_)) => self.write(change),
            Err(failure) => Err(failure),
        }
    }

    /// Whether the tables may grow by about so many bytes, so that what is appended can be settled, too.
    ///
    /// # Errors
    /// `Full`.
    pub(crate) fn room_for(&mut self, growth: u64) -> Result<(), Failure> {
        let reserve = &mut self.reserve;
        if let Some(room) = reserve.room.checked_sub(growth) {
            reserve.room = room;
            return Ok(());
        }
        if reserve.released > 0 {
            return Err(no_space("what is reserved for settling is not back yet"));
        }
        let (1.., Ok(free)) = (reserve.bytes, reserve.free()) else { return Ok(()) };
        // What is appended needs space in the log and in the database, as does what is not copied yet.
        let room = free.saturating_sub(reserve.bytes + 2 * reserve.bytes_max) / 2;
        if room >= growth {
            reserve.room = room.min(LOOK_EVERY_BYTES).saturating_sub(growth);
            return Ok(());
        }
        if self.fits(free, growth)? {
            return Ok(());
        }
        Err(no_space(&format!("{free} bytes are free, and the rest is kept for settling")))
    }

    /// The same to the page.
    fn fits(&self, free: u64, growth: u64) -> Result<bool, Failure> {
        let length = |suffix| {
            let found = fs::metadata(self.config.beside(suffix));
            found
                .map(|found| found.len())
                .map_err(|error| Failure::io("looking at the journal's files", &error))
        };
        let bytes = |pragma| -> Result<u64, Failure> {
            let pages: i64 = self.db.prepare_cached(pragma)?.query_row([], |row| row.get(0))?;
            Ok(pages.cast_unsigned() * PAGE_BYTES)
        };
        let log = length("-wal")?;
        let uncopied = bytes("PRAGMA page_count")?.saturating_sub(length("")?);
        let more = uncopied + growth.saturating_sub(bytes("PRAGMA freelist_count")?);
        let log_then = log.max(self.log_frames()? * FRAME_BYTES + growth);
        let Some(free_then) = (free + log).checked_sub(log_then) else { return Ok(false) };
        let reserved = self.reserve.bytes;
        // The log can be copied, if need be with the reserve, and enough is left for both when it is empty again.
        let copied = free_then + reserved >= more;
        Ok(copied && (more == uncopied || free + log >= more + reserved))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn config() -> (tempfile::TempDir, Config) {
        let directory = tempfile::tempdir().unwrap();
        let config = Config::new(directory.path().join("journal.db"));
        (directory, config)
    }

    /// Its length, and what is really allocated.
    fn found(path: &Path) -> (u64, u64) {
        let found = fs::metadata(path).unwrap();
        (found.len(), found.blocks() * 512)
    }

    #[test]
    fn it_is_real_space_for_the_owner_only_and_comes_back_after_a_release() {
        let (_directory, config) = config();
        let path = config.beside(".reserve");
        let mut reserve = Reserve::open(&config);
        let (bytes, allocated) = found(&path);
        assert!(
            bytes == config.wal_bytes_max + BEYOND_LOG_BYTES && allocated >= bytes,
            "{bytes} {allocated}"
        );
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(reserve.release() && !reserve.release());
        assert_eq!(found(&path), (0, 0));
        assert!(reserve.take_back() && reserve.take_back());
        assert_eq!(found(&path), (bytes, allocated));
    }

    #[test]
    fn one_that_is_there_is_left_as_it_is_and_one_of_no_real_space_is_made_anew() {
        let (_directory, config) = config();
        let path = config.beside(".reserve");
        drop(Reserve::open(&config));
        let before = fs::metadata(&path).unwrap().ctime_nsec();
        drop(Reserve::open(&config));
        assert_eq!(fs::metadata(&path).unwrap().ctime_nsec(), before);

        let bytes = found(&path).0;
        File::create(&path).unwrap().set_len(bytes).unwrap();
        assert!(found(&path).1 < bytes);
        drop(Reserve::open(&config));
        assert!(found(&path).1 >= bytes);
    }

    #[test]
    fn where_it_cannot_be_made_the_journal_goes_without() {
        let (_directory, config) = config();
        fs::create_dir(config.beside(".reserve")).unwrap();
        let mut reserve = Reserve::open(&config);
        assert!(!reserve.release() && reserve.take_back());
    }
}
