//! The baseline: a hyper server that does nothing but the same group commit, and optionally POSTs what it committed.
//!
//! No limits, no time-outs, no checks of the event, no metrics, no keys, no retry, no settling: what is left is what
//! every durable ingress has to do. It runs as a process of its own, one runtime thread and one writer, as ours does.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rusqlite::Connection;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
};

use crate::{post::Posts, process::Process};

/// How long a group waits for the callers of the last one, as in the journal.
const GATHER_MAX: Duration = Duration::from_millis(1);
/// Groups whose answers are on the way.
const ANSWERED_MAX: usize = 16;

/// What the baseline is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The database
    path: PathBuf,
    /// Answer without keeping anything
    #[arg(long)]
    keep_nothing: bool,
    /// POST every committed event there
    #[arg(long)]
    post: Option<SocketAddr>,
    /// On so many connections
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
}

type Write = (Bytes, oneshot::Sender<()>);

/// What it does with an event.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    /// Answer at once: what the HTTP of it costs.
    Nothing,
    /// Commit it.
    Commit,
    /// Commit it, then POST it there, on so many connections.
    CommitAndPost(SocketAddr, usize),
}

/// Starts it as a child. Gives back where it listens.
pub(crate) fn start(folder: &Path, work: Work) -> Result<(Process, SocketAddr)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("server").arg(folder.join("baseline.db"));
    match work {
        Work::Nothing => command.arg("--keep-nothing"),
        Work::Commit => &mut command,
        Work::CommitAndPost(address, in_flight) => {
            command.args(["--post", &address.to_string(), "--in-flight", &in_flight.to_string()])
        }
    };
    let mut process = Process::start(&mut command)?;
    let address = process.first_line()?.parse().context("the baseline prints its address")?;
    Ok((process, address))
}

/// Serves until it is killed.
pub(crate) async fn run(options: Options) -> Result<()> {
    let db = open(&options.path)?;
    let queue = (!options.keep_nothing).then(Arc::<Queue>::default);
    if let Some(queue) = queue.clone() {
        let (send, answered) = mpsc::channel(ANSWERED_MAX);
        tokio::spawn(answer_all(answered));
        thread::spawn(move || write_all(&db, &queue, &send));
    }
    let posts = match options.post {
        Some(address) => Some(Posts::open(address, options.in_flight).await?),
        None => None,
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (queue, posts) = (queue.clone(), posts.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| keep(request, queue.clone(), posts.clone()));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn keep(
    request: Request<Incoming>,
    queue: Option<Arc<Queue>>,
    posts: Option<Posts>,
) -> Result<Response<Empty<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    if let Some(queue) = queue {
        let (answer, durable) = oneshot::channel();
        queue.push((body.clone(), answer));
        durable.await?;
    }
    if let Some(posts) = posts {
        posts.push(parts.headers, body);
    }
    let mut answer = Response::new(Empty::new());
    *answer.status_mut() = StatusCode::ACCEPTED;
    Ok(answer)
}

/// With the journal's own settings; the log is copied at 4 MiB, as there.
fn open(path: &Path) -> Result<Connection> {
    let db = Connection::open(path)?;
    db.execute_batch(
        "PRAGMA page_size = 8192;
         PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 512;
         PRAGMA cache_size = -512;
         PRAGMA temp_store = MEMORY;
         CREATE TABLE queue (seq INTEGER PRIMARY KEY, event BLOB NOT NULL) STRICT;",
    )?;
    Ok(db)
}

/// What waits for the next commit. As many as there are producers.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    writes: Vec<Write>,
    /// So many are waited for.
    wanted: usize,
}

impl Queue {
    fn push(&self, write: Write) {
        let mut waiting = self.waiting();
        waiting.writes.push(write);
        if waiting.writes.len() == waiting.wanted {
            self.wake.notify_one();
        }
    }

    /// The next group: as many as the last one had, or what has come after [`GATHER_MAX`], but at least one.
    fn take(&self, last: usize) -> Vec<Write> {
        let mut waiting = self.waiting();
        waiting.wanted = last.max(1);
        let until = Instant::now() + GATHER_MAX;
        while waiting.writes.len() < waiting.wanted {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() && !waiting.writes.is_empty() {
                break;
            }
            waiting = if left.is_zero() {
                waiting.wanted = 1;
                self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner)
            } else {
                self.wake.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0
            };
        }
        std::mem::take(&mut waiting.writes)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each group goes into one transaction, with one fsync; then all are answered.
fn write_all(
    db: &Connection,
    queue: &Queue,
    answered: &mpsc::Sender<Vec<oneshot::Sender<()>>>,
) -> Result<()> {
    let mut last = 0;
    loop {
        let group = queue.take(last);
        last = group.len();
        db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut insert = db.prepare_cached("INSERT INTO queue (event) VALUES (?)")?;
        for (event, _) in &group {
            insert.execute([&event[..]])?;
        }
        db.prepare_cached("COMMIT")?.execute([])?;
        answered.blocking_send(group.into_iter().map(|(_, answer)| answer).collect())?;
    }
}

/// In the runtime's own thread, where waking a task costs no system call.
async fn answer_all(mut answered: mpsc::Receiver<Vec<oneshot::Sender<()>>>) {
    while let Some(group) = answered.recv().await {
        for answer in group {
            let _ = answer.send(()); // a producer that hung up needs none
        }
    }
}
