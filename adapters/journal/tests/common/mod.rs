//! What the tests of the journal share: a place for files, a desk where deliveries arrive, and a crash.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(missing_docs, unreachable_pub, reason = "nothing here is an interface")]

use bytes::Bytes;
use outrigger_core::{
    Admit, Code, DeadLetter, Delivery, DrainTrigger, Error, Event, Intake, Key, Malformed, Origin, Reason,
    Result, Settlement, Source, decide::window::Window, drain,
};
use outrigger_journal::{Config, Entry, Journal};
use std::{
    collections::VecDeque,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::{sync::Notify, task::JoinHandle};

/// A directory with one journal in it.
pub struct Place {
    _directory: tempfile::TempDir,
    pub config: Config,
}

impl Place {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Settlements wait for `flush`, so that a test decides what a crash finds.
        let config = Config {
            commit_every: Duration::from_secs(10),
            ..Config::new(directory.path().join("journal.db"))
        };
        Self { _directory: directory, config }
    }

    /// What a kill at this moment would leave behind.
    pub fn crash(&self) -> Self {
        let mut after = Self::new();
        // The log first: a copy of it into the database in between only writes what it holds anyway.
        for suffix in ["-wal", "", ".mark"] {
            fs::copy(self.file(suffix), after.file(suffix)).unwrap();
        }
        after.config = Config { path: after.config.path.clone(), ..self.config.clone() };
        after
    }

    pub fn file(&self, suffix: &str) -> PathBuf {
        let mut path = self.config.path.clone().into_os_string();
        path.push(suffix);
        path.into()
    }

    pub fn open(&self) -> Arc<Journal> {
        self.try_open().unwrap()
    }

    pub fn try_open(&self) -> Result<Arc<Journal>> {
        Journal::open(self.config.clone(), |error| panic!("fatal: {error}"))
    }

    pub fn refusal(&self) -> String {
        match self.try_open() {
            Ok(_) => panic!("it was opened"),
            Err(error) => error.to_string(),
        }
    }

    /// Flips one bit of a file.
    pub fn flip(&self, suffix: &str, bit: u64) {
        let mut bytes = fs::read(self.file(suffix)).unwrap();
        bytes[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
        fs::write(self.file(suffix), bytes).unwrap();
    }

    pub fn len(&self, suffix: &str) -> u64 {
        fs::metadata(self.file(suffix)).unwrap().len()
    }
}

pub fn event(id: u64) -> Event {
    let event = Event::new(&id.to_string(), "/tests", "test.happened").unwrap();
    event.with_data("text/plain", Bytes::from(format!("the payload of {id}"))).unwrap()
}

pub fn entry(id: u64) -> Entry {
    Entry { event: event(id), key: (!id.is_multiple_of(3)).then(|| Key::new("http", &id.to_be_bytes())) }
}

pub fn entries(ids: impl IntoIterator<Item = u64>) -> Vec<Entry> {
    ids.into_iter().map(entry).collect()
}

pub fn letter(id: u64) -> DeadLetter {
    DeadLetter {
        item: Ok(event(id)),
        key: Some(Key::new("http", b"k")),
        origin: Origin {
            source: "journal".into(),
            position: outrigger_core::Position::Text(id.to_string()),
            headers: vec![("traceparent".to_owned(), "00-1".to_owned())],
        },
        target: None,
        reason: Reason { code: Code::Exhausted, status: Some(500), detail: format!("no luck with {id}") },
        attempts: 5,
        first_ms: 1_000,
        last_ms: 2_000 + id,
    }
}

pub fn malformed_letter() -> DeadLetter {
    let malformed = Malformed {
        raw: Bytes::from_static(b"\xff\x00 no event"),
        headers: vec![("ce-id".to_owned(), Bytes::from_static(b"\xfe"))],
        key: Some(Bytes::from_static(b"raw key")),
        why: "no type".to_owned(),
    };
    let reason = Reason { code: Code::Malformed, status: None, detail: String::new() };
    DeadLetter { item: Err(malformed), key: None, reason, attempts: 0, ..letter(0) }
}

/// Where deliveries arrive.
#[derive(Default)]
pub struct Desk {
    deliveries: Mutex<VecDeque<Delivery>>,
    arrived: Notify,
}

impl Admit for Desk {
    fn admit(&self, delivery: Delivery) {
        self.deliveries().push_back(delivery);
        self.arrived.notify_one();
    }
}

impl Desk {
    pub async fn next(&self) -> Delivery {
        loop {
            if let Some(delivery) = self.deliveries().pop_front() {
                return delivery;
            }
            self.arrived.notified().await;
        }
    }

    pub async fn take(&self, n: usize) -> Vec<Delivery> {
        let mut taken = Vec::new();
        while taken.len() < n {
            taken.push(self.next().await);
        }
        taken
    }

    pub fn is_empty(&self) -> bool {
        self.deliveries().is_empty()
    }

    fn deliveries(&self) -> MutexGuard<'_, VecDeque<Delivery>> {
        self.deliveries.lock().unwrap()
    }
}

/// A journal that runs as a source.
pub struct Running {
    pub journal: Arc<Journal>,
    pub desk: Arc<Desk>,
    pub drain: DrainTrigger,
    pub task: JoinHandle<Result<()>>,
}

impl Running {
    pub fn start(journal: Arc<Journal>, events_max: usize) -> Self {
        let desk = Arc::new(Desk::default());
        let intake = Intake::new(Window::new(events_max, usize::MAX), desk.clone());
        let (trigger, drain) = drain::channel();
        let task = tokio::spawn(journal.clone().run(intake, drain));
        Self { journal, desk, drain: trigger, task }
    }

    /// The next `n` deliveries, or the error with which the source ended.
    pub async fn deliveries(&mut self, n: usize) -> Result<Vec<Delivery>, Error> {
        tokio::select! {
            biased;
            deliveries = self.desk.take(n) => Ok(deliveries),
            ended = &mut self.task => Err(ended.unwrap().unwrap_err()),
        }
    }

    /// Ends the source and lets go of everything.
    pub async fn stop(self) {
        self.drain.start();
        let _ = self.task.await;
        self.journal.close().await.unwrap();
    }
}

pub fn id(delivery: &Delivery) -> u64 {
    delivery.item.as_ref().unwrap().id().parse().unwrap()
}

pub fn ids(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries.iter().map(id).collect()
}

pub fn acknowledge(deliveries: impl IntoIterator<Item = Delivery>) {
    for delivery in deliveries {
        delivery.receipt.settle(Settlement::Ack(None));
    }
}
