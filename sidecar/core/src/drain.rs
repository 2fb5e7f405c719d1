//! Stopping by ownership: a drain ends when everybody who watches it has let go of it.

use tokio::sync::watch;

/// A pair: the side that starts the drain, and the side that watches for it.
#[must_use]
pub fn channel() -> (DrainTrigger, Drain) {
    let (send, receive) = watch::channel(false);
    (DrainTrigger(send), Drain(receive))
}

/// Starts a drain, and waits for its end.
#[derive(Debug)]
pub struct DrainTrigger(watch::Sender<bool>);

impl DrainTrigger {
    /// Tells every watcher to finish. Calling it again changes nothing.
    pub fn start(&self) {
        self.0.send_replace(true);
    }

    /// Waits until every watcher is dropped. Cancel safe.
    pub async fn ended(&self) {
        self.0.closed().await;
    }
}

/// Watches for a drain; holding it keeps the drain open.
#[derive(Debug, Clone)]
pub struct Drain(watch::Receiver<bool>);

impl Drain {
    /// Waits until the drain starts. Cancel safe.
    pub async fn started(&mut self) {
        // A trigger that is gone without starting has nobody to wait for: that is a drain, too.
        let _ = self.0.wait_for(|started| *started).await;
    }

    /// Whether it has started.
    #[must_use]
    pub fn is_started(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_drain_ends_when_its_last_watcher_lets_go() {
        let (trigger, drain) = channel();
        let mut second = drain.clone();
        trigger.start();
        second.started().await;
        drop(second);
        let ended = trigger.ended();
        tokio::pin!(ended);
        assert!(futures_util::poll!(ended.as_mut()).is_pending());
        drop(drain);
        ended.await;
    }

    #[tokio::test]
    async fn a_lost_trigger_counts_as_a_drain() {
        let (trigger, mut drain) = channel();
        assert!(!drain.is_started());
        drop(trigger);
        drain.started().await;
        assert!(drain.is_started());
    }
}
