//! `outrigger filter`: which events pass a filter, and why the others do not, by the code that routes use.

use std::io::{self, BufRead, IsTerminal as _, Write};

use outrigger_cesql::{Explanation, Expression, Filter, Value};
use outrigger_core::Event;
use serde_json::json;

use super::{
    Exit, Failure,
    event_files::{self, Reader},
};
use crate::{cli::FilterVerbArgs, filter::Attributed};

/// Prints the lines whose events pass, or what became of each event.
///
/// # Errors
/// [`Failure::Wrong`] when the expression is none, before anything is read; [`Failure::Io`] when standard output cannot be
/// written. A file or line that cannot be read is told on standard error, and the rest goes on.
pub fn run(args: &FilterVerbArgs) -> Result<Exit, Failure> {
    let (mut stdin, out, complaints) = (io::stdin().lock(), io::stdout(), io::stderr().lock());
    if out.is_terminal() {
        // Who watches sees each event as it comes.
        filter(args, &mut stdin, out.lock(), complaints)
    } else {
        filter(args, &mut stdin, io::BufWriter::new(out.lock()), complaints)
    }
}

fn filter(
    args: &FilterVerbArgs,
    stdin: &mut dyn BufRead,
    out: impl Write,
    complaints: impl Write,
) -> Result<Exit, Failure> {
    let mut complaints = complaints;
    let asked = asked(&args.expression, &mut complaints)?;
    let mut work =
        Work { asked, explain: args.explain, json: args.json, out, complaints, passed: 0, unread: 0 };
    event_files::read(&args.files, stdin, &mut work)?;
    work.out.flush()?;
    Ok(match (work.unread, work.passed) {
        (1.., _) => Exit::Wrong,
        (0, 0) => Exit::Problem,
        (0, _) => Exit::Success,
    })
}

/// What events are asked. An expression cannot begin as JSON does.
fn asked(text: &str, complaints: &mut dyn Write) -> Result<Asked, Failure> {
    if text.trim_start().starts_with(['{', '[']) {
        let document = serde_json::from_str(text)
            .map_err(|error| Failure::Wrong(format!("the filter is no JSON: {error}")))?;
        let filter = Filter::from_json(&document);
        return filter.map(Asked::Filter).map_err(|error| Failure::Wrong(format!("the filter: {error}")));
    }
    let expression = Expression::parse(text).map_err(|error| {
        let excerpt = error.excerpt(text).replace('\n', "\n    ");
        Failure::Wrong(format!("the expression, {error}\n    {excerpt}"))
    })?;
    for note in expression.notes() {
        let column = text[..note.offset].chars().count() + 1;
        writeln!(complaints, "note: character {column}: {}", note.message)?;
    }
    Ok(Asked::Expression(expression))
}

enum Asked {
    Expression(Expression),
    Filter(Filter),
}

impl Asked {
    fn matches(&self, event: &Event) -> bool {
        match self {
            Self::Expression(expression) => expression.matches(&Attributed(event)),
            Self::Filter(filter) => filter.matches(&Attributed(event)),
        }
    }

    fn explain(&self, event: &Event) -> Explanation {
        match self {
            Self::Expression(expression) => expression.explain(&Attributed(event)),
            Self::Filter(filter) => filter.explain(&Attributed(event)),
        }
    }
}

struct Work<O, C> {
    asked: Asked,
    explain: bool,
    json: bool,
    out: O,
    complaints: C,
    passed: u64,
    unread: u64,
}

impl<O: Write, C: Write> Reader for Work<O, C> {
    fn event(&mut self, place: &str, line: &[u8], event: &Event) -> Result<(), Failure> {
        let passes = self.asked.matches(event);
        self.passed += u64::from(passes);
        if self.json {
            let explanation = member(&self.asked.explain(event));
            let (id, source, ty) = (event.id(), event.source(), event.ty());
            let object = json!({
                "place": place, "passes": passes, "id": id, "source": source, "type": ty, "explanation": explanation,
            });
            writeln!(self.out, "{object}")?;
        } else if self.explain {
            let word = if passes { "passes" } else { "does not pass" };
            writeln!(self.out, "{place}: {} of {} {word}", event.id(), event.source())?;
            for line in self.asked.explain(event).to_string().lines() {
                writeln!(self.out, "  {line}")?;
            }
        } else if passes {
            self.out.write_all(line)?;
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// What was printed comes first, so that the two can be read together.
    fn unreadable(&mut self, place: &str, why: &str) -> Result<(), Failure> {
        self.unread += 1;
        self.out.flush()?;
        writeln!(self.complaints, "{place}: {why}")?;
        Ok(())
    }
}

/// An explanation as JSON: a value that there is not is null.
fn member(explanation: &Explanation) -> serde_json::Value {
    let value = match &explanation.value {
        Some(Value::Boolean(truth)) => json!(truth),
        Some(Value::Integer(number)) => json!(number),
        Some(Value::String(text)) => json!(text),
        None => json!(null),
    };
    let error = |error: &outrigger_cesql::EvaluationError| json!({ "kind": error.kind().name(), "message": error.message() });
    let errors: Vec<_> = explanation.errors.iter().map(error).collect();
    let parts: Vec<_> = explanation.parts.iter().map(member).collect();
    json!({
        "expression": explanation.expression,
        "value": value,
        "evaluated": explanation.is_evaluated,
        "errors": errors,
        "parts": parts,
    })
}

#[cfg(test)]
mod tests;
