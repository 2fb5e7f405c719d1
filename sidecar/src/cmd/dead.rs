//! `outrigger dead`: dead letters, of a running outrigger or of a journal at rest.
//!
//! `live` talks to the owner's socket, `show` prints; which home there is, and the work page by page, is `home`'s.

pub(crate) mod live;
pub(super) mod show;

use std::io::{self, IsTerminal as _, Write as _};

use outrigger_core::Error;

use super::{
    Exit, Failure,
    home::{self, ago, at_home, configured, now_ms},
};
use crate::{
    audit::offline,
    cli::{ChangeArgs, DeadCommand, FilterArgs},
    config::Env,
    dead_api::{Changed, Dead, Filter, Letter, PAGE, Summary},
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
    let done = at_home(&config, async |home| job.run(&*home.letters()).await)?;
    print(&done, common.json)
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

async fn list(dead: &dyn Dead, filter: Filter) -> Result<Done, Error> {
    let limit = filter.limit.unwrap_or(PAGE) as usize;
    let listed = home::gather(limit, None, async |limit, after| {
        let listed = dead.list(Filter { limit: Some(limit), after, ..filter.clone() }).await?;
        Ok((listed.letters, listed.next))
    });
    let (letters, next) = listed.await?;
    Ok(Done::Listed { letters, more: next.is_some() })
}

async fn change(dead: &dyn Dead, filter: Filter, replay: bool) -> Result<Changed, Error> {
    let by = offline(); // a running outrigger knows who asks, and counts this for nothing
    let limit = filter.limit.map_or(usize::MAX, |limit| limit as usize);
    home::change(limit, async |limit, after| {
        let asked = Filter { limit: Some(limit), after, ..filter.clone() };
        if replay { dead.replay(asked, &by).await } else { dead.drop(asked, &by).await }
    })
    .await
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
    if args.limit == Some(0) {
        return Err(Failure::Wrong("--limit: 0 letters are none; give at least 1".to_owned()));
    }
    let filter = Filter {
        ids: args.id.clone(),
        ty: args.ty.clone(),
        source: args.source.clone(),
        reason: args.reason.clone(),
        text: args.text.clone(),
        since_ms: ago(now_ms, "--since", args.since.as_ref())?,
        until_ms: ago(now_ms, "--until", args.until.as_ref())?,
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

#[cfg(test)]
mod tests;
