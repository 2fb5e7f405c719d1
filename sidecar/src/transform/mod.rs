//! Rules of the user on events: attributes set, copied, renamed and dropped, keys and subjects chosen. Pure.
//!
//! Rules run in their order, each on what those before it left. Within one rule the order is copy, rename, drop, set, subject,
//! key, whatever the file's. The data is read, and never changed. A rule that fails gives the event up as it came, so that
//! its dead letter can be replayed once the rule is mended: [`transformed`] changes all of an event or nothing.
//!
//! How rules are written in a file is in `config::kind::transforms`.

pub mod pointer;

use std::{borrow::Cow, fmt};

use outrigger_cesql::Expression;
use outrigger_core::{Event, Key, Value};
use pointer::{Pointer, Scalar};

use crate::filter::Attributed;

/// The types of events by which outrigger itself is told something; no rule may make one.
pub const CONTROL_TYPES: &str = "io.outrigger.";
/// Attributes that begin so are outrigger's own.
pub const CONTROL_ATTRIBUTES: &str = "outrigger";

/// One rule.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rule {
    /// By which a dead letter names it; no two rules have the same.
    pub name: String,
    /// The events that it is for; none is all. An expression that fails on an event is not true of it.
    pub when: Option<Expression>,
    /// From which attribute to which.
    pub copy: Vec<(String, String)>,
    /// From which attribute to which; the first is gone afterwards.
    pub rename: Vec<(String, String)>,
    /// Attributes that are taken away, where the event has them.
    pub drop: Vec<String>,
    /// Attributes and what they become.
    pub set: Vec<(String, Source)>,
    /// What the subject becomes.
    pub subject: Option<Source>,
    /// What the ordering key becomes.
    pub key: Option<Source>,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// It stands in the rule.
    Literal(Literal),
    /// What an expression comes to.
    Cesql(Expression),
    /// What stands at a place in data that is JSON.
    Pointer(Pointer),
}

/// A value that stands in a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number of 32 bits.
    Integer(i32),
    /// Anything else.
    Text(String),
}

/// Which rule failed on an event, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed<'r> {
    /// The rule's name.
    pub rule: &'r str,
    /// One line, without the rule's name.
    pub why: String,
}

impl fmt::Display for Failed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}: {}", self.rule, self.why)
    }
}

/// What rules made of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// The event.
    pub event: Event,
    /// Its new ordering key; none where no rule chose one.
    pub key: Option<Key>,
}

/// The event after all rules, as `source` sent it; `None` where none of them is for it.
///
/// # Errors
/// The first rule that fails: an attribute that is copied or renamed is absent, an expression has an error, nothing or no
/// scalar stands where a pointer leads, or an attribute cannot have the value.
pub fn transformed<'r>(
    rules: &'r [Rule],
    source: &str,
    event: &Event,
) -> Result<Option<Changed>, Failed<'r>> {
    let mut changed: Option<Changed> = None;
    for rule in rules {
        let current = changed.as_ref().map_or(event, |changed| &changed.event);
        if rule.when.as_ref().is_some_and(|when| !when.matches(&Attributed(current))) {
            continue;
        }
        let changed = changed.get_or_insert_with(|| Changed { event: event.clone(), key: None });
        rule.apply(source, changed).map_err(|why| Failed { rule: &rule.name, why })?;
    }
    Ok(changed)
}

impl Rule {
    fn apply(&self, source: &str, changed: &mut Changed) -> Result<(), String> {
        let Changed { event, key } = changed;
        for (from, to) in &self.copy {
            copy(event, from, to)?;
        }
        for (from, to) in &self.rename {
            copy(event, from, to)?;
            event.remove(from);
        }
        for name in &self.drop {
            event.remove(name);
        }
        for (name, value) in &self.set {
            match value.value(event)? {
                Found::Boolean(truth) => put(event, name, Value::Boolean(truth))?,
                Found::Integer(number) => put(event, name, Value::Integer(number))?,
                Found::Text(text) => {
                    let text = text.into_owned();
                    put(event, name, Value::String(&text))?;
                }
            }
        }
        if let Some(subject) = &self.subject {
            let text = subject.value(event)?.text().into_owned();
            put(event, "subject", Value::String(&text))?;
        }
        if let Some(chosen) = &self.key {
            *key = Some(Key::new(source, chosen.value(event)?.text().as_bytes()));
        }
        Ok(())
    }
}

