//! Health, metrics, and the owner's socket.
//!
//! Reading is for the network: `/livez`, `/readyz`, `/metrics`. What changes state or shows events is served on
//! the owner-only Unix socket alone, which also serves the former.

use crate::{
    audit::{self, Auditor},
    cache_api,
    control::Control,
    dead_api,
    dispatch::{OnPoison, Spill, Status, Target},
    events_api, feed_api,
    registry::{Brokers, Feed, Home, Keeper, Kept, Replays, Storage, Traces},
    reload::Standing,
    settle::unix_ms,
    telemetry::{Metrics, Totals},
    tls::{self, Watched},
};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::body::Incoming;
use outrigger_core::{Intake, Source as _, decide::breaker};
use serde_json::json;
use std::{
    fmt::Write as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

mod targets;
pub mod traces;

type Answer = Response<Full<Bytes>>;

/// What `outrigger status` shows: one JSON object of `GET /status`.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Snapshot {
    /// The counters.
    #[serde(flatten)]
    pub totals: Totals,
    /// Accepted events in the journal that are not settled, those in lanes among them.
    pub pending: u64,
    /// Events in lanes that do not run.
    pub waiting: u64,
    /// Calls of the function at this moment.
    pub running: u64,
    /// Keys that are held by a poisoned event.
    pub parked: u64,
    /// Whether the function is taken for down.
    pub breaker_open: bool,
    /// Whether the function takes calls.
    pub ready: bool,
    /// What somebody should know of the configuration's file: refused, gone, or waiting for a restart.
    pub configuration: Option<String>,
}

/// Everything that admin shows and does.
pub struct Admin {
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The function.
    pub target: Arc<Target>,
    /// The other targets.
    pub others: Vec<Arc<Target>>,
    /// What takes what finds no room in the lanes of some of them.
    pub spills: Vec<Arc<Spill>>,
    /// What is inside.
    pub intake: Intake,
    /// The journal's health, where there is one.
    pub journal: Option<Arc<dyn Keeper>>,
    /// The dead letters, where there is a journal.
    pub dead: Option<Arc<dyn dead_api::Dead>>,
    /// The events, waiting and kept, where there is a journal.
    pub events: Option<Arc<dyn events_api::Events>>,
    /// Who writes down what the owner does, where there is a journal.
    pub auditor: Option<Arc<dyn Auditor>>,
    /// The sources of brokers.
    pub feeds: Vec<Arc<dyn Feed>>,
    /// The topics that are written.
    pub homes: Vec<Arc<dyn Home>>,
    /// The timelines of events, where they are kept.
    pub traces: Option<Arc<dyn Traces>>,
    /// Who replays ranges of topics.
    pub replays: Option<Arc<dyn Replays>>,
    /// What is kept of what was done, where anything is.
    pub kept: Option<Arc<dyn Kept>>,
    /// Who may control it by events.
    pub control: Option<Arc<Control>>,
    /// The addresses that are listened on.
    pub listeners: Vec<Watched>,
    standing: Mutex<Standing>,
    /// Whether the process is stopping.
    pub draining: AtomicBool,
    /// Whether the ingress listens, if there is one.
    pub listening: AtomicBool,
}

impl Admin {
    /// What is shown of these parts; of the targets, the first is the function.
    #[must_use]
    pub fn new(
        metrics: &Arc<Metrics>,
        (targets, spills): (Vec<Arc<Target>>, Vec<Arc<Spill>>),
        intake: &Intake,
        storage: Option<&Storage>,
        brokers: &Brokers,
        listeners: Vec<Watched>,
    ) -> Self {
        let mut others = targets;
        let target = others.remove(0);
        Self {
            metrics: metrics.clone(),
            target,
            others,
            spills,
            intake: intake.clone(),
            journal: storage.map(|storage| storage.keeper.clone()),
            dead: storage.map(|storage| storage.letters.clone()),
            events: storage.map(|storage| storage.events.clone()),
            auditor: storage.map(|storage| storage.auditor.clone()),
            feeds: brokers.feeds.clone(),
            homes: brokers.homes.clone(),
            traces: None,
            replays: brokers.replays.clone(),
            kept: None,
            control: None,
            listeners,
            standing: Mutex::new(Standing::new(unix_ms() / 1_000)),
            draining: AtomicBool::new(false),
            listening: AtomicBool::new(false),
        }
    }

