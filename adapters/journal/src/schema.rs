//! The tables, their version, and the way from an older version to this one.
//!
//! - `queue`: accepted events that are not settled. No index but its sequence, so that an append writes one place.
//! - `attempts`: how often an event of `queue` was tried, apart from it so that counting does not rewrite the event.
//! - `aims`: which events of `queue` are for one target alone; most are not.
//! - `overflow`: copies that wait for one target alone, as its lanes had no room.
//! - `replays`: which events of `queue` are brought once more on purpose, and what each is a copy of.
//! - `kept`: settled events that are kept for people, and what targets kept here; by the same sequences as `queue`.
//! - `audit`: who replayed or dropped what.
//! - `dead`: dead letters; what filters look at stands in columns, before the body.
//! - `marks`: which target has which event; the oldest are the lowest.
//! - `meta`: the counters that every writing transaction carries (see `counters`).

use crate::failure::Failure;
use rusqlite::Connection;
use std::path::Path;

/// Marks the file as ours ("OUTR"), in SQLite's header.
pub(crate) const APPLICATION_ID: i32 = 0x4F55_5452;

/// Step `n` leads from version `n` to version `n + 1`; an empty file has version 0. Steps that were released
/// are never changed.
pub(crate) const STEPS: &[&str] = &[
    "
    CREATE TABLE queue (
        seq INTEGER PRIMARY KEY,
        crc INTEGER NOT NULL,
        accepted_ms INTEGER NOT NULL,
        key BLOB,
        event BLOB NOT NULL
    ) STRICT;
    CREATE TABLE attempts (
        seq INTEGER PRIMARY KEY,
        crc INTEGER NOT NULL,
        attempts INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE dead (
        id INTEGER PRIMARY KEY,
        crc INTEGER NOT NULL,
        body_crc INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        malformed INTEGER NOT NULL,
        first_ms INTEGER NOT NULL,
        last_ms INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        code TEXT NOT NULL,
        status INTEGER,
        detail TEXT NOT NULL,
        event_id TEXT NOT NULL,
        event_source TEXT NOT NULL,
        event_type TEXT NOT NULL,
        origin BLOB NOT NULL,
        key BLOB,
        body BLOB NOT NULL
    ) STRICT;
    CREATE TABLE marks (
        n INTEGER PRIMARY KEY,
        crc INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        receiver TEXT NOT NULL,
        target TEXT NOT NULL,
        source TEXT NOT NULL,
        id TEXT NOT NULL,
        UNIQUE (id, source, target, receiver)
    ) STRICT;
    CREATE TABLE meta (
        name TEXT PRIMARY KEY,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
",
    "
    ALTER TABLE dead ADD COLUMN target TEXT;
    CREATE TABLE aims (
        seq INTEGER PRIMARY KEY,
        crc INTEGER NOT NULL,
        target TEXT NOT NULL
    ) STRICT;
    CREATE TABLE overflow (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        crc INTEGER NOT NULL,
        target TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        accepted_ms INTEGER NOT NULL,
        origin BLOB NOT NULL,
        key BLOB,
        event BLOB NOT NULL
    ) STRICT;
    CREATE INDEX overflow_of ON overflow (target, seq, bytes);
",
    "
    CREATE TABLE replays (
        seq INTEGER PRIMARY KEY,
        crc INTEGER NOT NULL,
        of TEXT NOT NULL
    ) STRICT;
    CREATE TABLE kept (
        seq INTEGER PRIMARY KEY,
        crc INTEGER NOT NULL,
        body_crc INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        received_ms INTEGER NOT NULL,
        settled_ms INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        fates TEXT NOT NULL,
        event_id TEXT NOT NULL,
        event_source TEXT NOT NULL,
        event_type TEXT NOT NULL,
        subject TEXT,
        origin BLOB NOT NULL,
        key BLOB,
        replay_of TEXT,
        event BLOB NOT NULL
    ) STRICT;
    CREATE INDEX kept_by_age ON kept (settled_ms, bytes);
    CREATE TABLE audit (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        crc INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        by TEXT NOT NULL,
        verb TEXT NOT NULL,
        what TEXT NOT NULL,
        count INTEGER NOT NULL,
        refused INTEGER NOT NULL,
        numbers TEXT NOT NULL
    ) STRICT;
",
];

/// The version of the file; 0 when it is empty.
///
/// # Errors
/// `Invalid` when the file is another program's, or of a version after `newest`.
pub(crate) fn version(db: &Connection, path: &Path, newest: usize) -> Result<usize, Failure> {
    let found: usize = db.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0))? as usize;
    let application: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let path = path.display();
    if (found > 0 || tables > 0) && application != APPLICATION_ID {
        return Err(Failure::invalid(format!(
            "{path} is a database of another program: give the journal a path of its own"
        )));
    }
    if found > newest {
        return Err(Failure::invalid(format!(
            "journal {path} has schema version {found}, and this Outrigger knows versions up to {newest}: run the \
             newer Outrigger, or give this one a journal of its own"
        )));
    }
    Ok(found)
}

