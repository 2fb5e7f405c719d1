//! What is wrong with a configuration, told to the person who wrote it.
//!
//! A [`Problem`] says where, what stands there and what may stand there; [`Problems`] holds every one that was
//! found, because a person who mends one mistake per run gives up at the third.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

/// How much of what was found is repeated in a message, in characters.
const FOUND_CHARS_MAX: usize = 64;
/// How unlike two words may be (1 is equal) for one to be offered in place of the other.
const LIKENESS_MIN: f64 = 0.7;

/// Where a value was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the file; both count from 1.
    Line {
        /// The line.
        line: u64,
        /// The column, in characters.
        column: u64,
    },
    /// On the command line, by the flag of this name.
    Flag(&'static str),
    /// Nowhere in particular: something is missing, or the file as a whole is meant.
    Whole,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it was given.
    pub place: Place,
    /// The key's path, such as `function.timeout`; empty when the file as a whole is meant.
    pub key: String,
    /// What stands there, as a phrase: `"30"`, `a list`.
    pub found: String,
    /// What may stand there, as a phrase, with advice where there is some.
    pub expected: String,
    /// The known key or word that was probably meant.
    pub nearest: Option<String>,
}

/// Every mistake of one configuration, in the order of the file. Never empty when it is an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems {
    /// The file's name as it was given; empty where there is none.
    pub file: String,
    /// The mistakes.
    pub list: Vec<Problem>,
}

impl Problem {
    /// A mistake without a guess at what was meant.
    pub fn new(place: Place, key: &str, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { place, key: key.to_owned(), found: found.into(), expected: expected.into(), nearest: None }
    }

    /// The same with what was probably meant, if anything is near enough.
    #[must_use]
    pub fn meant(mut self, nearest: Option<String>) -> Self {
        self.nearest = nearest;
        self
    }

    fn message(&self) -> String {
        let mut message = format!("found {}, expected {}", self.found, self.expected);
        if let Some(nearest) = &self.nearest {
            let _ = write!(message, "; did you mean {nearest:?}?");
        }
        message
    }
}

impl Problems {
    /// None yet, in the file of this name.
    #[must_use]
    pub fn of(file: &str) -> Self {
        Self { file: file.to_owned(), list: Vec::new() }
    }

    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.list.push(problem);
    }

    /// Puts them into the order of the file: flags and missing values come last.
    pub fn sort(&mut self) {
        self.list.sort_by_key(|problem| match problem.place {
            Place::Line { line, column } => (0, line, column),
            Place::Flag(_) => (1, 0, 0),
            Place::Whole => (2, 0, 0),
        });
    }

    /// One line per mistake: `FILE:LINE:COL: key.path: found X, expected Y; did you mean "Z"?`.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.list.iter().map(|problem| line(&self.file, problem.place, &problem.key, &problem.message()))
    }

    /// The mistakes for programs: a list of `{file, line, column, flag, key, found, expected, nearest}`.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let one = |problem: &Problem| {
            let (line, column, flag) = match problem.place {
                Place::Line { line, column } => (Some(line), Some(column), None),
                Place::Flag(flag) => (None, None, Some(flag)),
                Place::Whole => (None, None, None),
            };
            serde_json::json!({
                "file": self.file, "line": line, "column": column, "flag": flag, "key": problem.key,
                "found": problem.found, "expected": problem.expected, "nearest": problem.nearest,
            })
        };
        self.list.iter().map(one).collect()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.lines().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{line}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// One mistake as a line: where, at which key (where there is one), and what.
pub(super) fn line(file: &str, place: Place, key: &str, what: &str) -> String {
    let place = match place {
        Place::Line { line, column } => format!("{file}:{line}:{column}: "),
        Place::Flag(flag) => format!("{flag}: "),
        Place::Whole if file.is_empty() => String::new(),
        Place::Whole => format!("{file}: "),
    };
    let separator = if key.is_empty() { "" } else { ": " };
    format!("{place}{key}{separator}{what}")
}

/// A text as it is repeated in a message: quoted, escaped and cut, a URL without what may be secret in it.
pub(crate) fn quoted(text: &str) -> String {
    let text = &*shown(text);
    match text.char_indices().nth(FOUND_CHARS_MAX) {
        None => format!("{text:?}"),
        Some((cut, _)) => format!("{:?}…", &text[..cut]),
    }
}

/// A URL without its user, password and query, which may be secret; any other text as it is.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else { return Cow::Borrowed(text) };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map(|(_, host)| host);
    let kept = path.find('?').map(|query| &path[..query]);
    if host.is_none() && kept.is_none() {
        return Cow::Borrowed(text);
    }
    let host = host.map_or(authority.to_owned(), |host| format!("…@{host}"));
    Cow::Owned(format!("{scheme}://{host}{}", kept.map_or(path.to_owned(), |path| format!("{path}?…"))))
}

/// The word among `known` that `word` was probably meant to be.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer words than any key are not compared: the distance costs the product of both lengths.
    if word.chars().count() > FOUND_CHARS_MAX {
        return None;
    }
    let word = word.to_lowercase();
    known
        .into_iter()
        .map(|known| (likeness(&word, known), known))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// 1 for equal words, 0 for wholly different ones. One slip is forgiven in short words too.
fn likeness(word: &str, known: &str) -> f64 {
    if word.len() > 2 && strsim::damerau_levenshtein(word, known) == 1 {
        return 0.99;
    }
    strsim::normalized_damerau_levenshtein(word, known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered_and_a_strange_one_is_not() {
        let known = ["timeout", "concurrency", "url", "mode"];
        assert_eq!(nearest("timout", known), Some("timeout"));
        assert_eq!(nearest("concurency", known), Some("concurrency"));
        assert_eq!(nearest("Mode", known), Some("mode"));
        assert_eq!(nearest("ulr", known), Some("url"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest(&"t".repeat(100_000), known), None);
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        assert_eq!(quoted(&"ä".repeat(65)), format!("\"{}\"…", "ä".repeat(64)));
        assert_eq!(quoted("a\nb"), r#""a\nb""#);
    }

    #[test]
    fn a_url_is_repeated_without_its_secrets() {
        for (text, expected) in [
            ("http://user:secret@a.example:1/b", "http://…@a.example:1/b"),
            ("https://a.example/b?code=secret", "https://a.example/b?…"),
            ("amqps://secret@a?secret", "amqps://…@a?…"),
            ("https://a.example/@b", "https://a.example/@b"),
            ("me@a.example?", "me@a.example?"),
        ] {
            assert_eq!(shown(text), expected);
        }
        assert_eq!(quoted("http://user:secret@a/"), "\"http://…@a/\"");
    }

    #[test]
    fn problems_come_in_the_order_of_the_file() {
        let at = |line| Place::Line { line, column: 1 };
        let mut problems = Problems::of("f.yaml");
        for place in [Place::Whole, at(9), Place::Flag("--url"), at(2)] {
            problems.push(Problem::new(place, "k", "1", "2"));
        }
        problems.sort();
        let lines: Vec<_> = problems.lines().collect();
        assert_eq!(
            lines,
            [
                "f.yaml:2:1: k: found 1, expected 2",
                "f.yaml:9:1: k: found 1, expected 2",
                "--url: k: found 1, expected 2",
                "f.yaml: k: found 1, expected 2",
            ]
        );
    }
}
