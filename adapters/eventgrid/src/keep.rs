//! The half of the source that goes on until its close: locks are renewed, outcomes told.

use crate::{
    board::Errand,
    desk::now,
    locks::{Batch, Verb},
    source::{EventGrid, Stage},
};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use outrigger_core::{Error, Intake, Kind, Result};
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until, timeout};

/// Locks are looked at so often within the time of one: a renewal that fails has several more tries.
const LOOKS_PER_LOCK: u32 = 10;
/// The shortest time between two looks.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(20);

/// See the module.
pub(crate) struct Keeper<'a> {
    pub(crate) source: &'a EventGrid,
    pub(crate) intake: Intake,
}

impl Keeper<'_> {
    /// Ends when everything is told after the close, or the time for that is over.
    pub(crate) async fn keep(&self) {
        tokio::select! {
            biased; // no dice that nobody handed in
            () = self.tell() => {}
            () = self.renew() => {}
            () = self.patience() => {}
        }
    }

    /// Tells outcomes in batches, a few requests at a time. Ends when nothing is left after the close.
    async fn tell(&self) {
        let (desk, tells) = (&self.source.desk, self.source.config.tells);
        let mut flying = FuturesUnordered::new();
        let mut failures = 0;
        loop {
            let closing = self.is_closing();
            let mut due = None;
            while flying.len() < tells {
                match desk.batch(closing) {
                    Ok((verb, batch)) => flying.push(self.tell_one(verb, batch, failures)),
                    Err(next) => {
                        due = next;
                        break;
                    }
                }
            }
            if closing && flying.is_empty() && due.is_none() {
                return;
            }
            tokio::select! {
                biased;
                Some(taken) = flying.next(), if !flying.is_empty() => {
                    failures = if taken { 0 } else { failures + 1 };
                }
                () = desk.bell.notified() => {}
                () = at(due) => {}
            }
        }
    }

    /// Gives back whether the service took the request, whatever it says of each token.
    async fn tell_one(&self, verb: Verb, batch: Batch, failures: u32) -> bool {
        let EventGrid { namespace, desk, board, config, .. } = self.source;
        match namespace.tell(verb, &batch).await {
            Ok(fates) => {
                board.succeeded(Errand::Tell, &config.name);
                let again_at = now() + self.source.wait_after(1, &not_taken());
                desk.told(verb, batch, fates, again_at);
                true
            }
            Err(error) => {
                board.failed(Errand::Tell, &config.name, &error);
                desk.put_back(verb, batch, now() + self.source.wait_after(failures + 1, &error));
                false
            }
        }
    }

    /// Renews locks in time, and has the lanes let go of what is not ours any more. Does not end.
    async fn renew(&self) {
        let EventGrid { desk, config, .. } = self.source;
        let mut looks = interval((config.lock / LOOKS_PER_LOCK).max(LOOK_EVERY_MIN));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let lost = desk.counts().lost;
            let gone = desk.look();
            for batch in desk.renewals().chunks(config.tell_events_max) {
                if self.renew_some(batch.to_vec()).await.is_err() {
                    break; // the others at the next look
                }
            }
            if gone || desk.counts().lost != lost {
                self.intake.sweep();
            }
        }
    }

    async fn renew_some(&self, batch: Batch) -> Result<()> {
        let EventGrid { namespace, desk, board, config, .. } = self.source;
        let asked = now();
        // Later it would come too late, and keep the next try waiting.
        let late = config.lock / 4;
        let renewed = timeout(late, namespace.renew(&batch)).await;
        let renewed = renewed.unwrap_or_else(|_| {
            Err(Error::new(Kind::TimedOut, format!("eventgrid: locks were not renewed within {late:?}")))
        });
        match renewed {
            Ok(fates) => {
                board.succeeded(Errand::Renew, &config.name);
                desk.renewed(batch, fates, asked);
                Ok(())
            }
            Err(error) => {
                board.failed(Errand::Renew, &config.name, &error);
                Err(error)
            }
        }
    }

    /// Ends some time after the close.
    async fn patience(&self) {
        let mut stage = self.source.stage.subscribe();
        // The sender is the source's own, so it cannot be gone.
        let _ = stage.wait_for(|stage| *stage == Stage::Closing).await;
        self.source.desk.bell.notify_one();
        sleep(self.source.config.leave_timeout).await;
    }

    fn is_closing(&self) -> bool {
        *self.source.stage.borrow() == Stage::Closing
    }
}

/// What the service did not name among the tokens that it took or lost.
fn not_taken() -> Error {
    Error::new(Kind::BadAnswer, "eventgrid: an outcome was not taken")
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
