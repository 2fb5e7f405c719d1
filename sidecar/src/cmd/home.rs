//! Where events and dead letters are: with a running outrigger, or in a journal at rest; and the work page by page that verbs
//! over them share.

use std::{
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use outrigger_core::{Error, Kind, Result};

use super::{
    Failure,
    dead::live::{self, Socket},
};
use crate::{
    cli::DeadArgs,
    config::{self, Config, Env, Purpose, units},
    dead_api::{Changed, Dead, PAGE_MAX},
    events_api::Events,
    registry::{self, Storage},
};

/// The configuration that outrigger runs with.
pub(super) fn configured(common: &DeadArgs, env: &dyn Env) -> Result<Config, Failure> {
    let file = config::locate(env, common.config.as_deref());
    config::load(env, file.as_deref(), &[], Purpose::Look)
        .map_err(|problems| Failure::Wrong(problems.to_string()))
}

/// Where they are.
pub(super) enum Home {
    Live(Arc<Socket>),
    AtRest(Storage),
}

/// Does `job` where they are. What is at rest is closed whether that came to something or not.
pub(super) fn at_home<T>(config: &Config, job: impl AsyncFnOnce(&Home) -> Result<T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let home = Home::find(config).await?;
        let done = job(&home).await.map_err(|error| failure(&error));
        let closed = home.close().await;
        let done = done?;
        closed?;
        Ok(done)
    })
}

impl Home {
    async fn find(config: &Config) -> Result<Self, Failure> {
        let (socket, file) = (&config.admin.socket, &config.journal.path);
        if live::answers(socket).await? {
            return Ok(Self::Live(Arc::new(Socket::new(socket.clone()))));
        }
        // Opening would make one, and an empty list would be a wrong answer to a wrong folder.
        if !file.exists() {
            return Err(nowhere(socket, file));
        }
        registry::journal(&config.journal, drop).map(Self::AtRest).map_err(|error| failure(&error))
    }

    pub(super) fn letters(&self) -> Arc<dyn Dead> {
        match self {
            Self::Live(socket) => socket.clone(),
            Self::AtRest(storage) => storage.letters.clone(),
        }
    }

    pub(super) fn events(&self) -> Arc<dyn Events> {
        match self {
            Self::Live(socket) => socket.clone(),
            Self::AtRest(storage) => storage.events.clone(),
        }
    }

    async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Live(_) => Ok(()),
            Self::AtRest(storage) => storage.keeper.close().await.map_err(|error| failure(&error)),
        }
    }
}

fn nowhere(socket: &Path, file: &Path) -> Failure {
    Failure::Problem(format!(
        "no outrigger listens at {} and there is no journal at {}; call this in the folder where `outrigger run` was \
         started, or name its configuration with -c",
        socket.display(),
        file.display()
    ))
}

/// Asks `page` for parts until there are `limit`, or no more: it is told how many and behind which one. Gives back where to go
/// on as well.
pub(super) async fn gather<T>(
    limit: usize,
    mut after: Option<u64>,
    mut page: impl AsyncFnMut(u32, Option<u64>) -> Result<(Vec<T>, Option<u64>)>,
) -> Result<(Vec<T>, Option<u64>)> {
    let mut all = Vec::new();
    loop {
        let (part, next) = page(page_of(limit - all.len().min(limit)), after).await?;
        all.extend(part);
        after = next;
        if next.is_none() || all.len() >= limit {
            return Ok((all, next));
        }
    }
}

/// The same of changes.
pub(super) async fn change(
    limit: usize,
    mut page: impl AsyncFnMut(u32, Option<u64>) -> Result<Changed>,
) -> Result<Changed> {
    let (mut all, mut after) = (Changed::default(), None);
    loop {
        let taken = all.done.len() + all.refused.len();
        let changed = page(page_of(limit - taken.min(limit)), after).await?;
        all.done.extend(changed.done);
        all.refused.extend(changed.refused);
        after = changed.next;
        if changed.next.is_none() || all.done.len() + all.refused.len() >= limit {
            return Ok(all);
        }
    }
}

fn page_of(left: usize) -> u32 {
    u32::try_from(left).unwrap_or(u32::MAX).min(PAGE_MAX)
}

/// The Unix time that lies so long before `now_ms`, where a duration is given.
pub(super) fn ago(now_ms: u64, flag: &str, text: Option<&String>) -> Result<Option<u64>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let wrong = || Failure::Wrong(format!("{flag}: {text:?} is not {}", units::A_DURATION));
    let ms = units::duration(text).ok_or_else(wrong)?.as_millis();
    Ok(Some(now_ms.saturating_sub(u64::try_from(ms).unwrap_or(u64::MAX))))
}

fn failure(error: &Error) -> Failure {
    match error.kind() {
        Kind::Invalid => Failure::Wrong(error.message().to_owned()),
        _ => Failure::Problem(error.message().to_owned()),
    }
}

pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