    /// How the configuration's file stands to what holds.
    pub fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a request from the network.
    pub fn public(&self, request: &Request<Incoming>) -> Answer {
        self.read(request.method(), request.uri().path())
    }

    /// Answers a request of the owner, or of root: of the user `uid`.
    pub async fn owner(self: Arc<Self>, request: Request<Incoming>, uid: Option<u32>) -> Answer {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        let by = if parts.method == Method::GET { String::new() } else { audit::peer(uid) };
        let trail = (self.auditor.as_deref(), by.as_str());
        match (&parts.method, path) {
            (&Method::GET, "/status") => json_answer(StatusCode::OK, &json!(self.snapshot())),
            (&Method::GET, "/parked") => self.parked(),
            (&Method::POST, "/parked/retry" | "/parked/skip") => {
                self.unpark(parts.uri.query(), path, trail).await
            }
            (_, path) if path == "/cache" || path.starts_with("/cache/") => {
                cache_api::answer(self.kept.as_ref(), &parts, trail).await
            }
            (_, "/kafka/replay") => {
                feed_api::replay(self.replays.as_ref(), &parts, &self.intake, trail).await
            }
            (_, path) if path == "/kafka" || path.starts_with("/kafka/") => {
                feed_api::answer(self.kafka(), &parts, trail).await
            }
            (&Method::GET, "/trace") => self.trace(parts.uri.query()).await,
            (_, path) if path == "/dead" || path.starts_with("/dead/") => match &self.dead {
                Some(dead) => dead_api::answer(&**dead, &parts, body, &by).await,
                None => line(StatusCode::NOT_FOUND, "there is no journal, so there are no dead letters here"),
            },
            (_, path) if path == "/events" || path.starts_with("/events/") => match &self.events {
                Some(events) => {
                    let targets: Vec<_> = self.targets().map(|target| target.id().to_string()).collect();
                    events_api::answer(&**events, &parts, body, (&by, &targets)).await
                }
                None => line(StatusCode::NOT_FOUND, "there is no journal, so no events are kept here"),
            },
            (method, path) => self.read(method, path),
        }
    }

    fn snapshot(&self) -> Snapshot {
        let status = self.target.status();
        Snapshot {
            totals: self.metrics.totals(),
            pending: self.journal.as_ref().map_or(0, |journal| journal.pending()),
            waiting: self.sum(|status| status.queued),
            running: self.sum(|status| status.running),
            parked: self.sum(|status| status.parked),
            breaker_open: status.breaker != breaker::State::Closed,
            ready: status.ready,
            configuration: self.standing().told(),
        }
    }

