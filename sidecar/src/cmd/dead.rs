//! `outrigger dead`: dead letters, of a running outrigger or of a journal at rest.
//!
//! `live` talks to the owner's socket, `show` prints; this file finds out which home there is and does the work
//! page by page.

pub(crate) mod live;
pub(super) mod show;

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use outrigger_core::{Error, Kind};

use super::{Exit, Failure};
use crate::{
    cli::{ChangeArgs, DeadArgs, DeadCommand, FilterArgs},
    config::{self, Config, Env, Purpose, units},
    dead_api::{Changed, Dead, Filter, Letter, PAGE, PAGE_MAX, Summary},
    registry::{self, Storage},
};

/// Does what the arguments say and prints what came of it.
///
/// # Errors
/// [`Failure::Wrong`] for arguments or a configuration that cannot be meant; [`Failure::Problem`] when there is
/// no journal or it cannot be used.
pub fn run(command: &DeadCommand, env: &dyn Env) -> Result<Exit, Failure> {
    let (DeadCommand::List { common, .. }
    | DeadCommand::Show { common, .. }
    | DeadCommand::Replay(ChangeArgs { common, .. })
    | DeadCommand::Drop(ChangeArgs { common, .. })) = command;
    let job = Job::of(command, now_ms())?;
    let config = configured(common, env)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let home = Home::find(&config).await?;
        let done = job.run(&*home.letters()).await.map_err(|error| failure(&error));
        let closed = home.close().await;
        let done = done?;
        closed?;
        print(&done, common.json)
    })
}

fn configured(common: &DeadArgs, env: &dyn Env) -> Result<Config, Failure> {
    let file = config::locate(env, common.config.as_deref());
    config::load(env, file.as_deref(), &[], Purpose::Look)
        .map_err(|problems| Failure::Wrong(problems.to_string()))
}

/// Where the letters are.
pub(super) enum Home {
    Live(Arc<dyn Dead>),
    AtRest(Storage),
}

impl Home {
    pub(super) async fn find(config: &Config) -> Result<Self, Failure> {
        let (socket, file) = (&config.admin.socket, &config.journal.path);
        if live::answers(socket).await? {
            return Ok(Self::Live(Arc::new(live::Socket::new(socket.clone()))));
        }
        // Opening would make one, and an empty list would be a wrong answer to a wrong folder.
        if !file.exists() {
            return Err(nowhere(socket, file));
        }
        registry::journal(&config.journal, drop).map(Self::AtRest).map_err(|error| failure(&error))
    }

    pub(super) fn letters(&self) -> Arc<dyn Dead> {
        match self {
            Self::Live(letters) => letters.clone(),
            Self::AtRest(storage) => storage.letters.clone(),
        }
    }

