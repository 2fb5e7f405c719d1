//! What rules say of events and where they go, as it stands in a file.

use outrigger_cesql::{Expression, Filter};

use super::{Kind, Value};
use crate::config::{
    problems::Problem,
    raw::{Node, Shape},
    routes::When,
};

/// Reads CESQL, or filters of the Subscriptions API. What is wrong within an expression is told with its place there.
pub(super) fn filter(key: &str, node: &Node) -> Result<Value, Vec<Problem>> {
    if let Some(text) = node.text() {
        return match Expression::parse(&text) {
            Ok(_) => Ok(Value::Filter(When::Expression(text.into_owned()))),
            Err(error) => {
                let line = if error.line() > 1 { format!("line {}, ", error.line()) } else { String::new() };
                let found =
                    format!("{} at {line}character {} of the expression", error.found(), error.column());
                Err(vec![Problem::new(node.place, key, found, error.expected())])
            }
        };
    }
    if matches!(node.shape, Shape::Null) {
        return Err(vec![Problem::new(node.place, key, node.found(), Kind::Filter.expected())]);
    }
    let document = node.json();
    match Filter::from_json(&document) {
        Ok(_) => Ok(Value::Filter(When::Filter(document))),
        Err(error) => {
            let at = if error.path().is_empty() { String::new() } else { format!(" at {}", error.path()) };
            let found = format!("no filter ({}){at}", error.message());
            Err(vec![Problem::new(node.place, key, found, Kind::Filter.expected())])
        }
    }
}

pub(super) fn is_name(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=63).contains(&text.len()) && text.bytes().all(good)
}

pub(super) fn is_target(text: &str) -> bool {
    is_name(text) && !text.bytes().any(|b| b.is_ascii_uppercase() || b == b'.')
}
