//! What the file says: a tree of values with their places, held against the table of known keys.
//!
//! serde stops at the first mistake; a person wants all of them. So the YAML is read into a [`Node`] tree, which
//! any document fits, and every judgement follows afterwards. Nothing here knows what a setting means.

mod named;

use std::{borrow::Cow, collections::HashMap, fmt};

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{MessageFormatter as _, Spanned};

use super::{
    problems::{Place, Problem, Problems, nearest, quoted},
    settings::{SECTIONS, SETTINGS, Setting},
};

/// The largest file that is read, in bytes.
pub(crate) const FILE_BYTES_MAX: u64 = 1 << 20;
/// From here on a float does not hold every whole number.
const FLOAT_EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub shape: Shape,
}

/// What YAML makes of a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    Null,
    Flag(bool),
    /// A number, as it is printed.
    Number(String),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; a key may be there twice.
    Map(Vec<(Name, Node)>),
}

/// A key of a map with its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Name {
    /// Where it stands.
    pub place: Place,
    /// The key.
    pub name: String,
}

/// The settings that a file (or a flag) names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Raw {
    given: HashMap<&'static str, Node>,
    /// What stands in a list in place of one section, or below names of its own.
    several: HashMap<&'static str, Vec<Entry>>,
}

/// One of several sections.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Where it stands.
    pub place: Place,
    /// Its own name; empty in a list.
    pub name: String,
    /// Its settings, by their whole paths.
    pub raw: Raw,
}

impl Raw {
    /// Reads a file's text. What has no place in the table is a problem; the rest is in the result all the same.
    pub(crate) fn read(text: &str, problems: &mut Problems) -> Self {
        let mut raw = Self::default();
        match parse(text) {
            Ok(Node { shape: Shape::Null, .. }) => {}
            Ok(Node { shape: Shape::Map(entries), .. }) => raw.section("", entries, problems),
            Ok(node) => problems.push(Problem::new(node.place, "", node.found(), "a map of settings")),
            Err(problem) => problems.push(problem),
        }
        raw
    }

    /// What is given for the setting.
    pub(crate) fn get(&self, path: &str) -> Option<&Node> {
        self.given.get(path)
    }

    /// The sections that stand in a list at this one's place; none where it is one alone, or not given.
    pub(crate) fn several(&self, section: &str) -> Option<&[Entry]> {
        self.several.get(section).map(Vec::as_slice)
    }

    /// Where the setting is given; [`Place::Whole`] when it has its default.
    pub(crate) fn place(&self, path: &str) -> Place {
        self.get(path).map_or(Place::Whole, |node| node.place)
    }

    /// Gives a setting, in place of what the file says.
    pub(crate) fn set(&mut self, path: &'static str, node: Node) {
        self.given.insert(path, node);
    }

    fn section(&mut self, prefix: &str, entries: Vec<(Name, Node)>, problems: &mut Problems) {
        if let Some(section) = SECTIONS.iter().find(|section| section.is_of_each(prefix)) {
            return self.named(section, entries, problems);
        }
        for (name, node) in entries {
            let path = if prefix.is_empty() { name.name.clone() } else { format!("{prefix}.{}", name.name) };
            if let Some(setting) = SETTINGS.iter().find(|setting| setting.path == path) {
                if self.given.contains_key(setting.path) {
                    problems.push(Problem::new(name.place, &path, "the same key twice", "each key once"));
                } else {
                    self.given.insert(setting.path, node);
                }
            } else if let Some(section) = SECTIONS.iter().find(|section| section.path == path) {
                match node.shape {
                    Shape::Map(_) | Shape::List(_) if self.several.contains_key(section.path) => {
                        problems.push(Problem::new(name.place, &path, "the same key twice", "each key once"));
                    }
                    Shape::Map(entries) => self.section(&path, entries, problems),
                    Shape::List(entries) if (1..=section.several_max).contains(&entries.len()) => {
                        let entries =
                            entries.into_iter().filter_map(|entry| self::entry(&path, entry, problems));
                        self.several.insert(section.path, entries.collect());
                    }
                    _ if section.word.is_some_and(|word| node.is_word(word)) => {
                        self.given.insert(section.path, node);
                    }
                    // All lines below the key are commented out.
                    Shape::Null => {}
                    _ => {
                        let word = section.word.map(|word| format!(", or {word}")).unwrap_or_default();
                        let list = match section.several_max {
                            0 => String::new(),
                            most => format!(", or a list of at most {most} such"),
                        };
                        let expected = format!("the settings of {path}, indented below it{list}{word}");
                        problems.push(Problem::new(node.place, &path, node.found(), expected));
                    }
                }
            } else {
                problems.push(unknown(prefix, &name));
            }
        }
    }
}

