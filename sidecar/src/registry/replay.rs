//! A range of a topic once more, through the path of this process.

use super::{Replays, kafka::start_at};
use crate::config::Start;
use outrigger_core::{DrainTrigger, Error, Intake, Kind, Result, drain};
use outrigger_kafka::{Config, Range, Replay};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Replays, one at a time.
pub(super) struct Replayer {
    config: Config,
    last: Mutex<Option<Last>>,
}

/// The one that runs, or ran last.
struct Last {
    replay: Arc<Replay>,
    failed: Arc<Mutex<Option<String>>>,
    stop: DrainTrigger,
}

impl Replayer {
    pub(super) fn new(config: Config) -> Self {
        Self { config, last: Mutex::default() }
    }
}

impl Replays for Replayer {
    fn start(
        &self,
        (topic, partition): (&str, Option<i32>),
        (from, to): (Start, Option<Start>),
        intake: Intake,
    ) -> Result<()> {
        let mut last = lock(&self.last);
        if last.as_ref().is_some_and(|last| !last.replay.progress().done) {
            return Err(Error::new(Kind::Overloaded, "another replay is running; wait for its end"));
        }
        let range = Range { topic: topic.to_owned(), partition, from: start_at(from), to: to.map(start_at) };
        let replay = Replay::new(self.config.clone(), range);
        let failed = Arc::<Mutex<Option<String>>>::default();
        let (stop, drain) = drain::channel();
        let (running, told) = (replay.clone().run(intake, drain), failed.clone());
        tokio::spawn(async move {
            if let Err(error) = running.await {
                tracing::warn!(%error, "a replay ended early");
                *lock(&told) = Some(error.to_string());
            }
        });
        *last = Some(Last { replay, failed, stop });
        Ok(())
    }

    fn progress(&self) -> serde_json::Value {
        match &*lock(&self.last) {
            None => serde_json::Value::Null,
            Some(last) => {
                let mut progress = serde_json::json!(last.replay.progress());
                progress["failed"] = serde_json::json!(*lock(&last.failed));
                progress
            }
        }
    }

    fn stop(&self) {
        if let Some(last) = &*lock(&self.last) {
            last.stop.start();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
