//! `outrigger trace`: what became of one event, without any collector.

use super::{
    Exit, Failure,
    dead::{
        live::Socket,
        show::{clean, when},
    },
    home::{Home, at_home},
};
use crate::{
    admin::traces::{self, InJournal, Known, Told},
    cli::TraceArgs,
    config::{self, Env, Purpose},
    dead_api::Summary,
};
use http::Method;
use outrigger_core::{Error, Kind, Result};
use std::{
    fmt::Write as _,
    io::{self, Write as _},
};
use time::{OffsetDateTime, macros::format_description};

/// Prints what is known.
///
/// # Errors
/// When neither an outrigger runs nor a journal is there, or that cannot be read.
pub fn run(args: &TraceArgs, env: &dyn Env) -> std::result::Result<Exit, Failure> {
    let file = config::locate(env, args.config.as_deref());
    let config = config::load(env, file.as_deref(), &[], Purpose::Look)
        .map_err(|problems| Failure::Wrong(problems.to_string()))?;
    let (known, is_live) = at_home(&config, async |home| {
        let known = match home {
            Home::Live(socket) => asked(socket, &args.id).await?,
            Home::AtRest(_) => {
                traces::known(None, Some(&*home.events()), Some(&*home.letters()), &args.id).await?
            }
        };
        Ok((known, matches!(home, Home::Live(_))))
    })?;
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::json!(known))?;
    } else {
        write!(out, "{}", text(&known, &args.id, is_live, config.trace_notes.disabled))?;
    }
    Ok(if known.is_anything() { Exit::Success } else { Exit::Problem })
}

async fn asked(socket: &Socket, id: &str) -> Result<Known> {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("id", id).finish();
    let known = socket.ask(Method::GET, format!("/trace?{query}"), Vec::new()).await?;
    known.ok_or_else(|| Error::new(Kind::Invalid, "the outrigger that runs there is of another version"))
}

/// What is known, for people.
fn text(known: &Known, id: &str, is_live: bool, disabled: bool) -> String {
    let mut text = String::new();
    let timelines = known.timelines.as_deref().unwrap_or_default();
    for told in timelines {
        timeline(&mut text, told);
    }
    let kept = known.events.as_deref().unwrap_or_default();
    for event in kept {
        in_journal(&mut text, event);
    }
    let letters = known.dead.as_deref().unwrap_or_default();
    for letter in letters {
        dead(&mut text, letter);
    }
    if timelines.is_empty() {
        let why = match (&known.timelines, known.since_ms) {
            _ if !is_live => {
                "no outrigger runs there: timelines are in its memory and end with it".to_owned()
            }
            (None, _) if disabled => "no timelines are kept: OTEL_SDK_DISABLED turns them off".to_owned(),
            (None, _) => "no timelines are kept: set trace.export to local or otlp".to_owned(),
            (Some(_), Some(since)) => {
                format!(
                    "no event {} is known since {}: older timelines have made room, or ended with the process",
                    clean(id),
                    clock(since)
                )
            }
            (Some(_), None) => "no event has come in since the start".to_owned(),
        };
        let _ = writeln!(text, "{why}");
        if letters.is_empty() && kept.is_empty() && known.dead.is_some() {
            let _ = writeln!(text, "the journal has neither it nor a dead letter of it");
        }
    }
    text
}

fn timeline(text: &mut String, told: &Told) {
    let [id, source, ty, origin, position] =
        [&told.id, &told.source, &told.ty, &told.origin, &told.position].map(|text| clean(text));
    let (key, target) = (told.key.as_deref().map(clean), told.target.as_deref().map(clean));
    let trace = &told.trace;
    let is_routed = told.steps.iter().any(|step| step.step == "routed");
    let several = if is_routed { "several targets" } else { "no target yet" };
    let _ = writeln!(text, "event {id} of {source} ({ty})");
    let place = if position.is_empty() { String::new() } else { format!(" at {position}") };
    let key = key.map_or_else(|| "no key".to_owned(), |key| format!("key {key}"));
    let _ = writeln!(text, "  from {origin}{place}, {key}, to {}", target.as_deref().unwrap_or(several));
    if let Some(trace) = trace {
        let _ = writeln!(text, "  trace {trace}");
    }
    let _ = writeln!(text, "  {} received", clock(told.received_ms));
    for step in &told.steps {
        let at = clock(told.began_ms + step.at_us / 1_000);
        let _ = writeln!(text, "  {at} {:>10}  {}", after(step.at_us), step.what);
    }
    if told.steps.last().is_none_or(|step| step.step != "settled") {
        let _ = writeln!(text, "  … and is still in hand");
    }
}

