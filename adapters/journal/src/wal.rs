//! Reads SQLite's log by itself, before SQLite does, to see what SQLite will silently leave out.
//!
//! The format is the one of <https://sqlite.org/fileformat2.html#the_write_ahead_log>: a header of 32 bytes, then
//! frames of 24 bytes and a page. Every frame repeats the header's two salts and continues one running checksum.
//! Frames with other salts are remains of an earlier round of the log and mean nothing.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read},
    path::Path,
};

/// What the log holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Frames up to the last whole commit; SQLite recovers these.
    pub(crate) committed: u64,
    /// Whole frames after it that no commit follows: a write that was cut short.
    pub(crate) unfinished: u64,
    /// Frames of this round after the first one that is wrong.
    pub(crate) broken: u64,
    /// How many of them end a commit: that many commits, at least, cannot be recovered from the log.
    pub(crate) broken_commits: u64,
    /// The header is wrong, so SQLite takes the whole log for empty.
    pub(crate) header_broken: bool,
}

impl Scan {
    /// Whether frames of this round lie beyond what is recovered.
    pub(crate) fn has_remains(&self) -> bool {
        self.unfinished + self.broken > 0 || self.header_broken
    }
}

/// Scans the log at `path`; one that is missing or shorter than its header is empty.
pub(crate) fn scan(path: &Path) -> io::Result<Scan> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Scan::default()),
        Err(error) => return Err(error),
    };
    let mut reader = BufReader::with_capacity(64 << 10, file);
    let mut header = [0; 32];
    if !fill(&mut reader, &mut header)? {
        return Ok(Scan::default());
    }
    let Some(log) = Log::from_header(&header) else {
        return Ok(Scan { header_broken: true, ..Scan::default() });
    };
    log.frames(&mut reader)
}

/// Ends the log after its last whole commit, as `scan` found it.
pub(crate) fn cut(path: &Path, scan: Scan) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut header = [0; 32];
    let log = if fill(&mut file, &mut header)? { Log::from_header(&header) } else { None };
    let frame_bytes = log.map_or(0, |log| log.page_bytes as u64 + 24);
    file.set_len(if frame_bytes == 0 { 0 } else { 32 + scan.committed * frame_bytes })?;
    file.sync_all()
}

struct Log {
    big_endian: bool,
    page_bytes: usize,
    salts: [u8; 8],
    sum: (u32, u32),
}

impl Log {
    fn from_header(header: &[u8; 32]) -> Option<Self> {
        let big_endian = match word(header, 0) {
            0x377f_0682 => false,
            0x377f_0683 => true,
            _ => return None,
        };
        let page_bytes = word(header, 8) as usize;
        let sum = add(big_endian, (0, 0), &header[..24]);
        let sound = sum == (word(header, 24), word(header, 28)) && (512..=65_536).contains(&page_bytes);
        let salts = header[16..24].try_into().ok()?;
        sound.then_some(Self { big_endian, page_bytes, salts, sum })
    }

    fn frames(&self, reader: &mut impl Read) -> io::Result<Scan> {
        let mut scan = Scan::default();
        let mut frame = vec![0; 24 + self.page_bytes];
        let (mut sum, mut chain_holds, mut whole) = (self.sum, true, 0_u64);
        while fill(reader, &mut frame)? {
            let (head, page) = frame.split_at(24);
            let same_round = head[8..16] == self.salts;
            let commit = word(head, 4) != 0;
            if chain_holds {
                sum = add(self.big_endian, add(self.big_endian, sum, &head[..8]), page);
                chain_holds = same_round && sum == (word(head, 16), word(head, 20));
            }
            if chain_holds {
                whole += 1;
                scan.committed = if commit { whole } else { scan.committed };
            } else if same_round {
                scan.broken += 1;
                scan.broken_commits += u64::from(commit);
            }
        }
        scan.unfinished = whole - scan.committed;
        Ok(scan)
    }
}

