//! The HTTP/1.1 server: it reads a request wholly, enters it in the book, does what the program says, and
//! enters how it ended.
//!
//! One thread; HTTP/2 is deliberately absent, because functions are called over HTTP/1.1.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

use crate::{
    admin,
    answer::{AnswerBody, Question, answer, plain, status_of},
    book::{Book, Keep, Ticket},
    identity::{self, Identity},
    program::{Action, Asked, Chooser, Fault, Program},
    record::{Outcome, Record},
    wire::{ResetFlag, Wire},
};

/// How a server is to be.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Where to listen; default 127.0.0.1 and any free port.
    pub address: SocketAddr,
    /// What to answer.
    pub program: Program,
    /// What to keep.
    pub keep: Keep,
    /// A longer request body is answered 413. Default 64 MiB.
    pub body_bytes_max: usize,
    /// How long a drain waits for what is running. Default 10 s.
    pub drain_max: Duration,
    /// Drain and end with the second number once the first many requests have ended.
    pub exit_after: Option<(u64, u8)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            program: Program::default(),
            keep: Keep::default(),
            body_bytes_max: 64 << 20,
            drain_max: Duration::from_secs(10),
            exit_after: None,
        }
    }
}

/// Whether and how a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It does not.
    No,
    /// It accepts nothing new, finishes what is running, and ends with this code.
    Drain(u8),
    /// It ends with this code, at once.
    Now(u8),
}

/// What all connections share; a handle to a server from outside.
#[derive(Debug)]
pub struct Shared {
    /// Records and counts.
    pub book: Arc<Book>,
    chooser: Mutex<Chooser>,
    gates: Mutex<HashMap<String, Arc<Semaphore>>>,
    ending: watch::Sender<Ending>,
    body_bytes_max: usize,
    drain_max: Duration,
    exit_after: Option<(u64, u8)>,
}

impl Shared {
    /// Everything but the listener.
    ///
    /// # Errors
    /// The log file cannot be opened.
    pub fn new(setup: Setup) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            book: Arc::new(Book::new(setup.keep)?),
            chooser: Mutex::new(Chooser::new(setup.program)),
            gates: Mutex::default(),
            ending: watch::Sender::new(Ending::No),
            body_bytes_max: setup.body_bytes_max,
            drain_max: setup.drain_max,
            exit_after: setup.exit_after,
        }))
    }

    /// Replaces the program; its counts start anew. Requests that are running keep the old one.
    pub fn set_program(&self, program: Program) {
        *lock(&self.chooser) = Chooser::new(program);
    }

    /// The program at work.
    #[must_use]
    pub fn program(&self) -> Program {
        lock(&self.chooser).program().clone()
    }

    /// Lets `count` requests through the gate `name`; `None` opens it for good.
    pub fn release(&self, name: &str, count: Option<usize>) {
        let gate = self.gate(name);
        match count {
            Some(count) => gate.add_permits(count),
            None => gate.close(),
        }
    }

    /// Ends the server. The first drain holds against later ones; only an end at once goes before it.
    pub fn end(&self, ending: Ending) {
        self.ending.send_if_modified(|now| {
            let goes_first = match *now {
                Ending::No => true,
                Ending::Drain(_) => matches!(ending, Ending::Now(_)),
                Ending::Now(_) => false,
            };
            if goes_first {
                *now = ending;
            }
            goes_first
        });
    }

    fn gate(&self, name: &str) -> Arc<Semaphore> {
        lock(&self.gates).entry(name.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(0))).clone()
    }

    async fn pass_gate(&self, name: &str) {
        let _held = self.book.held();
        if let Ok(permit) = self.gate(name).acquire().await {
            permit.forget();
        }
    }
}

