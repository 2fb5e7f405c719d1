//! Opening the files: locked, checked for missing commits, migrated.

use crate::{
    config::Config,
    counters::Counters,
    failure::Failure,
    guard::{Lock, MarkFile, Marked, open_private},
    schema,
    store::Store,
    wal::{self, Scan},
};
use outrigger_core::{Error, Kind};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, config::DbConfig};

/// What was found at open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Whether the files were made just now.
    pub created: bool,
    /// Events that wait.
    pub pending: u64,
    /// Dead letters that rest.
    pub dead: u64,
    /// What was cut off the end of the log, if anything was. It was logged as a warning, too.
    pub cut: Option<Cut>,
    /// The mark file was absent or unreadable, so that missing commits were looked for in the log only.
    pub unmarked: bool,
}

/// The end of the log that was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Frames of the log that were left out.
    pub frames: u64,
    /// Whether a commit was among them: its events may have been accepted, and are lost here. Without it, only
    /// a write that nobody was told about was cut, as after a kill.
    pub commit_lost: bool,
}

/// Opens the database of `config`, and makes it when there is none.
///
/// When it refuses because of damage, it has changed nothing.
pub(crate) fn open(config: &Config) -> Result<(Lock, Store, Opened), Failure> {
    let lock = Lock::take(config)?;
    drop(open_private(&config.path)?); // made here, so that SQLite gives its log the same mode
    let scan = wal::scan(&config.beside("-wal")).map_err(|error| Failure::io("reading the log", &error))?;
    let (mark, marked) = MarkFile::open(config)?;
    refuse_broken_middle(config, marked, scan)?;

    let mut db = connect(config)?;
    let version = schema::version(&db, &config.path, schema::STEPS.len())?;
    let created = version == 0;
    let counters = if created { Counters::default() } else { load_counters(&db)? };
    let cut = cut(config, marked, counters, scan)?;
    schema::migrate(&mut db, version, schema::STEPS)?;
    let opened = Opened {
        created,
        pending: counters.pending,
        dead: counters.dead,
        cut,
        unmarked: !created && !matches!(marked, Marked::At(_)),
    };
    let mut store = Store::new(db, config.clone(), counters, mark)?;
    if scan.has_remains() {
        clear_remains(config, &mut store, scan)?;
    }
    store.note_mark()?;
    opened.say(config);
    Ok((lock, store, opened))
}

/// Sees to it that the remains are never read again: the log begins anew, or, where there is no space for what
/// that copies, ends where they begin.
fn clear_remains(config: &Config, store: &mut Store, scan: Scan) -> Result<(), Failure> {
    match store.checkpoint(true) {
        Err(Failure::Full(_)) => wal::cut(&config.beside("-wal"), scan)
            .map_err(|error| Failure::io("cutting the end of the log", &error)),
        done => done,
    }
}

impl Opened {
    fn say(&self, config: &Config) {
        let path = config.path.display();
        match self.cut {
            Some(Cut { frames, commit_lost: true }) => tracing::warn!(
                %path, frames,
                "the journal's last commit was torn and is cut off; events in it are lost here"
            ),
            Some(Cut { frames, commit_lost: false }) => tracing::info!(
                %path, frames,
                "the journal's log ended in an unfinished write, which is cut off; nobody was told that it was kept"
            ),
            None => {}
        }
        if self.unmarked {
            tracing::warn!(%path, "the journal's mark is missing; lost commits were looked for in its log only");
        }
    }
}

fn connect(config: &Config) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let prepared = Connection::open_with_flags(&config.path, flags).and_then(|db| {
        // Closing must not touch the files: after a failed fsync or before a refusal they are evidence.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        db.execute_batch(
            "PRAGMA page_size = 8192;
             PRAGMA locking_mode = EXCLUSIVE;
             PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = 0;
             PRAGMA cache_size = -512;
             PRAGMA temp_store = MEMORY;
             PRAGMA cell_size_check = ON;
             PRAGMA trusted_schema = OFF;",
        )?;
        // To its end: the pragma commits after it has given its row, and so comes the error of a failed fsync.
        db.prepare("PRAGMA journal_mode = WAL")?.query_map([], |_| Ok(()))?.collect::<Result<(), _>>()?;
        db.set_prepared_statement_cache_capacity(48);
        Ok(db)
    });
    let db = prepared.map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => Failure::invalid(format!(
            "{} is no journal, or its first page is damaged: give the journal another path, or restore the file",
            config.path.display()
        )),
        _ => Failure::from(error),
    })?;
    let mode: String = db.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode != "wal" {
        let path = config.path.display();
        return Err(Failure::invalid(format!(
            "journal {path}: SQLite cannot keep a log there (mode {mode})"
        )));
    }
    Ok(db)
}

fn load_counters(db: &Connection) -> Result<Counters, Failure> {
    let select = "SELECT value FROM meta WHERE name = 'counters'";
    let bytes: Option<Vec<u8>> = db.query_row(select, [], |row| row.get(0)).optional()?;
    let damage = || {
        let message = "the journal is damaged: its counters are not what was written; keep a copy of the files, \
                       and restore them from a backup or move them away";
        Failure::Fatal(Error::new(Kind::Storage, message))
    };
    if let Some(bytes) = bytes {
        return Counters::decode(&bytes).ok_or_else(damage);
    }
    let rows: i64 =
        db.query_row("SELECT EXISTS (SELECT 1 FROM queue) + EXISTS (SELECT 1 FROM dead)", [], |row| {
            row.get(0)
        })?;
    if rows == 0 { Ok(Counters::default()) } else { Err(damage()) }
}

/// A commit is on disk before the next one begins, so at most the last can be torn. More than one means that
/// the log was damaged afterwards.
fn refuse_broken_middle(config: &Config, marked: Marked, scan: Scan) -> Result<(), Failure> {
    if scan.broken_commits > 1 && marked != Marked::Absent {
        return Err(lost(config, &format!("at least {} commits", scan.broken_commits)));
    }
    Ok(())
}

fn cut(config: &Config, marked: Marked, counters: Counters, scan: Scan) -> Result<Option<Cut>, Failure> {
    let missing = match marked {
        Marked::At(commits) => commits.saturating_sub(counters.commits),
        Marked::Absent | Marked::Unreadable => scan.broken_commits,
    };
    if missing > 1 && marked != Marked::Absent {
        return Err(lost(config, &format!("{missing} commits")));
    }
    let commit_lost = missing > 0 || scan.broken_commits > 0;
    let remains = Cut { frames: scan.unfinished + scan.broken, commit_lost };
    Ok((remains.frames > 0 || remains.commit_lost).then_some(remains))
}

fn lost(config: &Config, what: &str) -> Failure {
    let path = config.path.display();
    Failure::Fatal(Error::new(
        Kind::Storage,
        format!(
            "the journal {path} is damaged: {what} that were finished are missing, and events in them. Keep a copy \
             of {path}*, then restore the files from a backup; or remove {path}.mark to go on without these events"
        ),
    ))
}
