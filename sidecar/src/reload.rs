//! The configuration is read again on SIGHUP, or when its file has changed: what counts at once is applied, what
//! needs a restart is named, and a file with a mistake, or one that is gone, changes nothing.

mod standing;

pub use standing::Standing;

use crate::{
    admin::Admin,
    cmd::check,
    config::{self, Changes, Config, Env, Flag, Purpose, Reading},
    settle::unix_ms,
    telemetry::Reloaded,
};
use outrigger_net::stamp::Stamp;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where the configuration came from.
#[derive(Debug, Clone)]
pub struct Source {
    file: Option<PathBuf>,
    flags: Vec<Flag>,
    purpose: Purpose,
    /// The file as it was before it was first read: what changes meanwhile is seen by the next look.
    seen: Option<Stamp>,
}

impl Source {
    /// The file (none has nothing that could change), the flags that go before it, and what it is wanted for.
    #[must_use]
    pub fn new(file: Option<PathBuf>, flags: Vec<Flag>, purpose: Purpose) -> Self {
        let seen = file.as_deref().and_then(Stamp::now);
        Self { file, flags, purpose, seen }
    }

    /// Reads it.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn read(&self, env: &dyn Env) -> Result<Reading, config::Problems> {
        config::load_reading(env, self.file.as_deref(), &self.flags, self.purpose)
    }
}

/// Takes from a configuration what counts at once.
type Apply = Box<dyn Fn(&Config) + Send>;

/// What reads it again.
pub struct Reload {
    source: Source,
    env: Arc<dyn Env>,
    started: Reading,
    current: Reading,
    apply: Vec<Apply>,
    hangup: Option<Signal>,
    /// The file as it was at the last look, where it has changed: it must rest for one look, as it may be half
    /// written.
    fresh: Option<Stamp>,
    away: Away,
}

/// Whether the file is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Away {
    No,
    /// It was not at the last look; who replaces a file may have it away for a moment.
    Maybe,
    /// It is not, and that was told.
    Told,
}

/// What a look at the file came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Nothing that was not told before.
    Same,
    /// It is another one, and has been since the last look.
    Changed,
    /// There is none any more.
    Gone,
    /// It is there again, and still the one that was read.
    Back,
}

impl Reload {
    /// Of what was read from `source` at the start; `apply` is given each later configuration.
    #[must_use]
    pub fn new(
        source: Source,
        env: Arc<dyn Env>,
        started: Reading,
        apply: impl Fn(&Config) + Send + 'static,
    ) -> Self {
        let current = started.clone();
        Self {
            source,
            env,
            started,
            current,
            apply: vec![Box::new(apply)],
            hangup: None,
            fresh: None,
            away: Away::No,
        }
    }

    /// Gives each later configuration to `apply` too.
    #[must_use]
    pub fn also(mut self, apply: impl Fn(&Config) + Send + 'static) -> Self {
        self.apply.push(Box::new(apply));
        self
    }

    /// From here on SIGHUP does not end the process.
    #[must_use]
    pub fn listening(mut self) -> Self {
        self.hangup = signal(SignalKind::hangup()).ok();
        self
    }

    /// Reads the file again whenever there is a reason to; never ends.
    pub async fn keep(mut self, admin: Arc<Admin>) {
        loop {
            let asked = tokio::select! {
                () = next(&mut self.hangup) => true,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
            if asked {
                self.source.seen = self.source.file.as_deref().and_then(Stamp::now);
            } else {
                let look = self.look();
                self.tell_of(look, &admin);
                if look != Look::Changed {
                    continue;
                }
            }
            // A file of the largest size takes a while to check.
            let read = tokio::task::spawn_blocking(move || {
                let changes = self.again();
                (self, changes)
            });
            let Ok((reload, changes)) = read.await else {
                return tracing::error!("reading the configuration again failed; it is not read any more");
            };
            self = reload;
            self.tell(&admin, changes);
        }
    }

    /// Reads it and applies what counts at once; gives back what differs, from what holds and from the start.
    ///
    /// # Errors
    /// Every mistake, a line each; nothing is changed then.
    pub fn again(&mut self) -> Result<Changes, String> {
        let newer = self.source.read(&*self.env).map_err(|problems| problems.to_string())?;
        let found = check::findings(&newer.config);
        if !found.is_empty() {
            let lines: Vec<_> = found.iter().map(|(key, what)| newer.places.line(key, what)).collect();
            return Err(lines.join("\n"));
        }
        let live = self.current.changes(&newer).live;
        let restart = self.started.changes(&newer).restart;
        if !live.is_empty() {
            self.apply.iter().for_each(|apply| apply(&newer.config));
        }
        self.current = newer;
        Ok(Changes { live, restart })
    }

    fn tell(&self, admin: &Admin, changes: Result<Changes, String>) {
        let file = self.source.file.as_deref().unwrap_or(Path::new("no file")).display();
        match changes {
            Ok(Changes { live, restart }) => {
                admin.metrics.reloaded(Reloaded::Applied);
                let (applied, needs_restart) = (live.join(", "), restart.join(", "));
                if restart.is_empty() {
                    tracing::info!(%file, applied, "the configuration was read again");
                } else {
                    tracing::warn!(%file, applied, needs_restart, "the configuration was read again; restart for the rest");
                }
                *admin.standing() = Standing { needs_restart: restart, ..Standing::new(unix_ms() / 1_000) };
            }
            Err(mistakes) => {
                admin.metrics.reloaded(Reloaded::Refused);
                tracing::error!(%file, mistakes, "the new configuration is refused, the old one holds; mend the file");
                admin.standing().refused = Some(mistakes);
            }
        }
    }

    /// Says that the file went, and that it is there again.
    fn tell_of(&self, look: Look, admin: &Admin) {
        let file = self.source.file.as_deref().unwrap_or(Path::new("no file")).display();
        match look {
            Look::Gone => {
                admin.standing().gone = true;
                tracing::warn!(
                    %file,
                    "the configuration's file is gone; what was read from it holds, but no next start will find it"
                );
            }
            Look::Back => {
                admin.standing().gone = false;
                tracing::info!(%file, "the configuration's file is back, as it was");
            }
            Look::Changed => admin.standing().gone = false,
            Look::Same => {}
        }
    }

    fn look(&mut self) -> Look {
        let Some(file) = self.source.file.as_deref() else { return Look::Same };
        let Some(now) = Stamp::now(file) else {
            self.fresh = None;
            let (away, look) = match self.away {
                Away::No => (Away::Maybe, Look::Same),
                Away::Maybe => (Away::Told, Look::Gone),
                Away::Told => (Away::Told, Look::Same),
            };
            self.away = away;
            return look;
        };
        if self.source.seen == Some(now) {
            self.fresh = None;
            let was = std::mem::replace(&mut self.away, Away::No);
            return if was == Away::Told { Look::Back } else { Look::Same };
        }
        if self.fresh != Some(now) {
            self.fresh = Some(now);
            return Look::Same;
        }
        (self.source.seen, self.fresh, self.away) = (Some(now), None, Away::No);
        Look::Changed
    }
}

async fn next(hangup: &mut Option<Signal>) {
    match hangup {
        Some(hangup) => drop(hangup.recv().await),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
