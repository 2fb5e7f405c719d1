//! A small sidecar of the toy broker with a flaw that is named, for the suite to be proven on. It is no example.
//!
//! `outrigger-flawed-pull FLAW` reads `setup.json` in its folder, takes events from the toy broker, calls the function
//! with them, a key's one after the other, and settles what is done. Dead letters are lines of the file `letters`.
//! `GET /readyz` and `GET /in-hand` are there too. FLAW is one of [`FLAWS`]. Where there are rules, what it keeps for them
//! stands in further files ([`way`]).

#[path = "flawed_pull/way.rs"]
mod way;

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Write as _},
    net::SocketAddr,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::Full;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use outrigger_testkit::{
    Producer,
    suite::{
        Letter, Setup,
        toy::{Ask, Carried, Given, Lent},
    },
};
use way::Way;

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

/// What can be wrong: nothing; an event is settled when it comes; what a drain leaves is settled instead of released;
/// SIGTERM ends the process at once; the window does not count; poison is settled without a letter; of two copies one
/// is settled twice; the latest of a key goes first; loans are not renewed; a connection that is lost stays lost; what is
/// discarded goes to the function; an event is settled once its first target has it; what targets have is not known after a
/// restart; what overflows is kept in memory alone.
const FLAWS: [&str; 14] = [
    "none",
    "early",
    "swallow",
    "rude",
    "greedy",
    "forget",
    "merge",
    "reorder",
    "lazy",
    "stuck",
    "astray",
    "hasty",
    "oblivious",
    "volatile",
];

const TICK: Duration = Duration::from_millis(10);
const ANSWER_MAX: Duration = Duration::from_millis(300);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(flaw) = std::env::args().nth(1).filter(|flaw| FLAWS.contains(&flaw.as_str())) else {
        return ExitCode::from(2);
    };
    match run(flaw).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flawed-pull: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(flaw: String) -> io::Result<()> {
    let (setup, admin): (Setup, SocketAddr) = serde_json::from_reader(File::open("setup.json")?)?;
    let held = Arc::new(AtomicUsize::new(0));
    let mut sidecar = Pull::new(setup, flaw, Arc::clone(&held))?;
    sidecar.exchange().await?;
    tokio::spawn(show(TcpListener::bind(admin).await?, held));
    let mut term = signal(SignalKind::terminate())?;
    loop {
        tokio::select! {
            biased;
            _ = term.recv() => break,
            Some(Ok((token, target, status))) = sidecar.calls.join_next() => {
                sidecar.called(token, target, status)?;
            }
            () = sleep(TICK) => drop(sidecar.exchange().await), // tried again at the next tick
        }
        sidecar.begin();
    }
    if sidecar.flaw != "rude" {
        sidecar.drain().await?;
    }
    Ok(())
}

/// An event in hand for one of its targets.
struct Job {
    token: u64,
    target: usize,
    id: String,
    key: String,
    event: Carried,
    attempts: u32,
    is_running: bool,
}

struct Pull {
    setup: Setup,
    flaw: String,
    way: Way,
    broker: Option<BufReader<TcpStream>>,
    was_connected: bool,
    jobs: Vec<Job>,
    calls: JoinSet<(u64, usize, u16)>,
    /// What is done and the broker does not know.
    done: Vec<u64>,
    latest: HashMap<String, u64>,
    held: Arc<AtomicUsize>,
    is_draining: bool,
}

impl Pull {
    fn new(setup: Setup, flaw: String, held: Arc<AtomicUsize>) -> io::Result<Self> {
        let way = Way::open(&setup, &flaw)?;
        Ok(Self {
            way,
            setup,
            flaw,
            broker: None,
            was_connected: false,
            jobs: Vec::new(),
            calls: JoinSet::new(),
            done: Vec::new(),
            latest: HashMap::new(),
            held,
            is_draining: false,
        })
    }

    /// Tells the broker what is done and what is still in hand, and takes what there is room for.
    async fn exchange(&mut self) -> io::Result<()> {
        let done = std::mem::take(&mut self.done);
        if let Err(error) = self.ask(&Ask::Settle(done.clone())).await {
            self.done = done;
            return Err(error);
        }
        if self.flaw != "lazy" {
            self.ask(&Ask::Renew(self.jobs.iter().map(|job| job.token).collect())).await?;
        }
        let room =
            if self.flaw == "greedy" { 1_000 } else { self.setup.window.saturating_sub(self.jobs.len()) };
        if !self.is_draining && room > 0 {
            for lent in self.ask(&Ask::Receive(room)).await? {
                self.take(&lent)?;
            }
        }
        self.held.store(self.jobs.len(), Ordering::Relaxed);
        Ok(())
    }

    async fn ask(&mut self, ask: &Ask) -> io::Result<Given> {
        let answered = timeout(ANSWER_MAX, self.ask_once(ask)).await;
        let answered = answered.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if answered.is_err() {
            self.broker = None;
        }
        answered
    }

    async fn ask_once(&mut self, ask: &Ask) -> io::Result<Given> {
        if self.broker.is_none() {
            if self.was_connected && self.flaw == "stuck" {
                return Err(io::ErrorKind::NotConnected.into());
            }
            let address = self.setup.source.iter().find(|(path, _)| path == "toy").map(|(_, value)| value);
            let address = address.ok_or(io::ErrorKind::NotFound)?;
            self.broker = Some(BufReader::new(TcpStream::connect(address).await?));
            self.was_connected = true;
        }
        let Some(broker) = &mut self.broker else { return Err(io::ErrorKind::NotConnected.into()) };
        let mut line = serde_json::to_vec(ask)?;
        line.push(b'\n');
        broker.write_all(&line).await?;
        let mut answer = String::new();
        broker.read_line(&mut answer).await?;
        Ok(serde_json::from_str(&answer)?)
    }

