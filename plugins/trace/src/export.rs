//! The thread that brings spans and metrics to the collector. The path only fills its queue.

mod spans;

use crate::{
    Counts, NAME,
    config::Export,
    lock,
    metrics::{self, Gather},
    otlp::Line,
    queue::{Bounds, Queue},
};
use outrigger_core::{Error, Kind, Result, Timeline};
use spans::Spans;
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
    sync::watch,
    time::{Interval, MissedTickBehavior, interval_at, timeout},
};

/// What the log says where a collector took only a part.
const REFUSED: &str = "the collector took a part of them";
/// How often at most the log says the same of a collector.
const COMPLAIN_EVERY: Duration = Duration::from_mins(1);

pub(crate) struct Exporter {
    shared: Arc<Shared>,
    flush_timeout: Duration,
}

struct Shared {
    queue: Queue,
    /// Beyond the queue: what the collector has, and requests that failed.
    exported: AtomicU64,
    failed: AtomicU64,
    /// Those that are on their way.
    sending: AtomicU64,
    gather: Mutex<Option<Gather>>,
    stop: watch::Sender<bool>,
    stopped: watch::Sender<bool>,
    /// What was said, and when.
    complained: Mutex<Vec<(&'static str, &'static str, Instant)>>,
}

impl Exporter {
    /// Starts the thread.
    pub(crate) fn start(export: Export) -> Result<Self> {
        let shared = Arc::new(Shared {
            queue: Queue::new(
                Bounds { events: export.queue_events, bytes: export.queue_bytes },
                Bounds { events: export.batch_events, bytes: export.batch_bytes },
            ),
            exported: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            sending: AtomicU64::new(0),
            gather: Mutex::default(),
            stop: watch::Sender::new(false),
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
        self.shared.stop.send_replace(true);
        let ended = stopped.wait_for(|stopped| *stopped);
        if timeout(self.flush_timeout, ended).await.is_err() {
            let left = self.shared.queue.len() as u64 + self.shared.sending.load(Ordering::Relaxed);
            tracing::warn!(left, "the collector did not take the last spans and metrics in time");
        }
    }
}

impl Drop for Exporter {
    /// The thread ends by itself.
    fn drop(&mut self) {
        self.shared.stop.send_replace(true);
    }
}

/// Says that the thread has ended, also where it panicked: then nobody waits for it.
struct Ends<'s>(&'s Shared);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.stopped.send_replace(true);
        if thread::panicking() {
            tracing::error!(
                "spans and metrics are not sent any more: their thread has panicked, a defect of Outrigger"
            );
        }
    }
}

/// The life of the thread: a runtime of its own, so that nothing of this holds up an event.
fn run(export: &Export, shared: &Shared, made: &mpsc::SyncSender<Result<()>>) {
    let _ends = Ends(shared);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return drop(made.send(Err(Error::new(Kind::Storage, format!("trace: {error}"))))),
    };
    runtime.block_on(async {
        let lines = Spans::new(export).and_then(|spans| {
            let metrics = export.metrics.as_ref().map(Line::new).transpose()?;
            Ok((spans, metrics))
        });
        match lines {
            Ok((spans, metrics)) => {
                let _ = made.send(Ok(()));
                // Neither waits for the other: each may have a collector of its own.
                tokio::join!(shared.spans(&spans, export), shared.metrics(metrics.as_ref(), export));
            }
            Err(error) => drop(made.send(Err(error))),
        }
    });
}

fn tick(every: Duration) -> Interval {
    let mut tick = interval_at(tokio::time::Instant::now() + every, every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}

impl Shared {
    /// Ends with the process. Cancel safe.
    async fn ending(&self) {
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    async fn metrics(&self, line: Option<&Line>, export: &Export) {
        let Some(line) = line else { return };
        let (started, mut tick) = (SystemTime::now(), tick(export.metrics_interval));
        let mut is_last = false;
        while !is_last {
            is_last = tokio::select! {
                () = self.ending() => true,
                _ = tick.tick() => false,
            };
            let Some(gather) = lock(&self.gather).clone() else { continue };
            let request = metrics::request(gather(), &export.resource, (started, SystemTime::now()));
            match line.tell(&request).await {
                Ok(None) => {}
                Ok(Some(refused)) => self.complain("metrics", &refused.why, REFUSED),
                Err(failure) => self.failed("metrics", failure.why()),
            }
        }
    }

    fn failed(&self, what: &'static str, why: &str) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.complain(what, why, "the collector takes nothing; events go on as before");
    }

    /// Says it in the log, unless it was said within the last minute.
    fn complain(&self, what: &'static str, why: &str, told: &'static str) {
        let now = Instant::now();
        let mut complained = lock(&self.complained);
        complained.retain(|(.., last)| now.duration_since(*last) < COMPLAIN_EVERY);
        if complained.iter().any(|(other, said, _)| (*other, *said) == (what, told)) {
            return;
        }
        complained.push((what, told, now));
        let dropped = self.queue.dropped.load(Ordering::Relaxed);
        tracing::warn!(what, why, dropped, "{told}");
    }
}

#[cfg(test)]
mod tests;
