//! The journal as the home of dead letters.

use crate::{Journal, letters::Row, work::Write};
use outrigger_core::{BoxFuture, DeadLetter, DeadLetters, Result};
use tokio::sync::oneshot;

impl DeadLetters for Journal {
    /// # Errors
    /// `Full` when the bound of the dead letters or the disk is full, `Overloaded` when too much waits for the
    /// writer; `Storage` or `Closed` for good.
    fn put<'a>(&'a self, letter: &'a DeadLetter) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            self.shared.inbox.write(Write::Put(Box::new(Row::new(letter)), answer))?;
            self.answer(answered).await
        })
    }
}
