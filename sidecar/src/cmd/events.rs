//! `outrigger events`: events that wait or are kept, of a running outrigger or of a journal at rest; and who changed what.
//!
//! Where they are, and the work page by page, is `home`'s; `show` prints.

mod show;

use std::io::{self, IsTerminal as _, Write as _};

use outrigger_core::Error;

use super::{
    Exit, Failure,
    dead::show::clean,
    home::{self, ago, at_home, configured, now_ms},
};
use crate::{
    audit::{Entry, offline},
    cli::{EventFilterArgs, EventsCommand},
    config::{Config, Env, FUNCTION},
    dead_api::{Changed, PAGE},
    events_api::{AuditPage, Events, Filter, Replay, Shown, Summary},
};

/// Does what the arguments say and prints what came of it.
///
/// # Errors
/// [`Failure::Wrong`] for arguments or a configuration that cannot be meant; [`Failure::Problem`] when there is no journal or
/// it cannot be used.
pub fn run(command: &EventsCommand, env: &dyn Env) -> Result<Exit, Failure> {
    let (EventsCommand::List { common, .. }
    | EventsCommand::Show { common, .. }
    | EventsCommand::Replay { common, .. }
    | EventsCommand::Audit { common, .. }) = command;
    let job = Job::of(command, now_ms())?;
    let config = configured(common, env)?;
    job.check(&config)?;
    let done = at_home(&config, async |home| job.run(&*home.events()).await)?;
    print(&done, common.json)
}

/// What is to be done, read from the arguments.
#[derive(Debug, PartialEq, Eq)]
enum Job {
    List(Filter),
    Show { what: String, data_only: bool },
    Replay(Replay),
    Audit(AuditPage),
}

/// What came of it.
enum Done {
    Listed { events: Vec<Summary>, next: Option<u64> },
    Shown { event: Box<Shown>, data_only: bool },
    Missing(String),
    Replayed { changed: Changed, dry_run: bool },
    Audited { entries: Vec<Entry>, next: Option<u64> },
}

impl Job {
    fn of(command: &EventsCommand, now_ms: u64) -> Result<Self, Failure> {
        match command {
            EventsCommand::List { filter, after, .. } => {
                Ok(Self::List(Filter { after: *after, ..filter_of(filter, &[], now_ms)? }))
            }
            EventsCommand::Show { what, data_only, .. } => {
                Ok(Self::Show { what: what.clone(), data_only: *data_only })
            }
            EventsCommand::Replay { seqs, filter, all, to, dry_run, .. } => {
                let mut filter = filter_of(filter, seqs, now_ms)?;
                match (filter.is_empty(), *all) {
                    (true, false) => {
                        let message = "which ones? `outrigger events replay` needs numbers, a filter such as --type, or \
                                       --all";
                        return Err(Failure::Wrong(message.to_owned()));
                    }
                    (false, true) => {
                        return Err(Failure::Wrong(
                            "--all and a filter contradict each other; give one".to_owned(),
                        ));
                    }
                    _ => {}
                }
                filter.all = *all;
                // Copies that are settled while this runs are not meant; without this bound it might never end.
                filter.until_ms = Some(filter.until_ms.unwrap_or(u64::MAX).min(now_ms.saturating_add(1)));
                Ok(Self::Replay(Replay { filter, to: to.clone(), dry_run: *dry_run }))
            }
            EventsCommand::Audit { limit, before, .. } => {
                checked_limit(*limit)?;
                Ok(Self::Audit(AuditPage { before: *before, limit: *limit }))
            }
        }
    }

    /// A target that nobody knows would make dead letters of all of them.
    fn check(&self, config: &Config) -> Result<(), Failure> {
        let Self::Replay(Replay { to: Some(to), .. }) = self else { return Ok(()) };
        let others = config.targets.iter().map(|target| target.name.as_str());
        let names: Vec<_> = std::iter::once(FUNCTION).chain(others).collect();
        if names.contains(&to.as_str()) {
            return Ok(());
        }
        Err(Failure::Wrong(format!("--to: {to:?} is no target; there are {}", names.join(", "))))
    }

    async fn run(self, events: &dyn Events) -> Result<Done, Error> {
        match self {
            Self::List(filter) => list(events, filter).await,
            Self::Show { what, data_only } => Ok(match events.show(&what).await? {
                Some(event) => Done::Shown { event: Box::new(event), data_only },
                None => Done::Missing(what),
            }),
            Self::Replay(replay) => {
                let dry_run = replay.dry_run;
                Ok(Done::Replayed { changed: change(events, replay).await?, dry_run })
            }
            Self::Audit(page) => audited(events, page).await,
        }
    }
}

