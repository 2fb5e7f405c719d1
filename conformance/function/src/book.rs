//! Where records and counts are kept: bounded, cheap, and waking whoever waits for a count.
//!
//! With a file, each record is written when its request starts and again when it ends, by a plain `write`
//! without a buffer: what the function saw survives its being killed. The last line of an `n` holds.

use std::{
    collections::{HashMap, VecDeque},
    fs::File,
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use tokio::sync::Notify;

use crate::record::{Outcome, Record, Stats};

/// What is kept, and how much of it.
#[derive(Debug, Clone)]
pub struct Keep {
    /// Only the few fields that [`Record`] names.
    pub quiet: bool,
    /// Bodies, not only their length and checksum.
    pub bodies: bool,
    /// Records in memory; the oldest go first. Default 200,000.
    pub records_max: usize,
    /// Bytes of bodies in memory; the oldest records go first. Default 512 MiB.
    pub bytes_max: usize,
    /// Distinct ids that are counted. Default 4,000,000.
    pub ids_max: usize,
    /// Records are also appended here.
    pub file: Option<PathBuf>,
}

impl Default for Keep {
    fn default() -> Self {
        let bytes_max = 512 << 20;
        let (records_max, ids_max) = (200_000, 4_000_000);
        Self { quiet: false, bodies: true, records_max, bytes_max, ids_max, file: None }
    }
}

/// The records and counts of one function.
#[derive(Debug)]
pub struct Book {
    keep: Keep,
    state: Mutex<State>,
    changed: Notify,
    started: Instant,
    started_us: u64,
}

#[derive(Debug, Default)]
struct State {
    stats: Stats,
    records: VecDeque<Record>,
    bytes: usize,
    file: Option<File>,
    /// The number of the last request; it goes on over `clear`.
    last: u64,
    hasher: RandomState,
    attempts: HashMap<u64, u32>,
    running_of_key: HashMap<Box<str>, u32>,
}

/// What a request is told when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// Its number.
    pub n: u64,
    /// Which attempt of its event it is.
    pub attempt: u32,
}

impl Book {
    /// An empty book.
    ///
    /// # Errors
    /// The file of [`Keep::file`] cannot be opened for appending.
    pub fn new(keep: Keep) -> io::Result<Self> {
        let open = |path| File::options().create(true).append(true).open(path);
        let state = State { file: keep.file.as_ref().map(open).transpose()?, ..State::default() };
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started_us = u64::try_from(since_1970.as_micros()).unwrap_or(u64::MAX);
        let (changed, started) = (Notify::new(), Instant::now());
        Ok(Self { keep, state: Mutex::new(state), changed, started, started_us })
    }

    /// What is kept.
    #[must_use]
    pub fn keep(&self) -> &Keep {
        &self.keep
    }

    /// Enters a request that has arrived wholly. Fills its `n`, `attempt` and `started_us`.
    pub fn start(&self, mut record: Record) -> Ticket {
        let mut state = self.lock();
        state.last += 1;
        record.n = state.last;
        record.started_us = self.now_us();
        record.attempt = state.count_attempt(&record, self.keep.ids_max);
        state.stats.received += 1;
        state.stats.running += 1;
        state.stats.running_max = state.stats.running_max.max(state.stats.running);
        if let Some(key) = &record.key {
            let running = state.running_of_key.entry(key.clone()).or_default();
            *running += 1;
            let overlaps = *running > 1;
            state.stats.overlaps += u64::from(overlaps);
        }
        let ticket = Ticket { n: record.n, attempt: record.attempt };
        if !self.keep.quiet {
            state.write(&record);
        }
        state.store(record, &self.keep);
        drop(state);
        self.changed.notify_waiters();
        ticket
    }

