//! The synchronous way: a sender waits for the outcome of the function's one attempt.

use super::Ingress;
use crate::{dispatch::now, settle::unix_ms};
use outrigger_core::{
    Code, DeadLetter, DeadLetters, Delivery, Error, Event, Intake, Kind, Malformed, Origin, Outcome, Receipt,
    Refused, Result, Settlement, Timeline,
};
use std::time::{Duration, Instant};

impl Ingress {
    /// Takes the items through the function's one attempt.
    pub(super) async fn wait(
        &self,
        intake: &Intake,
        timeout: Duration,
        home: Option<&dyn DeadLetters>,
        items: Vec<Result<Event, Malformed>>,
        hop: &[(String, String)],
        batch: bool,
    ) -> Result<Outcome> {
        let mut dead = self.bury(home, &items).await?;
        // What the function refuses for good is kept where its sender would drop it, or send it again for ever.
        let keeps = home.filter(|_| self.inbound.refused() != Refused::Told);
        let copies: Vec<_> = match keeps {
            Some(_) => items.iter().map(|item| item.as_ref().ok().cloned()).collect(),
            None => Vec::new(),
        };
        let (receipts, outcome) = Receipt::batch(items.len());
        let deadline = now() + timeout;
        let mut pushed = 0;
        for (item, receipt) in items.into_iter().zip(receipts) {
            match item {
                // What finds no room is released, and its sender reads so.
                Ok(event) => {
                    let delivery = self.delivery(event, hop.to_vec(), receipt, deadline);
                    pushed += usize::from(self.push(intake, delivery, batch.then_some(deadline)).await);
                }
                Err(_) => receipt.settle(Settlement::Ack(None)), // it is a dead letter by now
            }
        }
        self.metrics.accepted(pushed);
        if pushed == 0 && !batch {
            return Err(Error::new(
                Kind::Overloaded,
                "as many events as allowed are being worked on; try again",
            ));
        }
        match tokio::time::timeout_at(deadline.into(), outcome).await {
            Ok(mut settlements) => {
                if let Some(home) = keeps {
                    dead += self.keep_refused(home, copies, &mut settlements).await?;
                }
                Ok(Outcome::Settled { settlements, dead })
            }
            Err(_) => {
                Err(Error::status(504, None, format!("the function did not answer within {timeout:?}")))
            }
        }
    }

    /// Whether it found room. The members of a batch that comes again only as a whole wait for theirs until `patience`:
    /// it may have more than there will ever be room for at once.
    async fn push(&self, intake: &Intake, delivery: Delivery, patience: Option<Instant>) -> bool {
        let patience = patience.filter(|_| self.inbound.refused() != Refused::Told);
        let mut next = delivery;
        loop {
            let Err(delivery) = intake.try_push(next) else { return true };
            let Some(patience) = patience else { return false };
            let room = intake.room(delivery.size());
            if tokio::time::timeout_at(patience.into(), room).await.is_err() {
                return false;
            }
            next = delivery;
        }
    }

    /// Keeps what the function will never take, and what a rule fails on, as dead letters, which settles it.
    async fn keep_refused(
        &self,
        home: &dyn DeadLetters,
        copies: Vec<Option<Event>>,
        settlements: &mut [Settlement],
    ) -> Result<usize> {
        let mut kept = 0;
        for (settlement, copy) in settlements.iter_mut().zip(copies) {
            let (Settlement::Reject(reason), Some(event)) = (&*settlement, copy) else { continue };
            let code = reason.code;
            if !matches!(code, Code::Refused | Code::Rule) {
                continue; // it may pass, and its sender sends it again
            }
            let now = unix_ms();
            let letter = DeadLetter {
                target: None,
                reason: reason.clone(),
                key: self.keys.of(&self.name, &event),
                item: Ok(event),
                origin: self.origin(),
                attempts: u32::from(code == Code::Refused),
                first_ms: now,
                last_ms: now,
            };
            home.put(&letter).await?;
            self.metrics.dead(code);
            *settlement = Settlement::Ack(None);
            kept += 1;
        }
        Ok(kept)
    }

    fn delivery(
        &self,
        event: Event,
        headers: Vec<(String, String)>,
        receipt: Receipt,
        deadline: Instant,
    ) -> Delivery {
        Delivery {
            key: self.keys.of(&self.name, &event),
            item: Ok(event),
            origin: Origin { headers, ..self.origin() },
            received_ms: unix_ms(),
            attempts: 0,
            once: Some(deadline),
            timeline: Timeline::off(),
            receipt,
        }
    }
}
