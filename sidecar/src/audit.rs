//! Who changed what: said in the log, and written down where there is a journal, before or with the change itself.

use std::fs;

use outrigger_core::{BoxFuture, Result};
use serde::{Deserialize, Serialize};

/// Where the system tells the names of its users.
const USERS: &str = "/etc/passwd";

/// Who writes down what its owner does; durable when it returns.
pub trait Auditor: Send + Sync + 'static {
    /// Writes down that `by` does `verb` to `what`.
    ///
    /// # Errors
    /// What keeps it from being written: then it is not to be done.
    fn note<'a>(&'a self, by: &'a str, verb: &'a str, what: &'a str) -> BoxFuture<'a, Result<()>>;
}

/// One thing that somebody did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number: greater for what came later.
    pub number: u64,
    /// When, in Unix milliseconds.
    pub at_ms: u64,
    /// Who.
    pub by: String,
    /// What was done, such as `dead drop`.
    pub verb: String,
    /// Which ones were meant: a filter, or a place.
    pub what: String,
    /// How many it was done to, where that is known.
    pub count: u64,
    /// How many stay although they were meant.
    pub refused: u64,
    /// The numbers of those that it was done to, as `1-3,7`.
    pub numbers: String,
}

/// Writes down what its owner does, where there is a journal for it; else the log alone has it.
///
/// # Errors
/// As [`Auditor::note`].
pub(crate) async fn note(auditor: Option<&dyn Auditor>, by: &str, verb: &str, what: &str) -> Result<()> {
    if let Some(auditor) = auditor {
        return auditor.note(by, verb, what).await;
    }
    tracing::warn!(target: "audit", audit = "changed", by, verb, what, "changed by its owner");
    Ok(())
}

/// Who is at the other end of the owner's socket.
#[must_use]
pub fn peer(uid: Option<u32>) -> String {
    uid.map_or_else(|| "somebody".to_owned(), user)
}

/// Who opens the journal's file, while no outrigger runs.
#[must_use]
pub fn offline() -> String {
    format!("file ({})", user(rustix::process::getuid().as_raw()))
}

fn user(uid: u32) -> String {
    let users = fs::read_to_string(USERS).unwrap_or_default();
    match name_of(&users, uid) {
        Some(name) => format!("user {name}, uid {uid}"),
        None => format!("uid {uid}"),
    }
}

/// The name of a user in the system's list: `name:password:uid:…` a line.
fn name_of(users: &str, uid: u32) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, found) = (fields.next()?, fields.nth(1)?);
        (found.parse() == Ok(uid)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_told_by_name_where_the_system_has_one() {
        let users = "root:x:0:0:root:/root:/bin/sh\n\nbroken\nann:x:1001:1001::/home/ann:/bin/sh\n";
        assert_eq!(
            (name_of(users, 0), name_of(users, 1001), name_of(users, 100)),
            (Some("root"), Some("ann"), None)
        );
        assert_eq!(peer(None), "somebody");
        assert!(peer(Some(0)).ends_with("uid 0"));
        assert!(offline().starts_with("file ("));
    }
}
