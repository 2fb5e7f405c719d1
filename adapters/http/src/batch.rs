//! Several events in one request, where the function wants them so.
//!
//! Every event keeps a call of its own: its lane, its attempts, its deadline and its outcome are as if it were alone. Calls
//! that are under way at the same time are gathered into one request, and a lane has one event under way; so a batch has at
//! most one event of each key, and what is behind an event waits until that one is settled.
//!
//! What the answer means, `answer` decides. An event that has failed before goes alone, and so does each event of a batch
//! that the function refuses as a whole: one that it can never take does not take others with it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use outrigger_core::{BoxFuture, Call, CallCx, Error, Event, Kind, Reply, Result};
use tokio::{sync::oneshot, time::timeout_at};

use crate::call::FunctionCall;

mod answer;

pub(crate) use answer::{Outcome, outcome};

/// How many events go into one request, and how long one waits for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most events, at least 1.
    pub events_max: usize,
    /// The most bytes of them as they lie in memory; a larger event goes alone.
    pub bytes_max: usize,
    /// How long the first event of a batch waits for others.
    pub wait: Duration,
}

/// The function, as the lanes call it with one event each, and as it is called with several.
pub struct BatchCall(Arc<Shared>);

struct Shared {
    function: FunctionCall,
    limits: Limits,
    open: Mutex<Open>,
}

/// The batch that is being gathered.
#[derive(Default)]
struct Open {
    /// Counts the batches, so that one's time to go is not taken for the next one's.
    number: u64,
    bytes: usize,
    members: Vec<Member>,
}

struct Member {
    event: Event,
    cx: CallCx,
    tell: oneshot::Sender<Outcome>,
}

impl BatchCall {
    /// Gathers calls of `function`, which must write events in a mode that has batches.
    #[must_use]
    pub fn new(function: FunctionCall, limits: Limits) -> BatchCall {
        BatchCall(Arc::new(Shared { function, limits, open: Mutex::default() }))
    }

    async fn one(&self, events: &[Event], cx: &CallCx) -> Result<Vec<Reply>> {
        let shared = &self.0;
        let [event] = events else { return shared.function.call(events, cx).await };
        if cx.attempt > 1 || event.size() > shared.limits.bytes_max {
            return shared.alone(event, cx).await;
        }
        let outcome = join(shared, event, cx);
        let told = match cx.deadline {
            Some(deadline) => timeout_at(deadline.into(), outcome).await.map_err(|_| late())?,
            None => outcome.await,
        };
        match told {
            // The task is dropped only with the runtime, or by a defect of ours.
            Err(_) => Err(Error::new(Kind::Interrupted, "the batch was given up")),
            Ok(Outcome::Delivered(status)) => Ok(vec![Reply { status, ..Reply::default() }]),
            Ok(Outcome::Failed(error)) => Err(error),
            Ok(Outcome::Alone) => shared.alone(event, cx).await,
        }
    }
}

impl Call for BatchCall {
    /// Calls the function with one event, perhaps in one request with those of other calls.
    ///
    /// # Errors
    /// Those of [`FunctionCall`], and the failure that the answer names for this event.
    fn call<'a>(&'a self, events: &'a [Event], cx: &'a CallCx) -> BoxFuture<'a, Result<Vec<Reply>>> {
        Box::pin(self.one(events, cx))
    }
}

fn late() -> Error {
    Error::new(Kind::TimedOut, "the caller's time was over before the batch was answered")
}

/// Adds the event to the batch that is open, and starts what is full or new on its way.
fn join(shared: &Arc<Shared>, event: &Event, cx: &CallCx) -> oneshot::Receiver<Outcome> {
    let (tell, told) = oneshot::channel();
    let (bytes, limits) = (event.size(), &shared.limits);
    let mut open = shared.open();
    if !open.members.is_empty() && open.bytes + bytes > limits.bytes_max {
        Shared::go(shared, open.taken());
    }
    open.bytes += bytes;
    open.members.push(Member { event: event.clone(), cx: cx.clone(), tell });
    if open.members.len() >= limits.events_max {
        Shared::go(shared, open.taken());
    } else if open.members.len() == 1 {
        let (shared, number) = (shared.clone(), open.number);
        tokio::spawn(async move {
            tokio::time::sleep(shared.limits.wait).await;
            let mut open = shared.open();
            if open.number == number {
                let members = open.taken();
                drop(open);
                Shared::go(&shared, members);
            }
        });
    }
    told
}

impl Open {
    /// What was gathered; the next batch begins.
    fn taken(&mut self) -> Vec<Member> {
        self.number += 1;
        self.bytes = 0;
        std::mem::take(&mut self.members)
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a batch on its way. Whoever no longer waits is left out; when nobody waits any more, the request is dropped.
    fn go(shared: &Arc<Shared>, mut members: Vec<Member>) {
        let shared = shared.clone();
        tokio::spawn(async move {
            members.retain(|member| !member.tell.is_closed());
            let Some(first) = members.first() else { return };
            // Each event has its own time; the request has the function's. It is told the first one's place in a trace.
            let cx = CallCx { deadline: None, ..first.cx.clone() };
            let (events, mut tell): (Vec<_>, Vec<_>) =
                members.into_iter().map(|member| (member.event, member.tell)).unzip();
            let outcomes = tokio::select! {
                biased;
                () = abandoned(&mut tell) => return,
                outcomes = shared.function.batch(&events, &cx) => outcomes,
            };
            for (tell, outcome) in tell.into_iter().zip(outcomes) {
                let _ = tell.send(outcome); // whoever has gone meanwhile needs none
            }
        });
    }

    /// The same request with one event in it, whose outcome is its own.
    async fn alone(&self, event: &Event, cx: &CallCx) -> Result<Vec<Reply>> {
        let mut outcomes = self.function.batch(std::slice::from_ref(event), cx).await;
        match outcomes.pop() {
            Some(Outcome::Delivered(status)) => Ok(vec![Reply { status, ..Reply::default() }]),
            Some(Outcome::Failed(error)) => Err(error),
            Some(Outcome::Alone) | None => Err(Error::new(Kind::Invalid, "a batch of one has no outcome")),
        }
    }
}

/// Until nobody waits any more.
async fn abandoned(tell: &mut [oneshot::Sender<Outcome>]) {
    join_all(tell.iter_mut().map(oneshot::Sender::closed)).await;
}
