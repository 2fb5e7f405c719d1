//! `outrigger normalize`: what becomes of an event, by the code that takes it in production.
//!
//! `documents` finds the documents of the input, `record` reads what an adapter is handed where that is no JSON by itself,
//! `reader` hands it to the adapter, `written` shows the events.

mod documents;
mod reader;
mod record;
mod written;

use std::{
    fs,
    io::{self, BufRead, BufReader, IsTerminal as _, Write},
    path::Path,
};

use serde_json::json;

use self::{
    documents::{Document, Documents},
    reader::Reader,
};
use super::{Exit, Failure};
use crate::cli::NormalizeArgs;

/// Prints the events of the input, one a line in its order, and for what is none a line with the reason.
///
/// # Errors
/// [`Failure::Wrong`] for flags that do not fit, before anything is read; [`Failure::Io`] when standard output cannot be
/// written.
pub fn run(args: &NormalizeArgs) -> Result<Exit, Failure> {
    let (mut stdin, out) = (io::stdin().lock(), io::stdout());
    if out.is_terminal() {
        // Who watches sees each event as it comes.
        normalize(args, &mut stdin, out.lock())
    } else {
        normalize(args, &mut stdin, io::BufWriter::new(out.lock()))
    }
}

fn normalize(args: &NormalizeArgs, stdin: &mut dyn BufRead, out: impl Write) -> Result<Exit, Failure> {
    let reader = Reader::new(args).map_err(Failure::Wrong)?;
    let mut work = Work { args, reader, out, wrong: 0 };
    if args.files.is_empty() {
        work.stream(None, stdin)?;
    }
    for path in &args.files {
        if path.as_os_str() == "-" {
            work.stream(None, stdin)?;
        } else {
            work.file(path)?;
        }
    }
    work.out.flush()?;
    Ok(if work.wrong == 0 { Exit::Success } else { Exit::Problem })
}

struct Work<'a, O> {
    args: &'a NormalizeArgs,
    reader: Reader,
    out: O,
    wrong: u64,
}

/// Where something stands that is no event.
#[derive(Debug, Clone, Copy, Default)]
struct Place<'n> {
    file: Option<&'n str>,
    line: Option<u64>,
    /// Which of the document's members, from 1.
    member: Option<usize>,
}

impl<O: Write> Work<'_, O> {
    fn file(&mut self, path: &Path) -> Result<(), Failure> {
        let name = path.display().to_string();
        match fs::File::open(path) {
            Ok(file) => self.stream(Some(&name), &mut BufReader::new(file)),
            Err(error) => self.wrong(Place { file: Some(&name), ..Place::default() }, &error.to_string()),
        }
    }

    fn stream(&mut self, file: Option<&str>, bytes: &mut dyn BufRead) -> Result<(), Failure> {
        let mut documents = Documents::new(bytes);
        loop {
            let at = |line| Place { file, line, member: None };
            match documents.next() {
                Ok(None) => return Ok(()),
                Err(error) => return self.wrong(at(None), &error.to_string()),
                Ok(Some(Document { line, bytes: Err(why) })) => self.wrong(at(Some(line)), &why)?,
                Ok(Some(Document { line, bytes: Ok(bytes) })) => match self.reader.events(&bytes) {
                    Err(why) => self.wrong(at(Some(line)), &why)?,
                    Ok(items) => self.items(at(Some(line)), items)?,
                },
            }
        }
    }

    fn items(&mut self, place: Place<'_>, items: Vec<reader::Item>) -> Result<(), Failure> {
        let several = items.len() > 1;
        for (index, item) in items.into_iter().enumerate() {
            let written = item.and_then(|event| written::line(&event, self.args.to));
            match written {
                Ok(line) => {
                    self.out.write_all(&line)?;
                    self.out.write_all(b"\n")?;
                }
                Err(why) => self.wrong(Place { member: several.then_some(index + 1), ..place }, &why)?,
            }
        }
        Ok(())
    }

    /// A line that is no event: it has `error` and no `specversion`.
    fn wrong(&mut self, place: Place<'_>, why: &str) -> Result<(), Failure> {
        self.wrong += 1;
        let mut line = json!({ "error": why });
        let mut add = |name: &str, value: Option<serde_json::Value>| {
            if let (Some(value), Some(object)) = (value, line.as_object_mut()) {
                object.insert(name.to_owned(), value);
            }
        };
        add("file", place.file.map(Into::into));
        add("line", place.line.map(Into::into));
        add("member", place.member.map(Into::into));
        writeln!(self.out, "{line}")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
