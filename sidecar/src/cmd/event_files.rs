//! Events of files, each a line: read one after the other, whatever is wrong with some.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use outrigger_core::{Event, event::json};

use super::{
    Failure,
    lines::{self, AN_EVENT, Line, too_large},
};

/// What is done with each.
pub(super) trait Reader {
    /// An event, the line that it is, and where that stands.
    ///
    /// # Errors
    /// What ends the reading: that nothing can be printed any more.
    fn event(&mut self, place: &str, line: &[u8], event: &Event) -> Result<(), Failure>;

    /// A file or line that cannot be read, and why; the rest goes on.
    ///
    /// # Errors
    /// As [`Reader::event`].
    fn unreadable(&mut self, place: &str, why: &str) -> Result<(), Failure>;
}

/// Reads the `files` in their order, of which `-` is standard input, or standard input where there are none.
///
/// # Errors
/// Those of `reader`.
pub(super) fn read(
    files: &[PathBuf],
    stdin: &mut dyn BufRead,
    reader: &mut impl Reader,
) -> Result<(), Failure> {
    if files.is_empty() {
        return stream("standard input", stdin, reader);
    }
    for path in files {
        if path.as_os_str() == "-" {
            stream("standard input", stdin, reader)?;
        } else {
            file(path, reader)?;
        }
    }
    Ok(())
}

fn file(path: &Path, reader: &mut impl Reader) -> Result<(), Failure> {
    let name = path.display().to_string();
    match fs::File::open(path) {
        Ok(file) => stream(&name, &mut BufReader::new(file), reader),
        Err(error) => reader.unreadable(&name, &error.to_string()),
    }
}

fn stream(name: &str, bytes: &mut dyn BufRead, reader: &mut impl Reader) -> Result<(), Failure> {
    for number in 1_u64.. {
        let place = format!("{name}:{number}");
        let line: Bytes = match lines::next(bytes) {
            Ok(None) => break,
            Err(error) => return reader.unreadable(name, &error.to_string()),
            Ok(Some(Line::TooLarge)) => return reader.unreadable(&place, &too_large(AN_EVENT)),
            Ok(Some(Line::Text(line))) if line.is_empty() => continue,
            Ok(Some(Line::Text(line))) => line,
        };
        match json::decode(line.clone()) {
            Ok(event) => reader.event(&place, &line, &event)?,
            Err(invalid) => reader.unreadable(&place, &format!("no CloudEvent: {invalid}"))?,
        }
    }
    Ok(())
}
