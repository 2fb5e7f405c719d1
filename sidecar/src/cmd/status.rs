//! `outrigger status` and `outrigger parked`: what a running outrigger is doing, asked over its owner's socket.

use super::{Exit, Failure, dead::live::Socket};
use crate::{
    admin::Snapshot,
    cli::{DeadArgs, ParkedArgs, ParkedCommand, StatusArgs},
    config::{self, Env, Purpose},
};
use comfy_table::{Table, presets};
use http::Method;
use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

/// How often the live table is drawn again on a terminal, and elsewhere, where it takes new lines each time.
const PERIOD: Duration = Duration::from_millis(200);
const PERIOD_OF_LINES: Duration = Duration::from_secs(1);

/// Shows the table once, until Ctrl-C, or until everything is done.
///
/// # Errors
/// When no outrigger runs there.
pub fn run(args: &StatusArgs, env: &dyn Env) -> Result<Exit, Failure> {
    block_on(async {
        let socket = reachable(&args.common, env);
        let mut shown: Option<(Snapshot, usize)> = None;
        loop {
            let now: Snapshot = asked(&socket, Method::GET, "/status".to_owned()).await?;
            let done = args.until_idle.is_none_or(|events| is_done(&now, events));
            if shown.as_ref().is_none_or(|(last, _)| *last != now) {
                let lines = show(&now, args.common.json, shown.map_or(0, |(_, lines)| lines))?;
                shown = Some((now, lines));
            }
            if done && !args.watch {
                return Ok(Exit::Success);
            }
            tokio::time::sleep(if io::stdout().is_terminal() { PERIOD } else { PERIOD_OF_LINES }).await;
        }
    })
}

/// Lists, retries or skips parked events.
///
/// # Errors
/// When no outrigger runs there.
pub fn parked(command: &ParkedCommand, env: &dyn Env) -> Result<Exit, Failure> {
    block_on(async {
        let answer: serde_json::Value = match command {
            ParkedCommand::List { common } => {
                let parked = asked(&socket(common, env)?, Method::GET, "/parked".to_owned()).await?;
                return list(&parked, common.json);
            }
            ParkedCommand::Retry { which } => release(which, "retry", env).await?,
            ParkedCommand::Skip { which } => release(which, "skip", env).await?,
        };
        writeln!(io::stdout(), "{answer}")?;
        Ok(if answer["released"] == 0 { Exit::Problem } else { Exit::Success })
    })
}

async fn release(which: &ParkedArgs, how: &str, env: &dyn Env) -> Result<serde_json::Value, Failure> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(which.id.iter().map(|id| ("id", id)));
    let uri = format!("/parked/{how}?{}", query.finish());
    asked(&socket(&which.common, env)?, Method::POST, uri).await
}

fn list(parked: &serde_json::Value, json: bool) -> Result<Exit, Failure> {
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{parked}")?;
        return Ok(Exit::Success);
    }
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY).set_header([
        "event",
        "key",
        "attempts",
        "waiting behind it",
    ]);
    for event in parked.as_array().into_iter().flatten() {
        let text = |name: &str| event[name].as_str().map_or_else(|| event[name].to_string(), str::to_owned);
        table.add_row([text("id"), text("key"), text("attempts"), text("behind")]);
    }
    writeln!(out, "{table}")?;
    Ok(Exit::Success)
}

/// Every accepted event is somewhere for good: more may be delivered than were accepted in this run.
fn is_done(now: &Snapshot, events: u64) -> bool {
    let totals = now.totals;
    totals.accepted >= events
        && totals.delivered + totals.dead_lettered >= totals.accepted
        && now.waiting + now.running == 0
}

/// Draws over the last table on a terminal; elsewhere one after the other. Gives back the lines that it took.
fn show(now: &Snapshot, json: bool, over: usize) -> io::Result<usize> {
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::json!(now))?;
        return Ok(0);
    }
    let mut text = table(now).to_string();
    if let Some(told) = &now.configuration {
        text = format!("{text}\nconfiguration: {told}");
    }
    if over > 0 && out.is_terminal() {
        write!(out, "\x1b[{over}A")?; // cursor up, over the last one
    }
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(text.lines().count())
}

fn table(now: &Snapshot) -> Table {
    let totals = now.totals;
    let function = match (now.ready, now.breaker_open) {
        (false, _) => "not ready",
        (true, true) => "down",
        (true, false) => "ready",
    };
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY).set_header([
        "accepted",
        "delivered",
        "retried",
        "dead-lettered",
        "p50",
        "p99",
        "pending",
        "waiting",
        "in flight",
        "parked",
        "function",
    ]);
    table.add_row([
        totals.accepted.to_string(),
        totals.delivered.to_string(),
        totals.retried.to_string(),
        totals.dead_lettered.to_string(),
        format!("{:.1} ms", totals.p50_ms),
        format!("{:.1} ms", totals.p99_ms),
        now.pending.to_string(),
        now.waiting.to_string(),
        now.running.to_string(),
        now.parked.to_string(),
        function.to_owned(),
    ]);
    table
}

/// The socket of a file that has mistakes, too: a running outrigger goes on by what it read before, and tells so.
fn reachable(common: &DeadArgs, env: &dyn Env) -> Socket {
    let file = config::locate(env, common.config.as_deref());
    let (path, problems) = config::socket(env, file.as_deref());
    if let Some(problems) = problems {
        eprintln!("warning: {problems}");
    }
    Socket::new(path)
}

pub(super) fn socket(common: &DeadArgs, env: &dyn Env) -> Result<Socket, Failure> {
    let file = config::locate(env, common.config.as_deref());
    let config = config::load(env, file.as_deref(), &[], Purpose::Look);
    let config = config.map_err(|problems| Failure::Wrong(problems.to_string()))?;
    Ok(Socket::new(config.admin.socket))
}

pub(super) async fn asked<T: serde::de::DeserializeOwned>(
    socket: &Socket,
    method: Method,
    uri: String,
) -> Result<T, Failure> {
    let answer = socket.ask(method, uri, Vec::new()).await;
    let answer = answer.map_err(|error| {
        Failure::Problem(format!(
            "{error}; is it running, and is this the configuration that it runs with (-c)?"
        ))
    })?;
    answer.ok_or_else(|| Failure::Problem("the outrigger that runs there is of another version".to_owned()))
}

pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Totals;

    #[test]
    fn it_is_done_once_every_accepted_event_is_somewhere_for_good() {
        let totals = Totals { accepted: 3, delivered: 2, dead_lettered: 1, ..Totals::default() };
        let done = Snapshot { totals, ..Snapshot::default() };
        assert!(is_done(&done, 3));
        assert!(!is_done(&done, 4), "the fourth is still to come");
        assert!(!is_done(&Snapshot { running: 1, ..done.clone() }, 3));
        let behind = Totals { delivered: 1, ..totals };
        assert!(!is_done(&Snapshot { totals: behind, ..done }, 3));
    }

    #[test]
    fn the_table_shows_every_figure() {
        let totals = Totals { accepted: 36, p99_ms: 12.34, ..Totals::default() };
        let text = table(&Snapshot { totals, ready: true, ..Snapshot::default() }).to_string();
        assert!(text.contains("36") && text.contains("12.3 ms") && text.contains("ready"), "{text}");
    }
}