    fn read(&self, method: &Method, path: &str) -> Answer {
        if method != Method::GET && method != Method::HEAD {
            return line(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here");
        }
        match path {
            "/livez" => line(StatusCode::OK, "ok"),
            "/readyz" => self.readiness(),
            "/metrics" => self.exposition(),
            _ => line(StatusCode::NOT_FOUND, "there are /livez, /readyz and /metrics"),
        }
    }

    /// Each component by name; 200 when nothing is in the way of an event.
    fn readiness(&self) -> Answer {
        let told = |ok: bool, trouble: &str| if ok { Ok("ok".to_owned()) } else { Err(trouble.to_owned()) };
        let status = self.target.status();
        let function = match (status.ready, status.breaker) {
            (false, _) => Err("not ready yet".to_owned()),
            (true, breaker::State::Closed) => Ok("ok".to_owned()),
            (true, _) => Err("down; the breaker is open".to_owned()),
        };
        let drain = told(!self.draining.load(Ordering::Relaxed), "draining");
        let ingress = told(self.listening.load(Ordering::Relaxed), "not listening");
        let journal = self.journal.as_ref().map(|journal| journal.trouble().map_or(Ok("ok".to_owned()), Err));
        let (full, parked) = (!self.intake.has_room(1), self.sum(|status| status.parked));
        let lanes = match (parked, full) {
            (0, false) => "ok".to_owned(),
            (0, true) => "ok; the window is full, so sources are paused".to_owned(),
            (_, false) => format!("ok; {parked} keys are parked"),
            (_, true) => {
                format!("ok; {parked} keys are parked and the window is full, so sources are paused")
            }
        };
        let feeds = self.feeds.iter().map(|feed| {
            (
                feed.source().name().to_owned(),
                feed.trouble().map_or_else(|| Ok(format!("ok; {}", feed.note())), Err),
            )
        });
        let parts = [
            ("process", Some(drain)),
            ("configuration", Some(Ok(self.configuration()))),
            ("ingress", Some(ingress)),
            ("journal", journal),
            ("function", Some(function)),
            ("lanes", Some(Ok(lanes))),
        ];
        let (mut text, mut ready) = (String::new(), true);
        let parts = parts.into_iter().filter_map(|(name, state)| state.map(|state| (name.to_owned(), state)));
        let homes = self
            .homes
            .iter()
            .map(|home| (home.name().to_owned(), home.trouble().map_or_else(|| Ok("ok".to_owned()), Err)));
        let others =
            self.others.iter().map(|target| (format!("target {}", target.id()), self.held_up(target)));
        for (name, state) in parts.chain(others).chain(feeds).chain(homes) {
            ready &= state.is_ok();
            let word = if state.is_ok() { "+" } else { "-" };
            let (Ok(detail) | Err(detail)) = state;
            let _ = writeln!(text, "[{word}] {name}: {detail}"); // writing to a string cannot fail
        }
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        line(status, text.trim_end())
    }

    /// How a target beside the function is. One whose copies wait in the journal is in nobody's way.
    fn held_up(&self, target: &Target) -> Result<String, String> {
        let Status { breaker, queued, .. } = target.status();
        let spill = self.spills.iter().find(|spill| spill.name() == &*target.id().0);
        let kept = spill.map_or(0, |spill| spill.waiting());
        let mut kept_too =
            if kept > 0 { format!("; {kept} events wait in the journal") } else { String::new() };
        if let Some(why) = spill.and_then(|spill| spill.trouble()) {
            kept_too = format!("{kept_too}, which takes no more now: {why}");
        }
        match (breaker, spill) {
            (breaker::State::Closed, _) => Ok(format!("ok{kept_too}")),
            (_, Some(_)) => Ok(format!("ok; down, the breaker is open, and {queued} events wait{kept_too}")),
            (_, None) => Err(format!("down; the breaker is open, and {queued} events wait")),
        }
    }

    fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        std::iter::once(&self.target).chain(&self.others)
    }

    /// A number over all targets.
    fn sum(&self, of: impl Fn(&Status) -> usize) -> u64 {
        self.targets().map(|target| of(&target.status()) as u64).sum()
    }

    fn kafka(&self) -> Option<&Arc<dyn Feed>> {
        self.feeds.iter().find(|feed| feed.source().name() == "kafka")
    }

    /// A file that is refused or gone is in nobody's way: it is told elsewhere.
    fn configuration(&self) -> String {
        self.standing().restart().map_or_else(|| "ok".to_owned(), |restart| format!("ok; {restart}"))
    }

    fn exposition(&self) -> Answer {
        self.refresh();
        let mut answer = line(StatusCode::OK, self.metrics.render().trim_end());
        let text = http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        answer.headers_mut().insert(CONTENT_TYPE, text);
        answer
    }