/// One of several sections at `path`.
fn entry(path: &str, node: Node, problems: &mut Problems) -> Option<Entry> {
    let Shape::Map(entries) = node.shape else {
        problems.push(Problem::new(node.place, path, node.found(), format!("the settings of {path}")));
        return None;
    };
    let mut raw = Raw::default();
    raw.section(path, entries, problems);
    Some(Entry { place: node.place, name: String::new(), raw })
}

fn unknown(prefix: &str, name: &Name) -> Problem {
    let known: Vec<_> = children(prefix).collect();
    let path = if prefix.is_empty() { name.name.clone() } else { format!("{prefix}.{}", name.name) };
    let meant =
        nearest(&name.name, known.iter().copied()).map(str::to_owned).or_else(|| elsewhere(&name.name));
    let owner = if prefix.is_empty() { String::new() } else { format!(" of {prefix}") };
    let expected = match meant {
        Some(_) => format!("a key{owner}"),
        None => format!("a key{owner} ({})", known.join(", ")),
    };
    Problem::new(name.place, &printable(&path), "an unknown key", expected).meant(meant)
}

/// The names that may stand directly under a section.
fn children(prefix: &str) -> impl Iterator<Item = &'static str> {
    let paths =
        SECTIONS.iter().map(|section| section.path).chain(SETTINGS.iter().map(|setting| setting.path));
    paths.filter_map(move |path| {
        let rest = if prefix.is_empty() { path } else { path.strip_prefix(prefix)?.strip_prefix('.')? };
        (!rest.contains('.')).then_some(rest)
    })
}

/// The whole path of a setting of that name in another section.
fn elsewhere(name: &str) -> Option<String> {
    let last = |setting: &&Setting| setting.path.rsplit('.').next() == Some(name);
    SETTINGS.iter().find(last).map(|setting| setting.path.to_owned())
}

impl Node {
    /// The text of a scalar; none of a list, a map or nothing.
    pub(crate) fn text(&self) -> Option<Cow<'_, str>> {
        match &self.shape {
            Shape::Flag(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
            Shape::Number(text) | Shape::Text(text) => Some(Cow::Borrowed(text)),
            Shape::Null | Shape::List(_) | Shape::Map(_) => None,
        }
    }

    /// Whether it is exactly this word.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(&self.shape, Shape::Text(text) if text == word)
    }

    /// The same as JSON, as an editor's validator sees it.
    pub(crate) fn json(&self) -> serde_json::Value {
        match &self.shape {
            Shape::Null => serde_json::Value::Null,
            Shape::Flag(flag) => (*flag).into(),
            Shape::Number(text) => serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()),
            Shape::Text(text) => text.as_str().into(),
            Shape::List(entries) => entries.iter().map(Self::json).collect(),
            Shape::Map(entries) => {
                entries.iter().map(|(name, node)| (name.name.clone(), node.json())).collect()
            }
        }
    }

    /// Puts what is written in place of numbers that the YAML reader took through a float and so may have rounded.
    fn unround(&mut self, lines: &[&str]) {
        match &mut self.shape {
            Shape::Number(number) => {
                if let Some(written) = written(self.place, lines)
                    && let Ok(float) = written.parse::<f64>()
                    && float.abs() >= FLOAT_EXACT_MAX
                    && float.to_string() == *number
                {
                    written.clone_into(number);
                }
            }
            Shape::List(entries) => entries.iter_mut().for_each(|entry| entry.unround(lines)),
            Shape::Map(entries) => entries.iter_mut().for_each(|(_, entry)| entry.unround(lines)),
            Shape::Null | Shape::Flag(_) | Shape::Text(_) => {}
        }
    }

    /// What stands there, as a phrase.
    pub(crate) fn found(&self) -> String {
        match &self.shape {
            Shape::Null => "nothing".to_owned(),
            Shape::Flag(flag) => flag.to_string(),
            Shape::Number(text) => printable(text),
            Shape::Text(text) => quoted(text),
            Shape::List(entries) if entries.is_empty() => "an empty list".to_owned(),
            Shape::List(_) => "a list".to_owned(),
            Shape::Map(_) => "a map".to_owned(),
        }
    }
}