/// The running checksum over `bytes`, whose length is a multiple of eight.
fn add(big_endian: bool, (mut a, mut b): (u32, u32), bytes: &[u8]) -> (u32, u32) {
    let read =
        |word: &[u8; 4]| if big_endian { u32::from_be_bytes(*word) } else { u32::from_le_bytes(*word) };
    for pair in bytes.as_chunks::<4>().0.as_chunks::<2>().0 {
        a = a.wrapping_add(read(&pair[0])).wrapping_add(b);
        b = b.wrapping_add(read(&pair[1])).wrapping_add(a);
    }
    (a, b)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Fills the buffer; false when the file ends before.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;
    use std::{fs, path::PathBuf};

    const FRAME: u64 = 24 + 4_096;

    /// A log of `commits` commits of one frame each, as SQLite itself writes it.
    fn log(commits: u64) -> (tempfile::TempDir, PathBuf, Connection) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.db");
        let db = Connection::open(&path).unwrap();
        db.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA page_size = 4096; PRAGMA journal_mode = WAL;
             PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (n INTEGER);
             PRAGMA wal_checkpoint(TRUNCATE);",
        )
        .unwrap();
        for n in 0..commits {
            db.execute("INSERT INTO t VALUES (?)", [n.cast_signed()]).unwrap();
        }
        (directory, path.with_extension("db-wal"), db)
    }

    fn flip(path: &Path, at: u64) {
        let mut bytes = fs::read(path).unwrap();
        bytes[usize::try_from(at).unwrap()] ^= 4;
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn what_sqlite_wrote_is_read_as_whole() {
        let (_directory, path, _db) = log(5);
        assert_eq!(scan(&path).unwrap(), Scan { committed: 5, ..Scan::default() });
    }

    #[test]
    fn the_remains_of_an_earlier_round_mean_nothing() {
        let (_directory, path, db) = log(5);
        db.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
        db.execute("INSERT INTO t VALUES (9)", []).unwrap();
        assert_eq!(scan(&path).unwrap(), Scan { committed: 1, ..Scan::default() });
    }

    #[test]
    fn a_flipped_bit_breaks_everything_after_it() {
        for at in [32 + 2 * FRAME + 100, 32 + 2 * FRAME + 1, 32 + 2 * FRAME + 17] {
            let (_directory, path, _db) = log(5);
            flip(&path, at);
            let broken = Scan { committed: 2, broken: 3, broken_commits: 3, ..Scan::default() };
            assert_eq!(scan(&path).unwrap(), broken, "at {at}");
        }
        let (_directory, path, _db) = log(5);
        flip(&path, 32 + 2 * FRAME + 9); // a salt: the frame itself now looks like an older round's
        let broken = Scan { committed: 2, broken: 2, broken_commits: 2, ..Scan::default() };
        assert_eq!(scan(&path).unwrap(), broken);
    }

    #[test]
    fn a_cut_file_ends_with_its_last_whole_commit() {
        let (_directory, path, _db) = log(5);
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(32 + 3 * FRAME + 7).unwrap();
        assert_eq!(scan(&path).unwrap(), Scan { committed: 3, ..Scan::default() });
    }

    #[test]
    fn what_is_cut_leaves_the_whole_commits_and_nothing_else() {
        let (_directory, path, _db) = log(5);
        flip(&path, 32 + 2 * FRAME + 100);
        cut(&path, scan(&path).unwrap()).unwrap();
        assert_eq!(scan(&path).unwrap(), Scan { committed: 2, ..Scan::default() });
        assert_eq!(fs::metadata(&path).unwrap().len(), 32 + 2 * FRAME);
        flip(&path, 3);
        cut(&path, scan(&path).unwrap()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    }

    #[test]
    fn a_header_that_is_wrong_is_said_and_none_is_an_empty_log() {
        let (_directory, path, _db) = log(1);
        flip(&path, 3);
        assert!(scan(&path).unwrap().header_broken);
        fs::write(&path, "short").unwrap();
        assert_eq!(scan(&path).unwrap(), Scan::default());
        assert_eq!(scan(Path::new("/nowhere/at/all")).unwrap(), Scan::default());
    }
}
