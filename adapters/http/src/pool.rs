//! Idle connections to one function, the youngest first.
//!
//! Taking the youngest lets the others grow old and go, so a burst's connections do not stay. An idle
//! connection that the function closes is closed here at once (hyper's task sees it) and skipped when it
//! comes up; one whose other end vanished without a word is dropped by its age.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use hyper::client::conn::http1::SendRequest;
use outrigger_core::Body;
use tokio::time::Instant;

use crate::{alarm::Alarm, tuning::Tuning};

#[derive(Debug)]
pub(crate) struct Pool {
    state: Mutex<State>,
    tuning: Arc<Tuning>,
}

#[derive(Debug, Default)]
struct State {
    /// The oldest in front.
    idle: VecDeque<Idle>,
    /// A sweeper is at work; it ends when there is nothing to wait for.
    sweeping: bool,
}

#[derive(Debug)]
struct Idle {
    kept: Kept,
    since: Instant,
}

/// A connection between two calls.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) sender: SendRequest<Body>,
    /// As its last call left it.
    pub(crate) alarm: Alarm,
}

impl Pool {
    pub(crate) fn new(tuning: Arc<Tuning>) -> Arc<Pool> {
        Arc::new(Pool { state: Mutex::default(), tuning })
    }

    /// The connection that was used last, if it still counts as alive. Its last exchange may need one more
    /// turn of hyper's task; `ready` waits for that.
    pub(crate) fn take(&self, now: Instant) -> Option<Kept> {
        let mut state = self.state();
        let youngest = state.idle.pop_back()?;
        if now.saturating_duration_since(youngest.since) >= self.tuning.idle_timeout.get() {
            state.idle.clear(); // the others are older still
            return None;
        }
        Some(youngest.kept)
    }

    /// Takes back a connection whose answer was read to its end. Above the limit the oldest goes.
    pub(crate) fn put(self: &Arc<Self>, sender: SendRequest<Body>, alarm: Alarm) {
        let idle_max = self.tuning.idle_connections_max();
        if sender.is_closed() || idle_max == 0 {
            return;
        }
        let mut state = self.state();
        while state.idle.len() >= idle_max {
            state.idle.pop_front();
        }
        let since = Instant::now();
        state.idle.push_back(Idle { kept: Kept { sender, alarm }, since });
        if !std::mem::replace(&mut state.sweeping, true) {
            tokio::spawn(sweep(Arc::downgrade(self), since + self.tuning.idle_timeout.get()));
        }
    }

    /// Drops all idle connections: one of their kind turned out to be dead without a sign.
    pub(crate) fn clear(&self) {
        self.state().idle.clear();
    }

    /// Drops what is too old, and says when to look again.
    fn drop_old(&self) -> Option<Instant> {
        let (mut state, idle_timeout) = (self.state(), self.tuning.idle_timeout.get());
        while state.idle.front().is_some_and(|idle| idle.since.elapsed() >= idle_timeout) {
            state.idle.pop_front();
        }
        let next = state.idle.front().map(|idle| idle.since + idle_timeout);
        state.sweeping = next.is_some();
        next
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops old connections also when no call comes by to find them.
async fn sweep(pool: Weak<Pool>, mut next: Instant) {
    loop {
        tokio::time::sleep_until(next).await;
        let Some(later) = pool.upgrade().and_then(|pool| pool.drop_old()) else { return };
        next = later;
    }
}

#[cfg(test)]
mod tests {
    use hyper::client::conn::http1;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, DuplexStream};

    use super::*;
    use crate::config::Config;
    use std::time::Duration;

    const IDLE: Duration = Duration::from_secs(10);

    fn pool(idle_connections_max: usize) -> Arc<Pool> {
        let config = Config::new("http://127.0.0.1:9".parse().unwrap()).unwrap();
        let config = Config { idle_connections_max, idle_timeout: IDLE, ..config };
        Pool::new(Arc::new(Tuning::new(&config)))
    }

    async fn connection() -> (SendRequest<Body>, DuplexStream) {
        let (ours, function) = tokio::io::duplex(64);
        let (mut sender, connection) = http1::handshake(TokioIo::new(ours)).await.unwrap();
        tokio::spawn(connection);
        sender.ready().await.unwrap();
        (sender, function)
    }

    async fn is_closed(mut function: DuplexStream) -> bool {
        function.read(&mut [0]).await.unwrap() == 0
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed_after_its_time_though_nobody_calls() {
        let pool = pool(8);
        let (sender, function) = connection().await;
        pool.put(sender, Alarm::default());
        let started = Instant::now();
        assert!(is_closed(function).await);
        assert_eq!(started.elapsed(), IDLE);
        assert!(pool.take(Instant::now()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_sweeper_waits_for_the_oldest_and_starts_anew() {
        let pool = pool(8);
        for _ in 0..2 {
            let (older, first) = connection().await;
            pool.put(older, Alarm::default());
            tokio::time::advance(IDLE / 2).await;
            let (younger, second) = connection().await;
            pool.put(younger, Alarm::default());
            let started = Instant::now();
            assert!(is_closed(first).await);
            assert_eq!(started.elapsed(), IDLE / 2);
            assert!(is_closed(second).await);
            assert_eq!(started.elapsed(), IDLE);
        }
    }

    #[tokio::test]
    async fn the_youngest_is_taken_and_the_oldest_makes_room() {
        let pool = pool(2);
        let mut functions = Vec::new();
        for _ in 0..3 {
            let (sender, function) = connection().await;
            pool.put(sender, Alarm::default());
            functions.push(function);
        }
        let oldest = functions.remove(0);
        assert!(is_closed(oldest).await, "above the limit the oldest goes");
        drop(pool.take(Instant::now()).unwrap());
        assert!(is_closed(functions.remove(1)).await, "the youngest was taken");
        assert!(pool.take(Instant::now()).is_some() && pool.take(Instant::now()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_old_is_not_taken_even_before_the_sweeper_came() {
        let pool = pool(8);
        let (sender, _function) = connection().await;
        pool.put(sender, Alarm::default());
        // The clock moves without giving the sweeper a turn.
        let paused = tokio::time::advance(IDLE);
        let mut paused = std::pin::pin!(paused);
        let _ = futures_util::poll!(paused.as_mut());
        assert!(pool.take(Instant::now()).is_none());
    }

    #[tokio::test]
    async fn a_closed_connection_is_not_taken_back() {
        let pool = pool(8);
        let (mut sender, function) = connection().await;
        drop(function);
        while sender.ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
        pool.put(sender, Alarm::default());
        assert!(pool.take(Instant::now()).is_none());
    }
}
