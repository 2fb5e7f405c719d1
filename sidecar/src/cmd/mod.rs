//! The verbs: one file each, and what they share. Each takes its arguments and says how the process ends;
//! none of them ends it.

pub mod cache;
pub mod check;
pub mod completions;
pub mod config;
pub mod dead;
mod event_files;
pub mod events;
pub mod filter;
mod home;
pub mod kafka;
mod lines;
pub mod normalize;
pub mod replay;
pub mod routes;
pub mod run;
pub mod send;
#[cfg(feature = "cache")]
pub mod simulate;
pub mod status;
pub mod trace;

use std::{io, process::ExitCode};

/// How a verb ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: all is well.
    Success,
    /// 1: the verb did its work and found a problem.
    Problem,
    /// 2: a wrong call or configuration.
    Wrong,
    /// The function ended by itself with this status, and `run` with it.
    Function(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Success => Self::SUCCESS,
            Exit::Problem => Self::from(1),
            Exit::Wrong => Self::from(2),
            Exit::Function(code) => Self::from(code),
        }
    }
}

/// Why a verb could not do its work: a line for the person who called it.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The call or the configuration is wrong: exit 2.
    #[error("{0}")]
    Wrong(String),
    /// Something outside stood in the way: exit 1.
    #[error("{0}")]
    Problem(String),
    /// Standard output or a file could not be used: exit 1.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Failure {
    /// How the process ends for it. A reader that went away (`outrigger … | head`) is no failure.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Wrong(_) => Exit::Wrong,
            Self::Problem(_) | Self::Io(_) if self.is_silent() => Exit::Success,
            Self::Problem(_) | Self::Io(_) => Exit::Problem,
        }
    }

    /// Whether there is nothing to say about it: who reads our standard output has read enough.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
