//! The settings of a journal, with their defaults and bounds. How they are written in a file is not known here.

use outrigger_core::{Error, Kind, Result};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Everything that can be set. [`Config::new`] gives the defaults; [`Config::check`] holds the bounds.
#[derive(Debug, Clone)]
pub struct Config {
    /// The database file. Beside it lie `PATH-wal`, `PATH.lock`, `PATH.mark` and `PATH.reserve`; all of them are
    /// made `0600`. The last one is unused space of `wal_bytes_max` + 1 MiB, but at most a quarter of what is free
    /// when it is made: with it, a journal that has filled its volume can still settle. An append fails with `Full`
    /// when it would not leave as much free again.
    pub path: PathBuf,
    /// The name as a source, in origins and metrics. Default `journal`.
    pub name: Arc<str>,
    /// Most bytes of events that wait; beyond it an append fails with `Full`. Default 1 GiB, at least 64 KiB.
    pub bytes_max: u64,
    /// Most bytes of dead letters; beyond it a put fails with `Full`. Default 1 GiB, at least 64 KiB.
    pub dead_bytes_max: u64,
    /// Most bytes of copies that wait for slow targets; beyond it they are not kept (`Full`). Default 1 GiB, at least 64 KiB.
    pub overflow_bytes_max: u64,
    /// Dead letters older than this are discarded, counted and logged. Default none: they are kept.
    pub dead_age_max: Option<Duration>,
    /// Marks older than this are forgotten. Default 24 h.
    pub marks_age_max: Duration,
    /// Most marks; the oldest are forgotten first, which may cost duplicates. Default 1,000,000.
    pub marks_max: u64,
    /// Whether events are kept when they are settled, to be looked at and replayed. Default no. What a target keeps here
    /// ([`crate::Journal::keep`]) is kept in any case.
    pub keep_settled: bool,
    /// Kept events go at this age, counted from their settlement. Default 7 days.
    pub keep_age_max: Duration,
    /// Most bytes of kept events; the oldest go first, also where the volume is short of space. Default 64 MiB, at least 64 KiB.
    pub keep_bytes_max: u64,
    /// Most entries of who replayed or dropped what; the oldest go first. Default 10,000.
    pub audit_max: u64,
    /// The longest a settlement waits for a commit of its own when nothing is appended. Default 100 ms, at most 10 s.
    pub commit_every: Duration,
    /// The longest a group waits for more when callers of the last one may come again. Default 1 ms, at most 100 ms;
    /// 0 never waits.
    pub gather_max: Duration,
    /// Most events of one commit. Default 1,024.
    pub group_events_max: usize,
    /// Most bytes of one commit. Default 4 MiB.
    pub group_bytes_max: usize,
    /// Most events that wait for the writer; beyond it an append fails with `Overloaded`. Default 4,096.
    pub waiting_events_max: usize,
    /// Most bytes that wait for the writer. Default 8 MiB.
    pub waiting_bytes_max: usize,
    /// Most events that are kept in memory for the source; the rest is read again from disk. Default 1,024.
    pub hand_events_max: usize,
    /// Most bytes that are kept in memory for the source. Default 2 MiB.
    pub hand_bytes_max: usize,
    /// The log is copied into the database when it is larger. Default 4 MiB, at least 256 KiB.
    ///
    /// A larger log costs time after a crash (it is read twice at open), a smaller one costs time while appending.
    /// On a volume so small that the reserve is smaller, half of the reserve is the bound.
    pub wal_bytes_max: u64,
    /// After so long at one piece of work it tells ([`crate::Health::Stalled`]) that the disk does not answer. Default 10 s, at
    /// least 100 ms.
    pub stalled_after: Duration,
    /// Unix time in milliseconds. Default the system's clock; only ages and what people read depend on it.
    pub clock: fn() -> u64,
}

impl Config {
    /// The defaults, for the database at `path`.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            name: "journal".into(),
            bytes_max: GIB,
            dead_bytes_max: GIB,
            overflow_bytes_max: GIB,
            dead_age_max: None,
            marks_age_max: Duration::from_hours(24),
            marks_max: 1_000_000,
            keep_settled: false,
            keep_age_max: Duration::from_hours(7 * 24),
            keep_bytes_max: 64 * MIB,
            audit_max: 10_000,
            commit_every: Duration::from_millis(100),
            gather_max: Duration::from_millis(1),
            group_events_max: 1_024,
            group_bytes_max: 4 << 20,
            waiting_events_max: 4_096,
            waiting_bytes_max: 8 << 20,
            hand_events_max: 1_024,
            hand_bytes_max: 2 << 20,
            wal_bytes_max: 4 * MIB,
            stalled_after: Duration::from_secs(10),
            clock: system_ms,
        }
    }

    /// Holds every bound.
    ///
    /// # Errors
    /// `Invalid`, naming the field, what stands there and what may stand there.
    pub fn check(&self) -> Result<()> {
        let bounds = [
            ("bytes_max", self.bytes_max, 64 * KIB, 1 << 50),
            ("dead_bytes_max", self.dead_bytes_max, 64 * KIB, 1 << 50),
            ("overflow_bytes_max", self.overflow_bytes_max, 64 * KIB, 1 << 50),
            ("marks_max", self.marks_max, 1, 1 << 40),
            ("keep_bytes_max", self.keep_bytes_max, 64 * KIB, 1 << 50),
            ("audit_max", self.audit_max, 1, 1 << 20),
            ("group_events_max", self.group_events_max as u64, 1, 1 << 16),
            ("group_bytes_max", self.group_bytes_max as u64, KIB, GIB),
            ("waiting_events_max", self.waiting_events_max as u64, 1, 1 << 20),
            ("waiting_bytes_max", self.waiting_bytes_max as u64, KIB, 4 * GIB),
            ("hand_events_max", self.hand_events_max as u64, 1, 1 << 20),
            ("hand_bytes_max", self.hand_bytes_max as u64, KIB, 4 * GIB),
            ("wal_bytes_max", self.wal_bytes_max, 256 * KIB, GIB),
            ("commit_every in ms", milliseconds(self.commit_every), 1, 10_000),
            ("gather_max in ms", milliseconds(self.gather_max), 0, 100),
            ("stalled_after in ms", milliseconds(self.stalled_after), 100, 3_600_000),
        ];
        for (field, value, min, max) in bounds {
            if !(min..=max).contains(&value) {
                let message = format!("journal: {field} is {value}, but must be within {min} and {max}");
                return Err(Error::new(Kind::Invalid, message));
            }
        }
        if self.path.file_name().is_none() {
            let message = format!("journal: path `{}` names no file", self.path.display());
            return Err(Error::new(Kind::Invalid, message));
        }
        Ok(())
    }

    /// The path with `suffix` after its file name.
    pub(crate) fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        path.into()
    }
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn system_ms() -> u64 {
    milliseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold_their_own_bounds() {
        Config::new("journal.db").check().unwrap();
    }

    #[test]
    fn a_mistake_names_its_field_and_its_bounds() {
        let config = Config { bytes_max: 1, ..Config::new("journal.db") };
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains("bytes_max is 1") && error.contains("65536"), "{error}");
        assert!(Config::new("/").check().is_err());
    }
}