/// Serves until something ends it, and returns the exit code. Dropping the future closes all connections.
///
/// A drain that takes longer than [`Setup::drain_max`] is cut and ends with 1.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>) -> u8 {
    let mut ending = shared.ending.subscribe();
    let mut connections = JoinSet::new();
    let code = loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    shared.book.connected();
                    connections.spawn(connection(stream, shared.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
            Ok(ending) = ending.wait_for(|ending| *ending != Ending::No) => match *ending {
                Ending::Drain(code) => break code,
                Ending::Now(code) => return code,
                Ending::No => {}
            },
        }
    };
    drop(listener);
    let finished = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        () = finished => code,
        () = tokio::time::sleep(shared.drain_max) => 1,
        _ = ending.wait_for(|ending| matches!(ending, Ending::Now(_))) => code,
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true); // an answer in two writes must not wait for the caller's ACK
    let reset = ResetFlag::default();
    let wire = Wire { stream, reset: reset.clone() };
    let mut ending = shared.ending.subscribe();
    let service = service_fn(|request| handle(request, shared.clone(), reset.clone()));
    let serving = http1::Builder::new().serve_connection(TokioIo::new(wire), service);
    tokio::pin!(serving);
    tokio::select! {
        _ = serving.as_mut() => return,
        _ = ending.wait_for(|ending| *ending != Ending::No) => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = serving.await;
}

async fn handle(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    reset: ResetFlag,
) -> io::Result<Response<AnswerBody>> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, shared.body_bytes_max).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is longer than --body-max\n"));
        }
        Err(error) => return Err(io::Error::other(error)),
    };
    if parts.uri.path().starts_with("/_/") {
        return Ok(admin::handle(&parts, &body, &shared).await);
    }
    let Identity { mode, name, batch } = identity::of(&parts.headers, &body);
    let boxed = |text: Option<String>| text.map(String::into_boxed_str);
    let mut record = Record {
        id: boxed(name.id),
        key: boxed(name.key),
        body_len: body.len() as u64,
        body_crc: crc32fast::hash(&body),
        ..Record::default()
    };
    if !shared.book.keep().quiet {
        record.source = boxed(name.source);
        record.ty = boxed(name.ty);
        (record.mode, record.batch) = (mode, batch);
        (record.method, record.path) = (parts.method.as_str().into(), parts.uri.path().into());
        record.headers = texts(&parts.headers);
        record.body = shared.book.keep().bodies.then(|| body.clone());
    }
    let (id, key) = (record.id.clone(), record.key.clone());
    let Ticket { n, attempt } = shared.book.start(record);
    let running = Running { shared: &shared, n, key: key.as_deref(), ended: false };
    let asked = Asked {
        n,
        attempt,
        id: id.as_deref(),
        key: key.as_deref(),
        path: parts.uri.path(),
        method: parts.method.as_str(),
        headers: &parts.headers,
    };
    let action = lock(&shared.chooser).choose(&asked).clone();
    let question = Question { content_type: parts.headers.get(header::CONTENT_TYPE).cloned(), body };
    follow(&action, &question, &reset, running).await
}

async fn follow(
    action: &Action,
    question: &Question,
    reset: &ResetFlag,
    running: Running<'_>,
) -> io::Result<Response<AnswerBody>> {
    if action.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(action.delay_ms)).await;
    }
    if let Some(gate) = &action.hold {
        running.shared.pass_gate(gate).await;
    }
    match action.fault {
        Some(Fault::Hang) => std::future::pending::<()>().await,
        Some(Fault::Exit(code)) => {
            running.shared.end(Ending::Now(code));
            std::future::pending::<()>().await;
        }
        _ => {}
    }
    let answer = answer(action, question, reset);
    let outcome = if action.fault.is_none() { Outcome::Answered } else { Outcome::Faulted };
    running.end(answer.is_ok().then(|| status_of(action).as_u16()), outcome);
    answer
}

/// A request in hand. hyper drops its future when the caller goes away, which is entered too.
struct Running<'a> {
    shared: &'a Shared,
    n: u64,
    key: Option<&'a str>,
    ended: bool,
}

impl Running<'_> {
    fn end(mut self, status: Option<u16>, outcome: Outcome) {
        self.ended = true;
        self.shared.book.end(self.n, self.key, status, outcome);
        if let Some((count, code)) = self.shared.exit_after
            && self.shared.book.ended() >= count
        {
            self.shared.end(Ending::Drain(code));
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.shared.book.end(self.n, self.key, None, Outcome::Gone);
        }
    }
}

fn texts(headers: &http::HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Turns a listener of the standard library into one of the runtime that this is called in.
///
/// # Errors
/// The socket cannot be made non-blocking or registered.
pub fn adopt(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}
