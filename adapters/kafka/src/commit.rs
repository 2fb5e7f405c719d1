//! Commits: one at a time, so that no offset moves back, each of what is settled at that moment.

use crate::{board::Board, client::Client, partition::Assigned};
use outrigger_core::{BoxFuture, Error, Kind, Result};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout_at};

/// The wait between two tries of the last commit.
const AGAIN: Duration = Duration::from_millis(100);

/// Commits what is settled of `assigned`. What the broker does not take stays due.
pub(crate) fn commit<C: Client>(
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
pub(crate) async fn commit_all<C: Client>(
    client: Arc<C>,
    board: Arc<Board>,
    assigned: Vec<Arc<Assigned>>,
    deadline: Instant,
) -> Result<()> {
    loop {
        let tried = timeout_at(deadline, once(&*client, &board, &assigned)).await;
        match tried.unwrap_or_else(|_| Err("the broker did not answer in time".to_owned())) {
            Ok(()) => return Ok(()),
            Err(why) if Instant::now() + AGAIN >= deadline => {
                let message =
                    format!("kafka: the last commit failed ({why}); what settled since comes again");
                return Err(Error::new(Kind::Interrupted, message));
            }
            Err(_) => sleep(AGAIN).await,
        }
    }
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
