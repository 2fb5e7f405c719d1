//! Where deliveries come from, and the bounded way in.

use crate::{BoxFuture, Delivery, Drain, Result, decide::window::Window};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// A source that is pulled: a broker's consumer, the journal.
pub trait Source: Send + Sync + 'static {
    /// Its configured name, as metrics and dead letters show it.
    fn name(&self) -> &str;

    /// Fetches and pushes until `drain` starts, then returns. What it pushed is settled through receipts.
    ///
    /// # Errors
    /// When it cannot go on without a person; everything that may pass is retried inside.
    fn run(self: Arc<Self>, intake: Intake, drain: Drain) -> BoxFuture<'static, Result<()>>;

    /// Tells the broker what was settled, and leaves it: the last thing of a drain, after the lanes are at rest.
    /// Cancel safe; what was not told is delivered again.
    ///
    /// # Errors
    /// When the broker could not be told.
    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// The first step after the way in. It takes what it is given: the bound is the [`Intake`]'s.
pub trait Admit: Send + Sync + 'static {
    /// Takes the delivery on.
    fn admit(&self, delivery: Delivery);

    /// Whether more is ready to run than can run soon. What is brought in early waits, and by the time it runs it has
    /// left the processor's caches: measured with Kafka, a full window of waiting events cost a sixth of the CPU of an event.
    fn is_sated(&self) -> bool {
        false
    }

    /// Waits until that is over, where [`Admit::is_sated`] said so last. Cancel safe.
    fn hungry(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Lets go of what nobody [wants](crate::Receipt::wanted) any more and does not run.
    fn sweep(&self) {}
}

/// The way into the path, bounded in events and bytes. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    gate: Arc<Gate>,
    admit: Arc<dyn Admit>,
}

impl Intake {
    /// A way in that holds at most what `window` says.
    #[must_use]
    pub fn new(window: Window, admit: Arc<dyn Admit>) -> Self {
        let inside = Mutex::new(Inside { window, waiting: [0; 2] });
        let gate = Gate { inside, freed: [Notify::new(), Notify::new()] };
        Self { gate: Arc::new(gate), admit }
    }

    /// Takes the delivery, or gives it back unsettled when the window is full.
    ///
    /// # Errors
    /// The delivery itself: wait for [`Intake::room`], or leave it with its broker.
    #[expect(clippy::result_large_err, reason = "the delivery itself is what is given back")]
    pub fn try_push(&self, mut delivery: Delivery) -> Result<(), Delivery> {
        let bytes = delivery.size();
        if !self.gate.inside().window.take(bytes) {
            return Err(delivery);
        }
        delivery.receipt.hold(Permit { gate: self.gate.clone(), bytes });
        self.admit.admit(delivery);
        Ok(())
    }

    /// Holds at most so much from here on; what is inside stays.
    pub fn resize(&self, events_max: usize, bytes_max: usize) {
        self.gate.inside().window.resize(events_max, bytes_max);
        for freed in &self.gate.freed {
            freed.notify_waiters(); // there may be room now
        }
    }

    /// Waits until the window has room for an event of `bytes` (see [`Delivery::size`]). Cancel safe.
    ///
    /// It promises nothing: somebody else may be faster, and then [`Intake::try_push`] says so.
    pub async fn room(&self, bytes: usize) {
        self.gate.wait(For::Room, |window| window.has_room(bytes)).await;
    }

    /// Waits until the window is down to seven eighths and has room for an event of `bytes`: a source that can
    /// fetch many at once is then woken once for many, not for each. Cancel safe; it promises nothing, as
    /// [`Intake::room`] does not.
    pub async fn ebb(&self, bytes: usize) {
        self.gate.wait(For::Ebb, |window| window.is_low() && window.has_room(bytes)).await;
    }

    /// Whether more is ready to run than can run soon. A source that has more at hand does well to wait for
    /// [`Intake::hungry`] then, for a moment: the window has room, and a lane that is slow must not hold up the others.
    #[must_use]
    pub fn is_sated(&self) -> bool {
        self.admit.is_sated()
    }

    /// Waits until that is over, where [`Intake::is_sated`] said so last. Cancel safe.
    pub async fn hungry(&self) {
        self.admit.hungry().await;
    }

    /// Takes back what was pushed, does not run yet, and whose source does not want it any more.
    pub fn sweep(&self) {
        self.admit.sweep();
    }

