//! The thread that brings spans and metrics to the collector. The path only fills its queue.

use crate::{
    Counts, NAME,
    config::Export,
    lock,
    metrics::Gather,
    otlp::Collector,
    queue::Queue,
    spans::{self, Anchor},
};
use opentelemetry::InstrumentationScope;
use outrigger_core::{Error, Kind, Result, Timeline};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant, SystemTime},
};
use tokio::{
    sync::{Notify, watch},
    time::{MissedTickBehavior, interval_at, timeout},
};

/// How often at most a collector that does not answer is told in the log.
const COMPLAIN_EVERY: Duration = Duration::from_mins(1);

pub(crate) struct Exporter {
    shared: Arc<Shared>,
    flush_timeout: Duration,
}

struct Shared {
    queue: Queue,
    /// Beyond the queue: what the collector has, what it did not take, and requests that failed.
    exported: AtomicU64,
    failed: AtomicU64,
    gather: Mutex<Option<Gather>>,
    stop: Notify,
    stopped: watch::Sender<bool>,
    complained: Mutex<Option<Instant>>,
}

impl Exporter {
    /// Starts the thread.
    pub(crate) fn start(export: Export) -> Result<Self> {
        let shared = Arc::new(Shared {
            queue: Queue::new(export.queue_events, export.batch_events),
            exported: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            gather: Mutex::default(),
            stop: Notify::new(),
            stopped: watch::Sender::new(false),
            complained: Mutex::default(),
        });
        let (flush_timeout, sharing) = (export.flush_timeout, shared.clone());
        let (made, ready) = mpsc::sync_channel(1);
        let thread =
            thread::Builder::new().name(NAME.to_owned()).spawn(move || run(&export, &sharing, &made));
        thread
            .map_err(|error| Error::new(Kind::Storage, format!("trace: there can be no thread: {error}")))?;
        ready.recv().unwrap_or_else(|_| Err(Error::new(Kind::Storage, "trace: its thread ended")))?;
        Ok(Self { shared, flush_timeout })
    }

    pub(crate) fn push(&self, timeline: Timeline) {
        self.shared.queue.push(timeline);
    }

    pub(crate) fn report(&self, gather: Gather) {
        *lock(&self.shared.gather) = Some(gather);
    }

    pub(crate) fn counts(&self) -> Counts {
        let Shared { queue, exported, failed, .. } = &*self.shared;
        Counts {
            exported: exported.load(Ordering::Relaxed),
            dropped: queue.dropped.load(Ordering::Relaxed),
            queued: queue.len() as u64,
            failed: failed.load(Ordering::Relaxed),
        }
    }

    /// Sends what waits, and waits for that as long as the configuration says. Cancel safe.
    pub(crate) async fn close(&self) {
        let mut stopped = self.shared.stopped.subscribe();
        self.shared.stop.notify_one();
        let ended = stopped.wait_for(|stopped| *stopped);
        if timeout(self.flush_timeout, ended).await.is_err() {
            let left = self.shared.queue.len();
            tracing::warn!(left, "the collector did not take the last spans in time");
        }
    }
}

impl Drop for Exporter {
    /// The thread ends by itself.
    fn drop(&mut self) {
        self.shared.stop.notify_one();
    }
}

/// The life of the thread: a runtime of its own, so that nothing of this holds up an event.
fn run(export: &Export, shared: &Shared, made: &mpsc::SyncSender<Result<()>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return drop(made.send(Err(Error::new(Kind::Storage, format!("trace: {error}"))))),
    };
    runtime.block_on(async {
        match Collector::new(export) {
            Ok(collector) => {
                let _ = made.send(Ok(()));
                shared.work(&collector, export).await;
            }
            Err(error) => drop(made.send(Err(error))),
        }
    });
    shared.stopped.send_replace(true);
}

impl Shared {
    async fn work(&self, collector: &Collector, export: &Export) {
        let scope =
            InstrumentationScope::builder("outrigger").with_version(env!("CARGO_PKG_VERSION")).build();
        let tick = |every| {
            let mut tick = interval_at(tokio::time::Instant::now() + every, every);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            tick
        };
        let (mut spans, mut metrics) = (tick(export.interval), tick(export.metrics_interval));
        loop {
            let is_last = tokio::select! {
                biased;
                () = self.stop.notified() => true,
                _ = metrics.tick() => {
                    self.send_metrics(collector).await;
                    false
                }
                () = self.queue.enough() => false,
                _ = spans.tick() => false,
            };
            self.send_spans(collector, &scope, is_last).await;
            if is_last {
                return self.send_metrics(collector).await;
            }
        }
    }

    /// Sends a batch; at the end all that wait.
    async fn send_spans(&self, collector: &Collector, scope: &InstrumentationScope, all: bool) {
        loop {
            let batch = self.queue.take();
            if batch.is_empty() {
                return;
            }
            let anchor = Anchor(Instant::now(), SystemTime::now());
            let mut made = Vec::with_capacity(batch.len() * 6);
            for timeline in &batch {
                spans::add(timeline, anchor, scope, &mut made);
            }
            let count = batch.len() as u64;
            drop(batch);
            match collector.spans(made).await {
                Ok(()) => {
                    self.exported.fetch_add(count, Ordering::Relaxed);
                }
                Err(why) => {
                    self.queue.dropped.fetch_add(count, Ordering::Relaxed);
                    self.complain("spans", &why);
                }
            }
            if !all {
                return;
            }
        }
    }

    async fn send_metrics(&self, collector: &Collector) {
        let Some(gather) = lock(&self.gather).clone() else { return };
        if let Err(why) = collector.metrics(gather()).await {
            self.complain("metrics", &why);
        }
    }

    fn complain(&self, what: &'static str, why: &str) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let mut complained = lock(&self.complained);
        if complained.is_none_or(|last| now.duration_since(last) >= COMPLAIN_EVERY) {
            *complained = Some(now);
            let dropped = self.queue.dropped.load(Ordering::Relaxed);
            tracing::warn!(what, why, dropped, "the collector takes nothing; events go on as before");
        }
    }
}