fn in_journal(text: &mut String, event: &InJournal) {
    let InJournal { summary, history } = event;
    let (source, ty) = (clean(&summary.source), clean(&summary.ty));
    let _ = writeln!(
        text,
        "event {} of the journal, of {source} ({ty}): {}",
        summary.seq,
        clean(&summary.outcome)
    );
    for happened in history {
        let _ = writeln!(text, "  {} {}", when(happened.at_ms), clean(&happened.what));
    }
}

fn dead(text: &mut String, letter: &Summary) {
    let (source, ty) = (clean(&letter.source), clean(&letter.ty));
    let _ = writeln!(text, "dead letter {} of {source} ({ty})", letter.id);
    let _ = writeln!(text, "  {} received", clock(letter.first_ms));
    let status = letter.status.map(|status| format!(", status {status}")).unwrap_or_default();
    let attempts = letter.attempts;
    let _ = writeln!(
        text,
        "  {} given up after {attempts} attempts: {}{status}",
        clock(letter.last_ms),
        letter.reason
    );
    if !letter.detail.is_empty() {
        let _ = writeln!(text, "  {}", clean(&letter.detail));
    }
}

/// How long after the first step.
fn after(us: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let ms = us as f64 / 1_000.0;
    if ms < 10_000.0 { format!("+{ms:.2} ms") } else { format!("+{:.1} s", ms / 1_000.0) }
}

fn clock(ms: u64) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok();
    time.and_then(|time| time.format(format).ok()).unwrap_or_else(|| ms.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::traces::ToldStep;

    fn told() -> Told {
        let step =
            |at_us, step: &str, what: &str| ToldStep { at_us, step: step.to_owned(), what: what.to_owned() };
        Told {
            id: "1".to_owned(),
            source: "/s".to_owned(),
            ty: "t".to_owned(),
            origin: "kafka".to_owned(),
            position: "orders/0/7".to_owned(),
            key: Some("k".to_owned()),
            target: Some("function".to_owned()),
            trace: None,
            received_ms: 1_767_225_600_000,
            began_ms: 1_767_225_600_001,
            steps: vec![step(0, "received", "let in"), step(12_345_678, "attempted", "attempt 1")],
        }
    }

    #[test]
    fn a_timeline_is_read_from_top_to_bottom() {
        let known = Known { timelines: Some(vec![told()]), ..Known::default() };
        let text = text(&known, "1", true, false);
        let expected = "event 1 of /s (t)\n  from kafka at orders/0/7, key k, to function\n  2026-01-01T00:00:00.000Z \
                        received\n  2026-01-01T00:00:00.001Z   +0.00 ms  let in\n  2026-01-01T00:00:12.346Z    +12.3 s  \
                        attempt 1\n  … and is still in hand\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn whoever_finds_nothing_is_told_why() {
        assert!(text(&Known::default(), "1", true, true).contains("OTEL_SDK_DISABLED"));
        let text = |known: Known, is_live| text(&known, "1", is_live, false);
        assert!(text(Known { dead: Some(Vec::new()), ..Known::default() }, false).contains("end with it"));
        assert!(text(Known::default(), true).contains("trace.export"));
        let since = Known { timelines: Some(Vec::new()), since_ms: Some(0), ..Known::default() };
        assert!(text(since, true).contains("since 1970-01-01"));
    }
}