    /// Whether there is room for an event of `bytes` now.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        self.gate.inside().window.has_room(bytes)
    }

    /// What there is room for now: events and bytes. It promises nothing: other sources push as well.
    #[must_use]
    pub fn free(&self) -> (usize, usize) {
        self.gate.inside().window.free()
    }

    /// What is inside now: events and bytes.
    #[must_use]
    pub fn held(&self) -> (usize, usize) {
        self.gate.inside().window.held()
    }
}

struct Gate {
    inside: Mutex<Inside>,
    /// Rung for those who wait [`For`] each.
    freed: [Notify; 2],
}

struct Inside {
    window: Window,
    /// How many wait [`For`] each: mostly none, and then nobody is to be woken.
    waiting: [usize; 2],
}

/// What somebody waits for.
#[derive(Debug, Clone, Copy)]
enum For {
    /// Any room.
    Room = 0,
    /// Room for many.
    Ebb = 1,
}

impl Gate {
    fn inside(&self) -> std::sync::MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait(&self, what: For, suffices: impl Fn(&Window) -> bool) {
        loop {
            let freed = self.freed[what as usize].notified();
            tokio::pin!(freed);
            freed.as_mut().enable(); // before looking, so that a permit freed in between is not missed
            let _waiting = {
                let mut inside = self.inside();
                if suffices(&inside.window) {
                    return;
                }
                inside.waiting[what as usize] += 1;
                Waiting { gate: self, what }
            };
            freed.await;
        }
    }
}

/// Somebody who waits, until it is dropped.
struct Waiting<'g> {
    gate: &'g Gate,
    what: For,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.gate.inside().waiting[self.what as usize] -= 1;
    }
}

/// A place in the window; dropping it gives the place back.
pub(crate) struct Permit {
    gate: Arc<Gate>,
    bytes: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let [room, ebb] = {
            let mut inside = self.gate.inside();
            inside.window.give(self.bytes);
            let [room, ebb] = inside.waiting.map(|count| count > 0);
            [room, ebb && inside.window.is_low()]
        };
        if room {
            self.gate.freed[For::Room as usize].notify_waiters();
        }
        if ebb {
            self.gate.freed[For::Ebb as usize].notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Origin, Position, Receipt, Settlement, Settler, Timeline};

    struct Nobody;
    impl Settler for Nobody {
        fn settle(&self, _: u64, _: Settlement) {}
    }

    #[derive(Default)]
    struct Keep(Mutex<Vec<Delivery>>);
    impl Admit for Keep {
        fn admit(&self, delivery: Delivery) {
            self.0.lock().unwrap().push(delivery);
        }
    }

    fn delivery() -> Delivery {
        Delivery {
            item: Ok(Event::new("1", "/s", "t").unwrap()),
            key: None,
            origin: Origin { source: "test".into(), position: Position::none(), headers: Vec::new() },
            received_ms: 0,
            attempts: 0,
            once: None,
            timeline: Timeline::off(),
            receipt: Receipt::new(Arc::new(Nobody), 0),
        }
    }

    #[tokio::test]
    async fn a_full_window_gives_back_and_a_settled_receipt_makes_room() {
        let kept = Arc::new(Keep::default());
        let intake = Intake::new(Window::new(1, usize::MAX), kept.clone());
        intake.try_push(delivery()).unwrap();
        let again = intake.try_push(delivery()).unwrap_err();

        let waiting = intake.room(again.size());
        tokio::pin!(waiting);
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        kept.0.lock().unwrap().pop().unwrap().receipt.settle(Settlement::Ack(None));
        waiting.await;
        intake.try_push(again).unwrap();
        assert_eq!(intake.held().0, 1);
        assert_eq!(intake.free().0, 0);
    }

    #[tokio::test]
    async fn a_window_that_grows_wakes_who_waits_for_room() {
        let intake = Intake::new(Window::new(1, usize::MAX), Arc::new(Keep::default()));
        intake.try_push(delivery()).unwrap();
        let again = intake.try_push(delivery()).unwrap_err();
        let (room, ebb) = (intake.room(again.size()), intake.ebb(again.size()));
        tokio::pin!(room, ebb);
        assert!(
            futures_util::poll!(room.as_mut()).is_pending() && futures_util::poll!(ebb.as_mut()).is_pending()
        );
        intake.resize(8, usize::MAX);
        room.await;
        ebb.await;
        intake.try_push(again).unwrap();
    }
}
