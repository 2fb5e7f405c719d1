//! What `outrigger send` reads: bodies, files and lines become events.
//!
//! Reads lazily, one file or line at a time, and stops as soon as nobody takes the events. What cannot be read
//! is told with its place and skipped; the rest goes on.

use std::{
    fmt, fs,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use outrigger_core::{Event, Invalid, event::json};

use super::template::Template;
use crate::{
    cli::Input,
    cmd::lines::{self, AN_EVENT, EVENT_BYTES_MAX, Line, too_large},
    registry,
};

/// Where input comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A body on the command line.
    Body(String),
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

/// Something that gave no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// The file, with the line where there is one.
    pub place: String,
    /// What is wrong with it.
    pub why: String,
}

/// What is read, and as what.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    /// From where, in this order.
    pub from: Vec<Origin>,
    /// As what.
    pub input: Input,
    /// How events are described.
    pub template: Template,
    /// How many events; none means the input once.
    pub count: Option<u64>,
}

impl Reader {
    /// Reads until the input or the count is used up, or `push` says that nobody takes more.
    pub(crate) fn read(&self, push: &mut dyn FnMut(Result<Event, Unreadable>) -> bool) {
        let mut run = Run { reader: self, push, made: 0, pass: 0 };
        loop {
            let before = run.made;
            for from in &self.from {
                if run.wants_no_more() || !run.read(from) {
                    return;
                }
            }
            // A pass that gives nothing never will: standard input is read once, bad files stay bad.
            if self.count.is_none() || run.made == before {
                return;
            }
            run.pass += 1;
        }
    }
}

struct Run<'a> {
    reader: &'a Reader,
    push: &'a mut dyn FnMut(Result<Event, Unreadable>) -> bool,
    made: u64,
    pass: u64,
}

/// Whether reading goes on.
type GoOn = bool;

impl Run<'_> {
    fn wants_no_more(&self) -> bool {
        self.reader.count.is_some_and(|count| self.made >= count)
    }

    fn read(&mut self, from: &Origin) -> GoOn {
        match from {
            Origin::Body(body) => self.data(&"-d", Bytes::from(body.clone())),
            Origin::Stdin => self.stream("standard input", Path::new(""), &mut io::stdin().lock()),
            Origin::File(path) => match fs::File::open(path) {
                Ok(file) => self.stream(&path.display().to_string(), path, &mut BufReader::new(file)),
                Err(error) => self.bad(path.display(), error),
            },
        }
    }

    fn stream(&mut self, name: &str, path: &Path, bytes: &mut dyn BufRead) -> GoOn {
        let lines_by_name = path.extension().is_some_and(|e| e == "jsonl" || e == "ndjson");
        match self.reader.input {
            Input::Lines => self.lines(name, bytes),
            Input::Auto if lines_by_name => self.lines(name, bytes),
            input => match whole(bytes, if let Input::Foreign(_) = input { A_FILE } else { AN_EVENT }) {
                Err(why) => self.bad(name, why),
                Ok(bytes) if matches!(input, Input::Foreign(_)) => self.dead_letters(name, &bytes),
                Ok(bytes) if input == Input::Event || (input == Input::Auto && holds_events(&bytes)) => {
                    self.events(name, bytes)
                }
                Ok(bytes) => self.data(&name, bytes),
            },
        }
    }

    fn lines(&mut self, name: &str, bytes: &mut dyn BufRead) -> GoOn {
        let mut number = 0_u64;
        loop {
            number += 1;
            let place = format!("{name}:{number}");
            let line = match lines::next(bytes) {
                Ok(None) => return true,
                Err(error) => return self.bad(name, error),
                Ok(Some(Line::TooLarge)) => return self.bad(place, too_large(AN_EVENT)),
                Ok(Some(Line::Text(line))) if line.is_empty() => continue,
                Ok(Some(Line::Text(line))) => line,
            };
            let goes_on =
                if holds_events(&line) { self.events(&place, line) } else { self.data(&place, line) };
            if !goes_on {
                return false;
            }
        }
    }

    fn events(&mut self, place: &str, bytes: Bytes) -> GoOn {
        if !bytes.trim_ascii_start().starts_with(b"[") {
            return match json::decode(bytes) {
                Ok(event) => self.event(&place, event),
                Err(invalid) => self.bad(place, invalid),
            };
        }
        match json::decode_batch(bytes) {
            Err(invalid) => self.bad(place, invalid),
            Ok(members) => members.into_iter().enumerate().all(|(index, member)| {
                let place = format!("{place}, member {}", index + 1);
                match member {
                    Ok(event) => self.event(&place, event),
                    Err((_, invalid)) => self.bad(place, invalid),
                }
            }),
        }
    }

    /// Azure's, so far: no others write files.
    fn dead_letters(&mut self, place: &str, bytes: &Bytes) -> GoOn {
        match registry::eventgrid_dead_letters(bytes) {
            Err(why) => self.bad(place, why),
            Ok(members) => members.into_iter().enumerate().all(|(index, member)| {
                let place = format!("{place}, member {}", index + 1);
                match member {
                    Ok(event) => self.event(&place, event),
                    Err(invalid) => self.bad(place, invalid),
                }
            }),
        }
    }

    fn event(&mut self, place: &dyn fmt::Display, event: Event) -> GoOn {
        let described = self.reader.template.describe(event, self.made, self.pass);
        self.made(place, described)
    }

    fn data(&mut self, place: &dyn fmt::Display, data: Bytes) -> GoOn {
        let event = self.reader.template.event_of(data, self.made);
        self.made(place, event)
    }

    fn made(&mut self, place: &dyn fmt::Display, event: Result<Event, Invalid>) -> GoOn {
        match event {
            Err(invalid) => self.bad(place, invalid),
            Ok(event) => {
                self.made += 1;
                (self.push)(Ok(event)) && !self.wants_no_more()
            }
        }
    }

    fn bad(&mut self, place: impl fmt::Display, why: impl fmt::Display) -> GoOn {
        // The same file is told once, not once per repetition.
        self.pass > 0 || (self.push)(Err(Unreadable { place: place.to_string(), why: why.to_string() }))
    }
}

/// What the bound is for, in a message.
const A_FILE: &str = "one file of dead letters; split it";

fn whole(bytes: &mut dyn BufRead, what: &str) -> Result<Bytes, String> {
    let mut data = Vec::new();
    Read::take(&mut *bytes, EVENT_BYTES_MAX + 1).read_to_end(&mut data).map_err(|error| error.to_string())?;
    if data.len() as u64 > EVENT_BYTES_MAX { Err(too_large(what)) } else { Ok(Bytes::from(data)) }
}

/// Whether this is an event in JSON, or a non-empty array of which the first is one: data that only mentions
/// `specversion` somewhere inside is not.
fn holds_events(bytes: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Looks<'a> {
        #[serde(borrow)]
        specversion: &'a serde_json::value::RawValue,
        #[serde(borrow, rename = "type")]
        _ty: &'a serde_json::value::RawValue,
    }
    let is_event = |json: &str| {
        serde_json::from_str::<Looks<'_>>(json).is_ok_and(|e| e.specversion.get().starts_with('"'))
    };
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    match text.trim_start().as_bytes().first() {
        Some(b'{') => is_event(text),
        Some(b'[') => serde_json::from_str::<Vec<&serde_json::value::RawValue>>(text)
            .is_ok_and(|members| members.first().is_some_and(|first| is_event(first.get()))),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
