//! Filters from a JSON document, as a subscription has them.

use serde_json::{Map, Value};

use super::{Comparing, Filter, FilterError};
use crate::{expression::Expression, parser::DEPTH_MAX};

const DIALECTS: &str = "exact, prefix, suffix, all, any, not, sql";

impl Filter {
    /// The filters of a subscription: an array, of which every one must say yes, or a single filter.
    ///
    /// Each is an object with one dialect: `{"exact": {"type": "com.example.order"}}`. An empty array lets every event pass.
    ///
    /// # Errors
    /// A [`FilterError`] with the path to the first mistake.
    ///
    /// ```
    /// use outrigger_cesql::Filter;
    ///
    /// let filter = Filter::from_json(&serde_json::json!([
    ///     {"prefix": {"type": "com.example."}},
    ///     {"not": {"sql": "priority < 3"}},
    /// ]))?;
    /// assert!(filter.matches(&[("type", "com.example.order".into()), ("priority", 5.into())]));
    ///
    /// let error = Filter::from_json(&serde_json::json!([{"any": [{"sql": "priority <"}]}])).unwrap_err();
    /// assert!(error.to_string().starts_with("[0].any[0].sql: column 11: found the end, expected an expression"));
    /// # Ok::<(), outrigger_cesql::FilterError>(())
    /// ```
    pub fn from_json(document: &Value) -> Result<Self, FilterError> {
        match document {
            Value::Array(filters) if filters.is_empty() => Ok(Self::everything()),
            Value::Array(filters) => Self::all(&list(filters, "", 0)?),
            one => filter(one, "", 0),
        }
    }
}

fn filter(document: &Value, path: &str, depth: usize) -> Result<Filter, FilterError> {
    let expected =
        || format!("{} where a filter is expected: an object with one of {DIALECTS}", found(document));
    if depth > DEPTH_MAX {
        return Err(FilterError::new(path, format!("more than {DEPTH_MAX} levels of filters")));
    }
    let Value::Object(members) = document else { return Err(FilterError::new(path, expected())) };
    let mut members = members.iter();
    let (Some((dialect, inner)), None) = (members.next(), members.next()) else {
        return Err(FilterError::new(path, expected()));
    };
    let below = join(path, dialect);
    match dialect.as_str() {
        "exact" => compare(Comparing::Exact, inner, &below),
        "prefix" => compare(Comparing::Prefix, inner, &below),
        "suffix" => compare(Comparing::Suffix, inner, &below),
        "all" => placed(Filter::all(&filters(inner, &below, depth)?), &below),
        "any" => placed(Filter::any(&filters(inner, &below, depth)?), &below),
        "not" => placed(filter(inner, &below, depth + 1)?.negated(), &below),
        "sql" => match inner {
            Value::String(text) => match Expression::parse(text) {
                Ok(expression) => Ok(expression.into()),
                Err(error) => Err(FilterError::new(below, error.to_string())),
            },
            other => {
                Err(FilterError::new(below, format!("{} where an expression is expected", found(other))))
            }
        },
        _ => {
            let shown = crate::error::shortened(dialect, 24);
            Err(FilterError::new(path, format!("`{shown}` is no dialect that is known here: {DIALECTS}")))
        }
    }
}

fn filters(document: &Value, path: &str, depth: usize) -> Result<Vec<Filter>, FilterError> {
    match document {
        Value::Array(filters) if !filters.is_empty() => list(filters, path, depth + 1),
        other => Err(FilterError::new(
            path,
            format!("{} where an array of at least one filter is expected", found(other)),
        )),
    }
}

fn list(filters: &[Value], path: &str, depth: usize) -> Result<Vec<Filter>, FilterError> {
    let one = |(index, document)| filter(document, &format!("{path}[{index}]"), depth);
    filters.iter().enumerate().map(one).collect()
}

fn compare(how: Comparing, document: &Value, path: &str) -> Result<Filter, FilterError> {
    let texts = match document {
        Value::Object(texts) if !texts.is_empty() => texts,
        other => {
            let what = "an object is expected of attributes' names and texts";
            return Err(FilterError::new(path, format!("{} where {what}", found(other))));
        }
    };
    placed(Filter::all(&compared(how, texts, path)?), path)
}

fn compared(how: Comparing, texts: &Map<String, Value>, path: &str) -> Result<Vec<Filter>, FilterError> {
    let one = |(name, text): (&String, &Value)| {
        let path = join(path, name);
        match text {
            Value::String(text) => placed(Filter::compare(how, name, text), &path),
            other => Err(FilterError::new(path, format!("{} where a text is expected", found(other)))),
        }
    };
    texts.iter().map(one).collect()
}

fn placed(made: Result<Filter, FilterError>, path: &str) -> Result<Filter, FilterError> {
    made.map_err(|error| FilterError::new(path, error.message))
}

fn join(path: &str, name: &str) -> String {
    let name = crate::error::shortened(name, 24);
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

fn found(document: &Value) -> String {
    match document {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("\"{}\"", crate::error::shortened(text, 24)),
        Value::Array(members) if members.is_empty() => "an empty array".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(members) => match members.len() {
            0 => "an empty object".to_owned(),
            1 => "an object".to_owned(),
            several => format!("an object with {several} members"),
        },
    }
}