/// A value on its way to an attribute or a key.
enum Found<'a> {
    Boolean(bool),
    Integer(i32),
    Text(Cow<'a, str>),
}

impl<'a> Found<'a> {
    fn text(self) -> Cow<'a, str> {
        match self {
            Self::Boolean(truth) => Cow::Borrowed(if truth { "true" } else { "false" }),
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::Text(text) => text,
        }
    }
}

impl Source {
    fn value<'a>(&'a self, event: &'a Event) -> Result<Found<'a>, String> {
        match self {
            Self::Literal(Literal::Boolean(truth)) => Ok(Found::Boolean(*truth)),
            Self::Literal(Literal::Integer(number)) => Ok(Found::Integer(*number)),
            Self::Literal(Literal::Text(text)) => Ok(Found::Text(Cow::Borrowed(text))),
            Self::Cesql(expression) => {
                let evaluation = expression.evaluate(&Attributed(event));
                match (evaluation.errors.first(), evaluation.value) {
                    (Some(error), _) => Err(format!("{expression}: {error}")),
                    (None, outrigger_cesql::Value::Boolean(truth)) => Ok(Found::Boolean(truth)),
                    (None, outrigger_cesql::Value::Integer(number)) => Ok(Found::Integer(number)),
                    (None, outrigger_cesql::Value::String(text)) => {
                        Ok(Found::Text(Cow::Owned(text.into_owned())))
                    }
                }
            }
            Self::Pointer(pointer) => match pointer.find(event.data().map(|data| &data[..]))? {
                Scalar::Boolean(truth) => Ok(Found::Boolean(truth)),
                Scalar::Number(text) => {
                    Ok(text.parse().map_or(Found::Text(Cow::Borrowed(text)), Found::Integer))
                }
                Scalar::Text(text) => Ok(Found::Text(text)),
            },
        }
    }
}

fn copy(event: &mut Event, from: &str, to: &str) -> Result<(), String> {
    let text = |event: &Event| event.text(from).map(Cow::into_owned);
    let Some(owned) = text(event) else { return Err(format!("the event has no attribute {from}")) };
    // An attribute that the specification defines takes any type's text, and an extension keeps the type.
    let value = match event.get(from) {
        Some(Value::Boolean(truth)) => Value::Boolean(truth),
        Some(Value::Integer(number)) => Value::Integer(number),
        Some(Value::Binary(_)) => Value::Binary(&owned),
        Some(Value::Uri(_)) => Value::Uri(&owned),
        Some(Value::UriRef(_)) => Value::UriRef(&owned),
        Some(Value::Timestamp(_)) => Value::Timestamp(&owned),
        Some(Value::String(_)) | None => Value::String(&owned),
    };
    put(event, to, value)
}

/// Sets an attribute, which takes the text of any value where the specification gives it a type of its own.
fn put(event: &mut Event, name: &str, value: Value<'_>) -> Result<(), String> {
    if name == "type" && value.text().starts_with(CONTROL_TYPES) {
        return Err(format!("type: {CONTROL_TYPES}* is how outrigger itself is told something"));
    }
    let text = value.text();
    let set = match name {
        "id" | "source" | "type" | "subject" | "time" | "dataschema" | "datacontenttype" => {
            event.set(name, Value::String(&text))
        }
        _ => event.set(name, value),
    };
    set.map_err(|invalid| invalid.to_string())
}

#[cfg(test)]
mod tests;
