//! What seldom happens, beside what happens all the time.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::AcqRel, Ordering::Acquire, Ordering::Release},
    },
    task::{Context, Poll, Wake, Waker},
};

/// A future that is polled only when it was woken itself, not each time that its task is.
///
/// A connection's task wakes for every request; its signs to end and its alarm would each be asked again, and take the
/// lock of whoever gives them. Here that is one look at a flag.
///
/// # Cancellation
/// As safe as the future within.
pub(crate) struct Aside<F> {
    future: F,
    /// As long as the task is the same one, which is always but once or twice.
    sign: Option<Arc<Sign>>,
}

/// Notes that the future was woken, and wakes the task.
struct Sign {
    woken: AtomicBool,
    task: Waker,
}

impl Wake for Sign {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Release);
        self.task.wake_by_ref();
    }
}

impl<F: Future + Unpin> Aside<F> {
    pub(crate) fn new(future: F) -> Self {
        Self { future, sign: None }
    }
}

impl<F: Future + Unpin> Future for Aside<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Self { future, sign } = &mut *self;
        let sign = match sign {
            Some(sign) if sign.task.will_wake(cx.waker()) => sign,
            _ => sign.insert(Arc::new(Sign { woken: AtomicBool::new(true), task: cx.waker().clone() })),
        };
        // Read before it is written: most polls find nothing.
        if !sign.woken.load(Acquire) || !sign.woken.swap(false, AcqRel) {
            return Poll::Pending;
        }
        let waker = Waker::from(Arc::clone(sign));
        Pin::new(future).poll(&mut Context::from_waker(&waker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt as _, poll};
    use std::{future::poll_fn, pin::pin, sync::atomic::AtomicUsize, task::Waker};
    use tokio::sync::Notify;

    #[tokio::test]
    async fn it_is_polled_only_when_it_was_woken_itself() {
        let (polls, notify) = (AtomicUsize::new(0), Notify::new());
        let mut notified = pin!(notify.notified());
        let counted = poll_fn(|cx| {
            polls.fetch_add(1, AcqRel);
            notified.as_mut().poll(cx)
        });
        let mut aside = Aside::new(counted);
        for _ in 0..3 {
            assert!(poll!(&mut aside).is_pending());
        }
        assert_eq!(polls.load(Acquire), 1);
        notify.notify_one();
        assert!(poll!(&mut aside).is_ready());
        assert_eq!(polls.load(Acquire), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn its_task_is_woken() {
        let notify = Arc::new(Notify::new());
        let waits = Arc::clone(&notify);
        let task = tokio::spawn(async move { Aside::new(Box::pin(waits.notified())).await });
        tokio::task::yield_now().await;
        notify.notify_one();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn another_task_takes_it_over() {
        let notify = Notify::new();
        let mut aside = Aside::new(Box::pin(notify.notified()));
        assert!(aside.poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending());
        let both = async { tokio::join!(&mut aside, async { notify.notify_one() }) };
        both.await;
    }
}
