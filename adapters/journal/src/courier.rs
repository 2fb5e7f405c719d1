//! Carries the answers of a group into the runtime at once, where waking the callers costs next to nothing.
//! From another thread each of them would cost a system call, of which a busy journal would make one per event.

use crate::work::Answer;
use tokio::{
    runtime::Handle,
    sync::mpsc::{self, error::TrySendError},
};

/// An append that is on disk: who asked for it, and its sequences.
pub(crate) type Appended = (Answer<Vec<u64>>, Vec<u64>);

/// Most groups on the way. Callers of one group rarely leave more than one other waiting.
const GROUPS_MAX: usize = 16;

/// The writer's end.
pub(crate) struct Courier(Option<mpsc::Sender<Vec<Appended>>>);

impl Courier {
    /// Carries into the runtime that this is called in; without one, callers are woken one by one.
    pub(crate) fn new() -> Self {
        let Ok(runtime) = Handle::try_current() else { return Self(None) };
        let (send, mut receive) = mpsc::channel(GROUPS_MAX);
        runtime.spawn(async move {
            while let Some(group) = receive.recv().await {
                answer(group);
            }
        });
        Self(Some(send))
    }

    pub(crate) fn deliver(&self, group: Vec<Appended>) {
        let left = match &self.0 {
            Some(send) if group.len() > 1 => send.try_send(group).err().map(TrySendError::into_inner),
            _ => Some(group),
        };
        if let Some(group) = left {
            answer(group); // that runtime is busy or gone
        }
    }
}

fn answer(group: Vec<Appended>) {
    for (caller, seqs) in group {
        let _ = caller.send(Ok(seqs)); // nobody waits any more: the events are kept all the same
    }
}