    /// Enters how request `n` of `key` ended.
    pub fn end(&self, n: u64, key: Option<&str>, status: Option<u16>, outcome: Outcome) {
        let mut state = self.lock();
        state.stats.running = state.stats.running.saturating_sub(1);
        state.stats.ended += 1;
        match (outcome, status) {
            (Outcome::Answered, Some(status)) => *state.stats.statuses.entry(status).or_default() += 1,
            (Outcome::Gone, _) => state.stats.gone += 1,
            _ => state.stats.faulted += 1,
        }
        if let Some(key) = key {
            state.leave_key(key);
        }
        let ended_us = Some(self.now_us());
        if let Some(index) = state.index_of(n) {
            let record = &mut state.records[index];
            (record.status, record.outcome, record.ended_us) = (status, outcome, ended_us);
            if state.file.is_some() {
                let line = line_of(&state.records[index]);
                state.write_line(&line);
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Counts an accepted connection.
    pub fn connected(&self) {
        self.lock().stats.connections += 1;
    }

    /// Counts a request that came to a gate, until what is returned is dropped.
    #[must_use]
    pub fn held(self: &Arc<Self>) -> Held {
        self.lock().stats.held += 1;
        self.changed.notify_waiters();
        Held(self.clone())
    }

    /// All records, the oldest first.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.lock().records.iter().cloned().collect()
    }

    /// The counts.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.lock().stats.clone()
    }

    /// How many requests have ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.lock().stats.ended
    }

    /// Forgets records, counts and attempts. What runs at this moment stays counted as running.
    pub fn clear(&self) {
        let mut state = self.lock();
        let (running, held) = (state.stats.running, state.stats.held);
        state.stats = Stats { running, held, running_max: running, ..Stats::default() };
        state.records.clear();
        state.bytes = 0;
        state.attempts.clear();
    }

    /// Waits until `wanted` holds of the counts. It is asked again whenever one changes, and never sleeps.
    ///
    /// Cancellation safe. It waits for ever if that never comes; see [`crate::Function::wait_for`].
    pub async fn wait_for(&self, mut wanted: impl FnMut(&Stats) -> bool) -> Stats {
        loop {
            // Registered before the look, so that a change between the look and the wait is not missed.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let stats = self.stats();
            if wanted(&stats) {
                return stats;
            }
            changed.await;
        }
    }

    fn now_us(&self) -> u64 {
        self.started_us + u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX / 2)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count_attempt(&mut self, record: &Record, ids_max: usize) -> u32 {
        let Some(id) = &record.id else { return 1 };
        let name = self.hasher.hash_one((&record.source, id));
        if self.attempts.len() >= ids_max && !self.attempts.contains_key(&name) {
            self.stats.uncounted += 1;
            return 1;
        }
        let attempt = self.attempts.entry(name).or_default();
        *attempt += 1;
        let first = *attempt == 1;
        self.stats.distinct += u64::from(first);
        self.stats.repeats += u64::from(!first);
        *attempt
    }

    fn store(&mut self, record: Record, keep: &Keep) {
        self.bytes += record.body.as_ref().map_or(0, bytes::Bytes::len);
        self.records.push_back(record);
        while self.records.len() > keep.records_max || self.bytes > keep.bytes_max {
            let Some(oldest) = self.records.pop_front() else { break };
            self.bytes -= oldest.body.map_or(0, |body| body.len());
            self.stats.forgotten += 1;
        }
    }

    fn leave_key(&mut self, key: &str) {
        if let Some(running) = self.running_of_key.get_mut(key) {
            *running -= 1;
            if *running == 0 {
                self.running_of_key.remove(key);
            }
        }
    }

    /// Where request `n` stands, unless it was forgotten.
    fn index_of(&self, n: u64) -> Option<usize> {
        let first = self.records.front()?.n;
        let index = usize::try_from(n.checked_sub(first)?).ok()?;
        (index < self.records.len()).then_some(index)
    }

    fn write(&mut self, record: &Record) {
        if self.file.is_some() {
            let line = line_of(record);
            self.write_line(&line);
        }
    }