/// Brings the file from version `found` to the last of `steps`, in one transaction.
pub(crate) fn migrate(db: &mut Connection, found: usize, steps: &[&str]) -> Result<(), Failure> {
    if found == steps.len() {
        return Ok(());
    }
    let transaction = db.transaction()?;
    for step in &steps[found..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", steps.len().to_string())?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Connection {
        Connection::open_in_memory().unwrap()
    }

    fn up(db: &mut Connection, steps: &[&str]) -> Result<usize, Failure> {
        let found = version(db, Path::new("the-path"), steps.len())?;
        migrate(db, found, steps)?;
        Ok(found)
    }

    #[test]
    fn an_older_file_takes_the_missing_steps_and_keeps_its_rows() {
        let mut db = memory();
        let old = ["CREATE TABLE queue (seq INTEGER PRIMARY KEY, event BLOB)"];
        assert_eq!(up(&mut db, &old).unwrap(), 0);
        db.execute("INSERT INTO queue VALUES (7, x'AA')", []).unwrap();

        let new = [old[0], "ALTER TABLE queue ADD COLUMN key BLOB", "CREATE TABLE later (n INTEGER)"];
        assert_eq!(up(&mut db, &new).unwrap(), 1);
        let row = db.query_row("SELECT seq, key FROM queue", [], |r| Ok((r.get(0)?, r.get(1)?))).unwrap();
        assert_eq!(row, (7_i64, None::<Vec<u8>>));
        assert_eq!(up(&mut db, &new).unwrap(), 3, "a second run has nothing to do");
    }

    #[test]
    fn a_step_that_fails_leaves_the_old_version_whole() {
        let mut db = memory();
        up(&mut db, STEPS).unwrap();
        let more = ["CREATE TABLE later (n INTEGER)", "CREATE TABLE queue (n INTEGER)"];
        let broken: Vec<_> = STEPS.iter().copied().chain(more).collect();
        assert!(up(&mut db, &broken).is_err());
        assert_eq!(version(&db, Path::new("the-path"), STEPS.len()).unwrap(), STEPS.len());
        assert!(db.prepare("SELECT n FROM later").is_err());
    }

    #[test]
    fn a_file_of_before_there_were_targets_keeps_its_dead_letters() {
        let mut db = memory();
        up(&mut db, &STEPS[..1]).unwrap();
        db.execute_batch(
            "INSERT INTO dead VALUES (1, 2, 3, 4, 0, 5, 6, 7, 'refused', NULL, '', 'a', '/s', 't', x'', NULL, x'00')",
        )
        .unwrap();
        assert_eq!(up(&mut db, STEPS).unwrap(), 1);
        let row =
            db.query_row("SELECT event_id, target FROM dead", [], |r| Ok((r.get(0)?, r.get(1)?))).unwrap();
        assert_eq!(row, ("a".to_owned(), None::<String>));
    }

    #[test]
    fn a_file_of_before_events_were_kept_has_their_tables_and_its_rows() {
        let mut db = memory();
        up(&mut db, &STEPS[..2]).unwrap();
        db.execute("INSERT INTO queue VALUES (7, 1, 2, NULL, x'AA')", []).unwrap();
        assert_eq!(up(&mut db, STEPS).unwrap(), 2);
        let rows = |table: &str| {
            db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap()
        };
        assert_eq!(["queue", "kept", "replays", "audit"].map(rows), [1, 0, 0, 0]);
    }

    #[test]
    fn a_newer_version_is_refused_with_what_to_do() {
        let mut db = memory();
        up(&mut db, STEPS).unwrap();
        db.pragma_update(None, "user_version", 9).unwrap();
        let error = up(&mut db, STEPS).unwrap_err().into_error().to_string();
        assert!(
            error.contains("the-path has schema version 9") && error.contains("run the newer"),
            "{error}"
        );
    }

    #[test]
    fn a_database_of_another_program_is_left_alone() {
        let mut db = memory();
        db.execute_batch("CREATE TABLE theirs (n INTEGER)").unwrap();
        let error = up(&mut db, STEPS).unwrap_err().into_error().to_string();
        assert!(error.contains("another program"), "{error}");
    }
}
