//! Commits: one at a time, so that no offset moves back, each of what is settled at that moment.

use crate::{
    board::Board,
    client::Client,
    partition::{Assigned, Phase},
    source::Reader,
    turn::Step,
};
use outrigger_core::{BoxFuture, Error, Kind, Result};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout_at};

/// The wait between two tries of the last commit.
const AGAIN: Duration = Duration::from_millis(100);
/// Why a commit failed that nobody waits for any more.
const UNANSWERED: &str = "the broker did not answer in time";

impl<C: Client> Reader<C> {
    /// Commits what settled since the last time, if nothing is on its way.
    pub(crate) fn commit(&mut self) {
        if self.committing.is_some() || matches!(self.step, Step::LastCommit { .. }) {
            return;
        }
        let dirty = self.desk.slots().filter(|slot| slot.assigned.look().dirty);
        let dirty: Vec<_> = dirty.map(|slot| slot.assigned.clone()).collect();
        if !dirty.is_empty() {
            self.begin_commit(dirty);
        }
    }

    /// Sends a commit of what is settled of these.
    pub(crate) fn begin_commit(&mut self, assigned: Vec<Arc<Assigned>>) {
        self.watch.commit_at = Some(Instant::now());
        self.committing = Some(commit(self.client.clone(), self.board.clone(), assigned));
    }

    /// The last thing: the last commit, then the group is left. librdkafka may never end a commit that it waits for, so
    /// what is on its way has the same time as the last one.
    pub(crate) async fn leave(mut self) -> Result<()> {
        let deadline = Instant::now() + self.config.leave_timeout;
        let running = self.committing.take().unwrap_or_else(|| Box::pin(async {}));
        let is_answered = timeout_at(deadline, running).await.is_ok();
        let all: Vec<_> = self.desk.slots().map(|slot| slot.assigned.clone()).collect();
        let told = if self.client.lost() {
            Ok(())
        } else if is_answered {
            commit_all(self.client.clone(), self.board.clone(), all.clone(), deadline).await
        } else {
            Err(failed(UNANSWERED))
        };
        for assigned in &all {
            assigned.set_phase(Phase::Gone);
        }
        // It is begun in any case, and waited for as long as there is time.
        let _ = timeout_at(deadline, self.client.leave()).await;
        self.board.say(told.clone());
        told
    }
}

/// Commits what is settled of `assigned`. What the broker does not take stays due.
fn commit<C: Client>(
    client: Arc<C>,
    board: Arc<Board>,
    assigned: Vec<Arc<Assigned>>,
) -> BoxFuture<'static, ()> {
    Box::pin(async move { drop(once(&*client, &board, &assigned).await) })
}

/// Commits until everything that is settled of `assigned` is taken, or `deadline`.
///
/// # Errors
/// When the broker did not take it in time: it is delivered again.
async fn commit_all<C: Client>(
    client: Arc<C>,
    board: Arc<Board>,
    assigned: Vec<Arc<Assigned>>,
    deadline: Instant,
) -> Result<()> {
    loop {
        let tried = timeout_at(deadline, once(&*client, &board, &assigned)).await;
        match tried.unwrap_or_else(|_| Err(UNANSWERED.to_owned())) {
            Ok(()) => return Ok(()),
            Err(why) if Instant::now() + AGAIN >= deadline => return Err(failed(&why)),
            Err(_) => sleep(AGAIN).await,
        }
    }
}

/// What is told of the last commit where it failed.
fn failed(why: &str) -> Error {
    let message = format!("kafka: the last commit failed ({why}); what settled since comes again");
    Error::new(Kind::Interrupted, message)
}

async fn once<C: Client>(client: &C, board: &Board, assigned: &[Arc<Assigned>]) -> Result<(), String> {
    let due: HashMap<_, _> = assigned
        .iter()
        .filter_map(|assigned| assigned.commit().map(|commit| (assigned.at.clone(), (assigned, commit))))
        .collect();
    if due.is_empty() {
        return Ok(());
    }
    let commits = due.iter().map(|(at, (_, commit))| (at.clone(), commit.clone())).collect();
    let failed = match client.commit(commits).await {
        Ok(failed) => failed,
        Err(error) => due.keys().map(|at| (at.clone(), error.to_string())).collect(),
    };
    let refused: HashSet<_> = failed.iter().map(|(at, _)| at).collect();
    for (at, (assigned, _)) in &due {
        if refused.contains(at) { assigned.commit_again() } else { assigned.committed() }
    }
    board.committed(due.len() - failed.len(), failed.len());
    match failed.first() {
        None => Ok(()),
        Some((at, why)) => {
            if board.is_news(why) {
                tracing::warn!(partition = %at, why, failed = failed.len(), "commits fail; they are tried again");
            }
            Err(why.clone())
        }
    }
}
