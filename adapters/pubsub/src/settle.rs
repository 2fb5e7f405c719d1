//! Pub/Sub is told what became of its messages.

use crate::{
    desk::{Desk, Entry},
    status::Counts,
};
use google_cloud_pubsub::subscriber::handler::Handler;
use outrigger_core::{BoxFuture, Settlement, Settler};
use std::time::Duration;

/// The right to say what became of a message, and the lease of it meanwhile. Dropping it gives the message back.
pub(crate) trait Lease: Send + 'static {
    /// Acknowledges. `Some`: delivery is exactly once, and this waits for the confirmation.
    fn ack(self) -> Option<BoxFuture<'static, Result<(), String>>>;

    /// Gives the message back, to be delivered again at once.
    fn nack(self);
}

impl Lease for Handler {
    fn ack(self) -> Option<BoxFuture<'static, Result<(), String>>> {
        match self {
            Self::ExactlyOnce(handler) => Some(Box::pin(async move {
                handler.confirmed_ack().await.map_err(|error| crate::trouble::chain(&error))
            })),
            other => {
                other.ack();
                None
            }
        }
    }

    fn nack(self) {
        Handler::nack(self);
    }
}

impl<L: Lease> Settler for Desk<L> {
    /// `Ack` is sent with others within 100 ms; where delivery is exactly once, the message's place is taken until it
    /// is confirmed. `Release` gives the message back, after the wait, and with it those behind it of its ordering key.
    /// `Reject` is a mistake of the caller, who is to keep a dead letter and ack.
    fn settle(&self, token: u64, settlement: Settlement) {
        match settlement {
            Settlement::Ack(_) => {
                if let Some(entry) = self.close(token, None) {
                    self.done(entry);
                }
            }
            Settlement::Release { after } => self.back(token, after.unwrap_or_default()),
            Settlement::Reject(reason) => {
                tracing::error!(token, %reason, "a message was rejected; it will come again");
                self.back(token, Duration::ZERO);
            }
        }
    }

    fn wanted(&self, token: u64) -> bool {
        self.is_wanted(token)
    }

    fn counts_deliveries(&self) -> bool {
        true
    }
}

impl<L: Lease> Desk<L> {
    fn done(&self, Entry { lease, id, bytes, .. }: Entry<L>) {
        let Some(confirmed) = lease.ack() else {
            Counts::one(&self.counts.acks);
            return self.free(bytes);
        };
        let desk = self.shared();
        self.runtime.spawn(async move {
            match confirmed.await {
                Ok(()) => Counts::one(&desk.counts.acks),
                Err(why) => {
                    Counts::one(&desk.counts.ack_failures);
                    tracing::warn!(%id, why, "an acknowledgement failed: the message will come again");
                }
            }
            desk.free(bytes);
        });
    }

    fn back(&self, token: u64, after: Duration) {
        let Some(entry) = self.close(token, Some(after)) else { return };
        Counts::one(&self.counts.nacks);
        if self.is_expired(&entry) {
            Counts::one(&self.counts.expired);
        }
        let Entry { lease, bytes, .. } = entry;
        if after.is_zero() {
            lease.nack();
            return self.free(bytes);
        }
        let desk = self.shared();
        // Pub/Sub has no nack with a wait, so the lease is kept for that long.
        self.runtime.spawn(async move {
            tokio::time::sleep(after).await;
            lease.nack();
            desk.free(bytes);
        });
    }
}