    /// Reads what is not counted as it happens.
    fn refresh(&self) {
        let (status, (events, bytes)) = (self.target.status(), self.intake.held());
        let set = |name, help, value| self.metrics.set(name, help, value);
        set(
            "outrigger_lane_queued_events",
            "Events in lanes that do not run",
            self.sum(|status| status.queued),
        );
        set(
            "outrigger_lane_parked_keys",
            "Keys that are held by a poisoned event",
            self.sum(|status| status.parked),
        );
        set("outrigger_calls_in_flight", "Calls of the function at this moment", status.running as u64);
        set("outrigger_window_events", "Admitted events that are not settled", events as u64);
        set("outrigger_window_bytes", "Their bytes", bytes as u64);
        let full = u64::from(!self.intake.has_room(1));
        set("outrigger_window_full", "1 while sources are paused because the window has no room", full);
        set(
            "outrigger_breaker_open",
            "1 while the function is taken for down",
            u64::from(status.breaker != breaker::State::Closed),
        );
        let (current, read_s) = {
            let standing = self.standing();
            (standing.is_current(), standing.read_s)
        };
        set(
            "outrigger_config_last_reload_successful",
            "1 unless the configuration's file is gone, or was refused when it was read last",
            u64::from(current),
        );
        set(
            "outrigger_config_last_reload_success_timestamp_seconds",
            "When the configuration that holds was read, in Unix seconds",
            read_s,
        );
        set("outrigger_function_ready", "1 once the function takes calls", u64::from(status.ready));
        let of_feeds = self.feeds.iter().flat_map(|feed| feed.series());
        let of_homes = self.homes.iter().flat_map(|home| home.series());
        let of_targets = (!self.others.is_empty()).then(|| targets::series(self.targets(), &self.spills));
        for series in of_feeds
            .chain(of_homes)
            .chain(self.traces.iter().flat_map(|traces| traces.series()))
            .chain(of_targets.into_iter().flatten())
            .chain(tls::series(&self.listeners))
            .chain(self.kept.iter().flat_map(|kept| kept.series()))
            .chain(self.control.iter().map(|control| control.series()))
        {
            self.metrics.show(&series);
        }
        for (name, help, value) in self.journal.iter().flat_map(|journal| journal.gauges()) {
            set(name, help, value);
        }
    }

    fn parked(&self) -> Answer {
        let of = |target: &Arc<Target>| {
            let name = (!self.others.is_empty()).then(|| target.id().to_string());
            let line = move |(id, key, attempts, behind)| {
                let mut line = json!({"id": id, "key": key, "attempts": attempts, "behind": behind});
                if let Some(name) = &name {
                    line["target"] = json!(name);
                }
                line
            };
            target.parked().into_iter().map(line)
        };
        json_answer(StatusCode::OK, &json!(self.targets().flat_map(of).collect::<Vec<_>>()))
    }

    async fn unpark(&self, query: Option<&str>, path: &str, (auditor, by): feed_api::Trail<'_>) -> Answer {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let id = pairs.into_iter().find_map(|(name, value)| (name == "id").then_some(value));
        let id = id.as_deref();
        let then = if path.ends_with("skip") { OnPoison::Skip } else { OnPoison::Park };
        let verb = if then == OnPoison::Skip { "parked skip" } else { "parked retry" };
        if let Err(error) = audit::note(auditor, by, verb, id.unwrap_or("all")).await {
            return dead_api::failed(&error);
        }
        let count: usize = self.targets().map(|target| target.unpark(id, then)).sum();
        tracing::info!(count, id, verb, "parked events were released by the owner");
        json_answer(StatusCode::OK, &json!({"released": count}))
    }
}

/// An answer of lines of text.
pub(crate) fn line(status: StatusCode, text: &str) -> Answer {
    let mut answer = Response::new(Full::from(format!("{text}\n")));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

/// An answer in JSON.
pub(crate) fn json_answer(status: StatusCode, value: &serde_json::Value) -> Answer {
    let mut answer = Response::new(Full::from(value.to_string()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    answer
}
