//! How events are printed, and who changed what.

use std::io::{self, Write};

use comfy_table::{Table, presets};

use crate::{
    audit::Entry,
    cmd::dead::show::{clean, line, payload, section, when},
    events_api::{AtTarget, Shown, Summary},
};

const COLUMNS: [&str; 9] =
    ["seq", "received", "outcome", "at", "attempts", "type", "source", "event id", "key"];
const AUDIT_COLUMNS: [&str; 6] = ["when", "by", "verb", "count", "numbers", "which"];

/// Prints a table on a terminal, else lines with tabs between the columns.
pub(super) fn list(out: &mut dyn Write, events: &[Summary], terminal: bool) -> io::Result<()> {
    table(out, &COLUMNS, events.iter().map(row).collect(), ("no events", terminal))
}

/// The same of who changed what.
pub(super) fn audit(out: &mut dyn Write, entries: &[Entry], terminal: bool) -> io::Result<()> {
    let row = |entry: &Entry| {
        let refused = if entry.refused > 0 { format!(" ({} stay)", entry.refused) } else { String::new() };
        let count = if entry.count + entry.refused > 0 { entry.count.to_string() } else { String::new() };
        [
            when(entry.at_ms),
            clean(&entry.by),
            clean(&entry.verb),
            format!("{count}{refused}"),
            clean(&entry.numbers),
            clean(&entry.what),
        ]
    };
    table(out, &AUDIT_COLUMNS, entries.iter().map(row).collect(), ("nothing was changed", terminal))
}

fn table<const N: usize>(
    out: &mut dyn Write,
    columns: &[&str; N],
    rows: Vec<[String; N]>,
    (none, terminal): (&str, bool),
) -> io::Result<()> {
    if rows.is_empty() {
        return if terminal { writeln!(out, "{none}") } else { Ok(()) };
    }
    if !terminal {
        writeln!(out, "{}", columns.join("\t"))?;
        return rows.iter().try_for_each(|row| writeln!(out, "{}", row.join("\t")));
    }
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_header(columns).add_rows(rows);
    writeln!(out, "{table}")
}

fn row(event: &Summary) -> [String; 9] {
    [
        event.seq.to_string(),
        when(event.received_ms),
        clean(&event.outcome),
        places(&event.targets),
        event.attempts.to_string(),
        clean(&event.ty),
        clean(&event.source),
        clean(&event.event_id),
        clean(event.key.as_deref().unwrap_or_default()),
    ]
}

fn places(targets: &[AtTarget]) -> String {
    clean(&targets.iter().map(|target| target.name.as_str()).collect::<Vec<_>>().join(", "))
}

/// Prints one event.
pub(super) fn event(out: &mut dyn Write, shown: &Shown) -> io::Result<()> {
    let event = &shown.summary;
    writeln!(out, "event {}", event.seq)?;
    line(out, "outcome", &event.outcome)?;
    if event.settled_ms.is_none() {
        line(out, "attempts", event.attempts)?; // those of a settled one stand in its history
    }
    if !event.origin.is_empty() || !event.position.is_empty() {
        line(out, "origin", format!("{} at {}", event.origin, event.position).trim_start())?;
    }
    if let Some(key) = &event.key {
        line(out, "key", key)?;
    }
    if !shown.same_id.is_empty() {
        let seqs: Vec<_> = shown.same_id.iter().map(u64::to_string).collect();
        line(out, "the same id", seqs.join(", "))?;
    }
    writeln!(out, "history")?;
    for happened in &shown.history {
        writeln!(out, "  {}  {}", when(happened.at_ms), clean(&happened.what))?;
    }
    section(out, "attributes", shown.attributes.iter())?;
    payload(out, shown.data.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events_api::Happened;
    use std::collections::BTreeMap;

    fn summary() -> Summary {
        let at = |name: &str, outcome: &str| AtTarget {
            name: name.to_owned(),
            outcome: outcome.to_owned(),
            attempts: 1,
        };
        Summary {
            seq: 7,
            event_id: "e".to_owned(),
            source: "/s".to_owned(),
            ty: "t".to_owned(),
            outcome: "delivered".to_owned(),
            targets: vec![at("function", "delivered"), at("audit", "queued")],
            attempts: 1,
            received_ms: 1_700_000_000_999,
            settled_ms: Some(1_700_000_001_000),
            origin: "journal".to_owned(),
            position: "7".to_owned(),
            key: Some("k\u{1b}".to_owned()),
            ..Summary::default()
        }
    }

    fn text(print: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        print(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_pipe_gets_tabs_and_a_terminal_a_table() {
        let lines = text(|out| list(out, &[summary()], false));
        let row = "7\t2023-11-14T22:13:20Z\tdelivered\tfunction, audit\t1\tt\t/s\te\tk ";
        assert_eq!(lines.lines().nth(1), Some(row));
        assert!(text(|out| list(out, &[summary()], true)).contains("─"));
        let entry = Entry {
            number: 1,
            at_ms: 0,
            by: "user ann, uid 7".to_owned(),
            verb: "dead drop".to_owned(),
            what: "{}".to_owned(),
            count: 3,
            refused: 1,
            numbers: "1-3".to_owned(),
        };
        let lines = text(|out| audit(out, &[entry], false));
        let row = "1970-01-01T00:00:00Z\tuser ann, uid 7\tdead drop\t3 (1 stay)\t1-3\t{}";
        assert_eq!(lines.lines().nth(1), Some(row));
    }

    #[test]
    fn an_event_is_shown_whole_and_cannot_steer_the_terminal() {
        let shown = Shown {
            summary: summary(),
            attributes: BTreeMap::from([("id".to_owned(), "e".to_owned())]),
            history: vec![Happened { at_ms: 0, what: "function: delivered\u{7}".to_owned() }],
            same_id: vec![3, 4],
            data: Some(b"{\n}".to_vec()),
        };
        assert_eq!(
            text(|out| event(out, &shown)),
            "event 7\n  outcome          delivered\n  origin           journal at 7\n  key              k \n  \
             the same id      3, 4\nhistory\n  1970-01-01T00:00:00Z  function: delivered \nattributes\n  \
             id               e\ndata, 3 bytes\n{\n}\n"
        );
    }
}