async fn list(events: &dyn Events, filter: Filter) -> Result<Done, Error> {
    let limit = filter.limit.unwrap_or(PAGE) as usize;
    let listed = home::gather(limit, filter.after, async |limit, after| {
        let listed = events.list(Filter { limit: Some(limit), after, ..filter.clone() }).await?;
        Ok((listed.events, listed.next))
    });
    let (events, next) = listed.await?;
    Ok(Done::Listed { events, next })
}

async fn change(events: &dyn Events, replay: Replay) -> Result<Changed, Error> {
    let by = offline(); // a running outrigger knows who asks, and counts this for nothing
    let limit = replay.filter.limit.map_or(usize::MAX, |limit| limit as usize);
    home::change(limit, async |limit, after| {
        let filter = Filter { limit: Some(limit), after, ..replay.filter.clone() };
        events.replay(Replay { filter, ..replay.clone() }, &by).await
    })
    .await
}

async fn audited(events: &dyn Events, page: AuditPage) -> Result<Done, Error> {
    let limit = page.limit.unwrap_or(PAGE) as usize;
    let audited = home::gather(limit, page.before, async |limit, before| {
        let audited = events.audit(AuditPage { before, limit: Some(limit) }).await?;
        Ok((audited.entries, audited.next))
    });
    let (entries, next) = audited.await?;
    Ok(Done::Audited { entries, next })
}

fn filter_of(args: &EventFilterArgs, seqs: &[u64], now_ms: u64) -> Result<Filter, Failure> {
    checked_limit(args.limit)?;
    let filter = Filter {
        seq: seqs.to_vec(),
        id: args.id.clone(),
        ty: args.ty.clone(),
        source: args.source.clone(),
        subject: args.subject.clone(),
        key: args.key.clone(),
        outcome: args.outcome.clone(),
        target: args.target.clone(),
        since_ms: ago(now_ms, "--since", args.since.as_ref())?,
        until_ms: ago(now_ms, "--until", args.until.as_ref())?,
        limit: args.limit,
        ..Filter::default()
    };
    filter.checked().map_err(|error| Failure::Wrong(error.message().to_owned()))
}

fn checked_limit(limit: Option<u32>) -> Result<(), Failure> {
    match limit {
        Some(0) => Err(Failure::Wrong("--limit: 0 are none; give at least 1".to_owned())),
        _ => Ok(()),
    }
}

fn print(done: &Done, json: bool) -> Result<Exit, Failure> {
    let mut out = io::stdout().lock();
    let terminal = io::stdout().is_terminal();
    match done {
        Done::Listed { events, next } if json => {
            let listed = serde_json::json!({ "events": events, "more": next.is_some(), "next": next });
            writeln!(out, "{listed}")?;
        }
        Done::Listed { events, next } => {
            show::list(&mut out, events, terminal)?;
            if let Some(next) = next {
                eprintln!("there are more; give --limit, a narrower filter, or --after {next}");
            }
        }
        Done::Missing(what) => return Err(Failure::Problem(format!("there is no event {}", clean(what)))),
        Done::Shown { event, data_only: true } => out.write_all(event.data.as_deref().unwrap_or_default())?,
        Done::Shown { event, .. } if json => writeln!(out, "{}", serde_json::json!(event))?,
        Done::Shown { event, .. } => show::event(&mut out, event)?,
        Done::Replayed { changed, dry_run } => return replayed(&mut out, changed, *dry_run, json),
        Done::Audited { entries, next } if json => {
            let audited = serde_json::json!({ "entries": entries, "more": next.is_some(), "next": next });
            writeln!(out, "{audited}")?;
        }
        Done::Audited { entries, next } => {
            show::audit(&mut out, entries, terminal)?;
            if let Some(next) = next {
                eprintln!("there are more; give --limit, or --before {next}");
            }
        }
    }
    Ok(Exit::Success)
}

fn replayed(out: &mut dyn io::Write, changed: &Changed, dry_run: bool, json: bool) -> Result<Exit, Failure> {
    let (count, refused) = (changed.done.len(), &changed.refused);
    if json {
        let done = serde_json::json!({ "replayed": changed.done, "refused": refused, "dry_run": dry_run });
        writeln!(out, "{done}")?;
    } else {
        for stays in refused {
            eprintln!("{} stays: {}", stays.id, clean(&stays.why));
        }
        let verb = if dry_run { "would replay" } else { "replayed" };
        writeln!(out, "{verb} {count} event{}", if count == 1 { "" } else { "s" })?;
    }
    Ok(if count > 0 && refused.is_empty() { Exit::Success } else { Exit::Problem })
}

#[cfg(test)]
mod tests;
