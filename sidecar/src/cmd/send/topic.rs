//! `outrigger send --kafka`: events into a topic, until its brokers have them.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use outrigger_core::{Event, Retry, Sink};
use tokio::time::{Instant, sleep};

use super::client::{Outcome, Sent};
use crate::{
    cli::SendMode,
    cmd::Failure,
    config::{self, Mode, Process, Purpose},
    registry,
};

/// How long a write waits that failed, before it is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// Writes events to one topic.
pub(crate) struct Topic {
    sink: Arc<dyn Sink>,
    /// Its name, for the report.
    pub name: String,
    retry_for: Duration,
}

impl Topic {
    /// The topic `name` of the cluster that the configuration names. Connects in the background.
    ///
    /// # Errors
    /// `Wrong` when the configuration or the mode is.
    pub(crate) fn open(
        name: &str,
        config: Option<&Path>,
        mode: SendMode,
        retry_for: Duration,
    ) -> Result<Self, Failure> {
        let mode = match mode {
            SendMode::Binary => Mode::Binary,
            SendMode::Structured => Mode::Structured,
            SendMode::Protobuf => Mode::Protobuf,
            SendMode::Batch => {
                return Err(Failure::Wrong(
                    "--mode: Kafka has no batch; take binary, structured or protobuf".to_owned(),
                ));
            }
        };
        let file = config::locate(&Process, config);
        let config = config::load(&Process, file.as_deref(), &[], Purpose::Look);
        let config = config.map_err(|problems| Failure::Wrong(problems.to_string()))?;
        let sink = registry::topic(&config, name, mode).map_err(|error| Failure::Wrong(error.to_string()))?;
        Ok(Self { sink, name: name.to_owned(), retry_for })
    }

    /// Writes the event, until the brokers have it, it can never be written, or the time for retries is over.
    pub(crate) async fn send(&self, events: &[Event]) -> Sent {
        let give_up_at = Instant::now() + self.retry_for;
        let mut retries = 0;
        for event in events {
            loop {
                let started = Instant::now();
                let Err(error) = self.sink.send(event).await else { break };
                if error.retry() == Retry::Permanent || Instant::now() + AGAIN >= give_up_at {
                    let outcome = Outcome::Failed(error.to_string());
                    return Sent {
                        events: events.len() as u64,
                        outcome,
                        latency: started.elapsed(),
                        retries,
                    };
                }
                sleep(AGAIN).await;
                retries += 1;
            }
        }
        let latency = (give_up_at - self.retry_for).elapsed();
        Sent { events: events.len() as u64, outcome: Outcome::Accepted(Bytes::new()), latency, retries }
    }
}