    pub(super) async fn close(self) -> Result<(), Failure> {
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

/// What is to be done, read from the arguments.
#[derive(Debug, PartialEq, Eq)]
enum Job {
    List(Filter),
    Show { id: u64, raw: bool },
    Replay(Filter),
    Drop(Filter),
}

/// What came of it.
enum Done {
    Listed { letters: Vec<Summary>, more: bool },
    Shown { letter: Box<Letter>, raw: bool },
    Missing(u64),
    Changed { verb: &'static str, changed: Changed },
}

impl Job {
    fn of(command: &DeadCommand, now_ms: u64) -> Result<Self, Failure> {
        match command {
            DeadCommand::List { filter, .. } => Ok(Self::List(filter_of(filter, now_ms)?)),
            DeadCommand::Show { id, raw, .. } => Ok(Self::Show { id: *id, raw: *raw }),
            DeadCommand::Replay(args) => Ok(Self::Replay(change_of(args, now_ms, "replay")?)),
            DeadCommand::Drop(args) => Ok(Self::Drop(change_of(args, now_ms, "drop")?)),
        }
    }

    async fn run(self, dead: &dyn Dead) -> Result<Done, Error> {
        match self {
            Self::List(filter) => list(dead, filter).await,
            Self::Show { id, raw } => Ok(match dead.get(id).await? {
                Some(letter) => Done::Shown { letter: Box::new(letter), raw },
                None => Done::Missing(id),
            }),
            Self::Replay(filter) => {
                Ok(Done::Changed { verb: "replayed", changed: change(dead, filter, true).await? })
            }
            Self::Drop(filter) => {
                Ok(Done::Changed { verb: "dropped", changed: change(dead, filter, false).await? })
            }
        }
    }
}

async fn list(dead: &dyn Dead, mut filter: Filter) -> Result<Done, Error> {
    let limit = filter.limit.unwrap_or(PAGE) as usize;
    let mut letters = Vec::new();
    loop {
        filter.limit = Some(page(limit - letters.len()));
        let listed = dead.list(filter.clone()).await?;
        letters.extend(listed.letters);
        filter.after = listed.next;
        if listed.next.is_none() || letters.len() >= limit {
            return Ok(Done::Listed { letters, more: listed.next.is_some() });
        }
    }
}

async fn change(dead: &dyn Dead, mut filter: Filter, replay: bool) -> Result<Changed, Error> {
    let limit = filter.limit.map_or(usize::MAX, |limit| limit as usize);
    let mut all = Changed::default();
    loop {
        let taken = all.done.len() + all.refused.len();
        filter.limit = Some(page(limit - taken.min(limit)));
        let asked = filter.clone();
        let changed = if replay { dead.replay(asked).await? } else { dead.drop(asked).await? };
        all.done.extend(changed.done);
        all.refused.extend(changed.refused);
        filter.after = changed.next;
        if changed.next.is_none() || all.done.len() + all.refused.len() >= limit {
            return Ok(all);
        }
    }
}

fn page(left: usize) -> u32 {
    u32::try_from(left).unwrap_or(u32::MAX).min(PAGE_MAX)
}

fn change_of(args: &ChangeArgs, now_ms: u64, verb: &str) -> Result<Filter, Failure> {
    let ids = [&args.ids[..], &args.filter.id].concat();
    let mut filter = filter_of(&FilterArgs { id: ids, ..args.filter.clone() }, now_ms)?;
    match (filter.is_empty(), args.all) {
        (true, false) => {
            let message = format!(
                "which ones? `outrigger dead {verb}` needs numbers, a filter such as --reason, or --all"
            );
            return Err(Failure::Wrong(message));
        }
        (false, true) => {
            return Err(Failure::Wrong("--all and a filter contradict each other; give one".to_owned()));
        }
        _ => {}
    }
    filter.all = args.all;
    // Letters that die again while this runs are not meant; without this bound it might never end.
    filter.until_ms = Some(filter.until_ms.unwrap_or(u64::MAX).min(now_ms.saturating_add(1)));
    Ok(filter)
}

fn filter_of(args: &FilterArgs, now_ms: u64) -> Result<Filter, Failure> {
    let ago = |flag: &str, text: &Option<String>| -> Result<Option<u64>, Failure> {
        let Some(text) = text else { return Ok(None) };
        let wrong = || Failure::Wrong(format!("{flag}: {text:?} is not {}", units::A_DURATION));
        let ms = units::duration(text).ok_or_else(wrong)?.as_millis();
        Ok(Some(now_ms.saturating_sub(u64::try_from(ms).unwrap_or(u64::MAX))))
    };
    if args.limit == Some(0) {
        return Err(Failure::Wrong("--limit: 0 letters are none; give at least 1".to_owned()));
    }
    let filter = Filter {
        ids: args.id.clone(),
        ty: args.ty.clone(),
        source: args.source.clone(),
        reason: args.reason.clone(),
        text: args.text.clone(),
        since_ms: ago("--since", &args.since)?,
        until_ms: ago("--until", &args.until)?,
        limit: args.limit,
        ..Filter::default()
    };
    filter.checked().map_err(|error| Failure::Wrong(error.message().to_owned()))
}

fn print(done: &Done, json: bool) -> Result<Exit, Failure> {
    let mut out = io::stdout().lock();
    match done {
        Done::Listed { letters, more } if json => {
            writeln!(out, "{}", serde_json::json!({ "letters": letters, "more": more }))?;
        }
        Done::Listed { letters, more } => {
            show::list(&mut out, letters, io::stdout().is_terminal())?;
            if *more {
                eprintln!("there are more; give --limit or a narrower filter");
            }
        }
        Done::Missing(id) => return Err(Failure::Problem(format!("there is no dead letter {id}"))),
        Done::Shown { letter, raw: true } => out.write_all(letter.data.as_deref().unwrap_or_default())?,
        Done::Shown { letter, .. } if json => writeln!(out, "{}", serde_json::json!(letter))?,
        Done::Shown { letter, .. } => show::letter(&mut out, letter)?,
        Done::Changed { verb, changed } => {
            let (count, refused) = (changed.done.len(), &changed.refused);
            if json {
                writeln!(out, "{}", serde_json::json!({ *verb: changed.done, "refused": refused }))?;
            } else {
                for stays in refused {
                    eprintln!("{} stays: {}", stays.id, show::clean(&stays.why));
                }
                writeln!(out, "{verb} {count} dead letter{}", if count == 1 { "" } else { "s" })?;
            }
            return Ok(if count > 0 && refused.is_empty() { Exit::Success } else { Exit::Problem });
        }
    }
    Ok(Exit::Success)
}

fn failure(error: &Error) -> Failure {
    match error.kind() {
        Kind::Invalid => Failure::Wrong(error.message().to_owned()),
        _ => Failure::Problem(error.message().to_owned()),
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