/// The plain scalar at a place.
fn written<'a>(place: Place, lines: &[&'a str]) -> Option<&'a str> {
    let Place::Line { line, column } = place else { return None };
    let line = lines.get(usize::try_from(line).ok()?.checked_sub(1)?)?;
    let (start, _) = line.char_indices().nth(usize::try_from(column).ok()?.checked_sub(1)?)?;
    line[start..].split([' ', '\t', ',', ']', '}']).next()
}

/// A key as it is repeated in a message: as it stands when it is short and plain.
pub(crate) fn printable(name: &str) -> String {
    let plain = name.len() <= 64 && name.chars().all(|c| !c.is_control() && !c.is_whitespace());
    if plain { name.to_owned() } else { quoted(name) }
}

/// Reads one YAML document as a tree.
///
/// # Errors
/// The problem that stopped the YAML parser.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    // "off" is a word here, not a flag; a tag or a merge key has no use in a configuration.
    // The limits hold for documents that are small but unfold: 1,000 aliases of a list of 1,000.
    let options = serde_saphyr::options! {
        strict_booleans: true,
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::PassThrough,
        merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::AsString,
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000 },
        budget: serde_saphyr::budget! { max_depth: 32, flow_nesting_limit: 32, max_nodes: 20_000 },
    };
    match serde_saphyr::from_str_with_options::<Spanned<Shape>>(text, options) {
        Ok(spanned) => {
            let mut node = node(spanned);
            let lines: Vec<_> = text.lines().collect();
            node.unround(&lines);
            Ok(node)
        }
        Err(serde_saphyr::Error::Eof { .. }) => Ok(Node { place: Place::Whole, shape: Shape::Null }),
        Err(error) => Err(not_yaml(&error)),
    }
}

fn not_yaml(error: &serde_saphyr::Error) -> Problem {
    let place = error.location().map_or(Place::Whole, place_of);
    let message = serde_saphyr::UserMessageFormatter.format_message(error.without_snippet());
    let escaped = |c: char| match c {
        '\'' | '"' => c.to_string(),
        _ => c.escape_debug().to_string(),
    };
    let message: String = message.chars().take(300).map(escaped).collect();
    Problem::new(place, "", format!("no YAML ({message})"), "a YAML document of settings")
}

fn node(spanned: Spanned<Shape>) -> Node {
    Node { place: place_of(spanned.referenced), shape: spanned.value }
}

fn place_of(location: serde_saphyr::Location) -> Place {
    match location.line() {
        0 => Place::Whole,
        line => Place::Line { line, column: location.column() },
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_none<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Shape, E> {
        Ok(Shape::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Shape, E> {
        Ok(Shape::Number(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Shape, E> {
        Ok(Shape::Number(number.to_string()))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Shape, E> {
        Ok(Shape::Number(number.to_string()))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Shape, E> {
        Ok(Shape::Number(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Shape, E> {
        Ok(Shape::Number(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Shape, E> {
        Ok(Shape::Text(text.to_owned()))
    }

    fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Shape, E> {
        Err(E::custom("binary values are not used in a configuration"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Shape, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element::<Spanned<Shape>>()? {
            list.push(node(entry));
        }
        Ok(Shape::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Shape, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<Shape>>()? {
            let key = node(key);
            let Some(name) = key.text() else {
                return Err(A::Error::custom(format!("{} stands where a key is expected", key.found())));
            };
            let name = Name { place: key.place, name: name.into_owned() };
            map.push((name, node(entries.next_value::<Spanned<Shape>>()?)));
        }
        Ok(Shape::Map(map))
    }
}
