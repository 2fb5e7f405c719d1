//! A timer that is set once for many calls.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::time::{Instant, Sleep, sleep_until};

/// Tells when a time is up. It goes with its connection from call to call, and is set anew only once it rings.
///
/// Nearly every call ends long before its time, and the next one's is later: to set a timer and to take it back for
/// each would cost more than all else that a call does here. What rings too early is set again, and wakes one task for
/// nothing.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready once it is `at` or later; else the task is woken by then, perhaps before.
    pub(crate) fn poll_at(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() > at {
            sleep.as_mut().reset(at);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= at {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use futures_util::poll;

    use super::*;

    async fn rings(alarm: &mut Alarm, at: Instant) {
        poll_fn(|cx| alarm.poll_at(at, cx)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_each_calls_time_whatever_it_was_set_to_before() {
        let (mut alarm, second) = (Alarm::default(), Duration::from_secs(1));
        for (first, then) in [(10, 20), (20, 10), (10, 10), (0, 5)] {
            let start = Instant::now();
            // A call that ended before its time.
            let _ = poll!(Box::pin(rings(&mut alarm, start + first * second)));
            rings(&mut alarm, start + then * second).await;
            assert_eq!(start.elapsed(), then * second, "set to {first} s, then to {then} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_that_has_passed_rings_at_once() {
        let (mut alarm, start) = (Alarm::default(), Instant::now());
        rings(&mut alarm, start + Duration::from_secs(3)).await;
        assert!(poll!(Box::pin(rings(&mut alarm, start))).is_ready());
        assert!(poll!(Box::pin(rings(&mut alarm, Instant::now() + Duration::from_secs(1)))).is_pending());
    }
}
