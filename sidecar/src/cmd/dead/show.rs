//! Dead letters for people: a table of many, or one with its history and its data.

use std::{
    fmt::Display,
    io::{self, Write},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use comfy_table::{Table, presets};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::dead_api::{Letter, Summary};

const COLUMNS: [&str; 8] = ["id", "given up", "reason", "attempts", "type", "source", "event id", "key"];

/// Prints a table on a terminal, else lines with tabs between the columns.
pub(crate) fn list(out: &mut dyn Write, letters: &[Summary], terminal: bool) -> io::Result<()> {
    if letters.is_empty() {
        return if terminal { writeln!(out, "no dead letters") } else { Ok(()) };
    }
    if !terminal {
        writeln!(out, "{}", COLUMNS.join("\t"))?;
        return letters.iter().try_for_each(|letter| writeln!(out, "{}", row(letter).join("\t")));
    }
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_header(COLUMNS).add_rows(letters.iter().map(row));
    writeln!(out, "{table}")
}

/// Prints one letter.
pub(crate) fn letter(out: &mut dyn Write, letter: &Letter) -> io::Result<()> {
    writeln!(out, "dead letter {}", letter.id)?;
    let detail = if letter.detail.is_empty() { String::new() } else { format!(": {}", letter.detail) };
    line(out, "reason", format!("{}{detail}", reason(&letter.reason, letter.status)))?;
    if let Some(target) = &letter.target {
        line(out, "target", target)?;
    }
    line(out, "attempts", letter.attempts)?;
    line(out, "received", when(letter.first_ms))?;
    line(out, "given up", when(letter.last_ms))?;
    let place = if letter.position.is_empty() { String::new() } else { format!(" at {}", letter.position) };
    line(out, "origin", format!("{}{place}", letter.origin))?;
    if let Some(key) = &letter.key {
        line(out, "key", key)?;
    }
    if letter.malformed {
        writeln!(out, "it was no event, and cannot be replayed")?;
    }
    section(out, "attributes", letter.attributes.iter())?;
    section(out, "headers", letter.headers.iter().map(|(name, value)| (name, value)))?;
    payload(out, letter.data.as_deref())
}

/// Prints a payload, as text where it is some.
pub(crate) fn payload(out: &mut dyn Write, data: Option<&[u8]>) -> io::Result<()> {
    match data {
        None => writeln!(out, "no data"),
        Some(data) => match printable(data) {
            Some(text) => writeln!(out, "data, {} bytes\n{text}", data.len()),
            None => writeln!(out, "data, {} bytes, in base64\n{}", data.len(), BASE64.encode(data)),
        },
    }
}

/// A text without what could steer a terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || turns_text(c) { ' ' } else { c }).collect()
}

/// Whether it changes the direction in which text is written, so that a line could read otherwise than it is.
fn turns_text(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn row(letter: &Summary) -> [String; 8] {
    let event = |text: &str| if letter.malformed { "(no event)".to_owned() } else { clean(text) };
    [
        letter.id.to_string(),
        when(letter.last_ms),
        reason(&letter.reason, letter.status),
        letter.attempts.to_string(),
        event(&letter.ty),
        event(&letter.source),
        event(&letter.event_id),
        clean(letter.key.as_deref().unwrap_or_default()),
    ]
}

pub(crate) fn section<'a>(
    out: &mut dyn Write,
    title: &str,
    entries: impl Iterator<Item = (&'a String, &'a String)>,
) -> io::Result<()> {
    for (index, (name, value)) in entries.enumerate() {
        if index == 0 {
            writeln!(out, "{title}")?;
        }
        line(out, &clean(name), value)?;
    }
    Ok(())
}

pub(crate) fn line(out: &mut dyn Write, name: &str, value: impl Display) -> io::Result<()> {
    writeln!(out, "  {name:<16} {}", clean(&value.to_string()))
}

fn reason(code: &str, status: Option<u16>) -> String {
    status.map_or_else(|| clean(code), |status| format!("{} ({status})", clean(code)))
}

pub(crate) fn when(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms / 1_000).ok().and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{unix_ms} ms"))
}

fn printable(data: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(data).ok()?;
    let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\t' | '\r');
    text.chars().all(plain).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn summary() -> Summary {
        Summary {
            id: 7,
            event_id: "e".to_owned(),
            source: "/s".to_owned(),
            ty: "t".to_owned(),
            reason: "refused".to_owned(),
            status: Some(422),
            detail: "no".to_owned(),
            attempts: 1,
            first_ms: 0,
            last_ms: 1_700_000_000_999,
            malformed: false,
            origin: "http".to_owned(),
            position: String::new(),
            key: None,
            target: None,
            bytes: 9,
        }
    }

    fn shown(print: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        print(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_pipe_gets_tabs_and_a_terminal_a_table() {
        let letters = [summary(), Summary { malformed: true, status: None, ..summary() }];
        let lines = shown(|out| list(out, &letters, false));
        assert_eq!(
            lines.lines().collect::<Vec<_>>()[1..],
            [
                "7\t2023-11-14T22:13:20Z\trefused (422)\t1\tt\t/s\te\t",
                "7\t2023-11-14T22:13:20Z\trefused\t1\t(no event)\t(no event)\t(no event)\t"
            ]
        );
        assert!(shown(|out| list(out, &letters, true)).contains("─"));
        assert_eq!(shown(|out| list(out, &[], false)), "");
    }

    #[test]
    fn a_letter_is_shown_whole_and_cannot_steer_the_terminal() {
        let mut found = Letter {
            id: 7,
            reason: "refused".to_owned(),
            status: Some(422),
            detail: "bad \u{1b}[31m".to_owned(),
            attempts: 2,
            first_ms: 0,
            last_ms: 0,
            origin: "journal".to_owned(),
            position: "9".to_owned(),
            headers: vec![("traceparent".to_owned(), "00-1".to_owned())],
            key: Some("k".to_owned()),
            target: Some("audit".to_owned()),
            attributes: BTreeMap::from([("id".to_owned(), "e".to_owned())]),
            malformed: false,
            data: Some(b"{\n}".to_vec()),
        };
        let text = shown(|out| letter(out, &found));
        assert_eq!(
            text,
            "dead letter 7\n  reason           refused (422): bad  [31m\n  target           audit\n  attempts         2\n  \
             received         1970-01-01T00:00:00Z\n  given up         1970-01-01T00:00:00Z\n  \
             origin           journal at 9\n  key              k\nattributes\n  id               e\nheaders\n  \
             traceparent      00-1\ndata, 3 bytes\n{\n}\n"
        );
        found.data = Some(b"\x1b[2J".to_vec());
        assert!(shown(|out| letter(out, &found)).ends_with("data, 4 bytes, in base64\nG1sySg==\n"));
        found.data = None;
        assert!(shown(|out| letter(out, &found)).ends_with("no data\n"));
    }
}