    fn write_line(&mut self, line: &[u8]) {
        let Some(file) = &mut self.file else { return };
        if let Err(error) = file.write_all(line) {
            eprintln!("function: the log file cannot be written ({error}); it ends here");
            self.file = None;
        }
    }
}

/// A request at a gate; see [`Book::held`].
#[derive(Debug)]
pub struct Held(Arc<Book>);

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.stats.held = state.stats.held.saturating_sub(1);
        drop(state);
        self.0.changed.notify_waiters();
    }
}

/// A record as one line of JSON.
#[must_use]
pub fn line_of(record: &Record) -> Vec<u8> {
    let mut line = serde_json::to_vec(record).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, key: &str) -> Record {
        Record { id: Some(id.into()), key: Some(key.into()), ..Record::default() }
    }

    fn book(keep: Keep) -> Arc<Book> {
        Arc::new(Book::new(keep).unwrap())
    }

    #[test]
    fn two_calls_of_one_key_at_once_are_an_overlap_and_two_in_a_row_are_none() {
        let book = book(Keep::default());
        let first = book.start(event("1", "k"));
        book.end(first.n, Some("k"), Some(200), Outcome::Answered);
        book.start(event("2", "k"));
        book.start(event("3", "other"));
        assert_eq!(book.stats().overlaps, 0);
        book.start(event("4", "k"));
        assert_eq!(book.stats().overlaps, 1);
    }

    #[test]
    fn attempts_are_counted_per_source_and_id() {
        let book = book(Keep::default());
        assert_eq!(book.start(event("1", "k")).attempt, 1);
        assert_eq!(book.start(event("1", "k")).attempt, 2);
        let elsewhere = Record { source: Some("s".into()), ..event("1", "k") };
        assert_eq!(book.start(elsewhere).attempt, 1);
        let stats = book.stats();
        assert_eq!((stats.distinct, stats.repeats, stats.received), (2, 1, 3));
    }

    #[test]
    fn the_oldest_records_go_first_and_are_counted() {
        let book = book(Keep { records_max: 2, ids_max: 2, ..Keep::default() });
        for id in ["1", "2", "3"] {
            book.start(event(id, "k"));
        }
        let kept: Vec<_> = book.records().iter().map(|record| record.n).collect();
        assert_eq!(kept, [2, 3]);
        assert_eq!((book.stats().forgotten, book.stats().uncounted), (1, 1));
        book.end(1, Some("k"), Some(200), Outcome::Answered);
        assert!(book.records().iter().all(|record| record.status.is_none()));
    }

    #[test]
    fn bodies_are_bounded_by_their_bytes() {
        let book = book(Keep { bytes_max: 10, ..Keep::default() });
        for id in ["1", "2", "3"] {
            let body = Some(bytes::Bytes::from_static(b"12345"));
            book.start(Record { body, ..event(id, "k") });
        }
        assert_eq!((book.records().len(), book.stats().forgotten), (2, 1));
    }

    #[test]
    fn the_file_holds_a_request_that_never_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let book = book(Keep { file: Some(path.clone()), ..Keep::default() });
        let first = book.start(event("1", "k"));
        book.end(first.n, Some("k"), Some(200), Outcome::Answered);
        book.start(event("2", "k"));
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<Record> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let seen: Vec<_> = lines.iter().map(|line| (line.n, line.status)).collect();
        assert_eq!(seen, [(1, None), (1, Some(200)), (2, None)]);
    }

    #[tokio::test]
    async fn whoever_waits_for_a_count_is_woken_by_it() {
        let book = book(Keep::default());
        let waiting = tokio::spawn({
            let book = book.clone();
            async move { book.wait_for(|stats| stats.ended == 1).await }
        });
        let first = book.start(event("1", "k"));
        book.end(first.n, Some("k"), Some(503), Outcome::Answered);
        assert_eq!(waiting.await.unwrap().statuses[&503], 1);
    }
}