    fn take(&mut self, lent: &Lent) -> io::Result<()> {
        let named = |name: &str| {
            let found = lent.event.headers.iter().find(|(header, _)| header == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let (id, key) = (named("ce-id"), named("ce-partitionkey"));
        self.latest.insert(id.clone(), lent.token);
        if self.flaw == "early" {
            self.done.push(lent.token);
        }
        for target in self.way.taken(lent.token, &id, &named("ce-type"), &lent.event)? {
            let (token, id, key, event) = (lent.token, id.clone(), key.clone(), lent.event.clone());
            self.jobs.push(Job { token, target, id, key, event, attempts: 0, is_running: false });
        }
        if self.way.is_had(lent.token) {
            self.done.push(lent.token);
        }
        Ok(())
    }

    /// Takes from the disk what there is room for.
    fn bring_in(&mut self) {
        for target in self.way.overflowing() {
            let lane_max = self.way.lane_max(target);
            while self.jobs.iter().filter(|job| job.target == target).count() < lane_max {
                let Some((token, id, key, event)) = self.way.next(target) else { break };
                self.jobs.push(Job { token, target, id, key, event, attempts: 0, is_running: false });
            }
        }
    }

    /// Begins calls while there is one whose key does not run.
    fn begin(&mut self) {
        self.bring_in();
        loop {
            let running =
                |target| self.jobs.iter().filter(|job| job.is_running && job.target == target).count();
            let is_of =
                |one: &Job, job: &Job| one.is_running && one.target == job.target && one.key == job.key;
            let runs = |job: &Job| self.jobs.iter().any(|one| is_of(one, job));
            let has_place = |job: &Job| running(job.target) < self.setup.concurrency;
            let is_free = |job: &Job| !job.is_running && !runs(job) && has_place(job);
            let found = if self.flaw == "reorder" {
                self.jobs.iter().rposition(is_free)
            } else {
                self.jobs.iter().position(is_free)
            };
            let Some(job) = found.and_then(|index| self.jobs.get_mut(index)) else { return };
            (job.is_running, job.attempts) = (true, job.attempts + 1);
            let target = self.way.target(job.target);
            self.calls.spawn(call(target, (job.token, job.target), job.event.clone()));
        }
    }

    /// A call has ended with this status.
    fn called(&mut self, token: u64, target: usize, status: u16) -> io::Result<()> {
        let is_it = |job: &Job| job.token == token && job.target == target;
        let Some(index) = self.jobs.iter().position(is_it) else { return Ok(()) };
        let job = &mut self.jobs[index];
        job.is_running = false;
        let is_done = (200..300).contains(&status);
        let is_refused = status == 400 || job.attempts >= self.setup.attempts_max;
        if !is_done && !is_refused {
            return Ok(());
        }
        let job = self.jobs.remove(index);
        if !is_done && self.flaw != "forget" {
            let letter = Letter { id: job.id.clone(), attempts: job.attempts.into() };
            let mut file = File::options().create(true).append(true).open("letters")?;
            writeln!(file, "{}", serde_json::to_string(&letter)?)?;
        }
        self.way.has(token, target, is_done.then_some(&*job.id))?;
        if self.way.is_had(token) {
            let token = if self.flaw == "merge" { self.latest[&job.id] } else { job.token };
            self.done.push(token);
        }
        Ok(())
    }

    async fn drain(&mut self) -> io::Result<()> {
        self.is_draining = true;
        let deadline = Instant::now() + Duration::from_millis(self.setup.drain_ms);
        while !self.jobs.is_empty() && Instant::now() < deadline {
            self.begin();
            tokio::select! {
                Some(Ok((token, target, status))) = self.calls.join_next() => {
                    self.called(token, target, status)?;
                }
                () = sleep(TICK) => drop(self.exchange().await),
            }
        }
        self.calls.shutdown().await;
        let left: Vec<_> = self.jobs.drain(..).map(|job| job.token).collect();
        if self.flaw == "swallow" {
            self.done.extend(&left);
        }
        self.exchange().await?;
        self.ask(&Ask::Release(left)).await.map(drop)
    }
}

/// Calls a target once: the status, or 0 without an answer. A failure is followed by a short rest.
async fn call(function: Producer, (token, target): (u64, usize), event: Carried) -> (u64, usize, u16) {
    let headers = event.headers.iter().filter_map(|(name, value)| {
        Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_bytes(value.as_bytes()).ok()?))
    });
    let answer = function.post(headers.collect::<HeaderMap>(), event.data).await;
    let status = answer.map_or(0, |answer| answer.status().as_u16());
    if status != 200 {
        sleep(Duration::from_millis(5)).await;
    }
    (token, target, status)
}

/// Answers every path with the count of events in hand.
async fn show(listener: TcpListener, held: Arc<AtomicUsize>) {
    while let Ok((stream, _)) = listener.accept().await {
        let held = Arc::clone(&held);
        let service = service_fn(move |_| {
            let body = Full::new(Bytes::from(held.load(Ordering::Relaxed).to_string()));
            std::future::ready(Ok::<_, std::convert::Infallible>(Response::new(body)))
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}
