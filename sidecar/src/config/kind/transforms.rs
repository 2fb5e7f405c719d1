//! Rules on events as they stand in a file (`transform`).

use outrigger_cesql::{Expression, TEXT_BYTES_MAX as EXPRESSION_BYTES_MAX};
use serde_json::{Value as Json, json};

use super::{Kind, Value, is_attribute, is_line, list, schema::line};
use crate::{
    config::{
        problems::{Problem, nearest},
        raw::{Name, Node, Shape, printable},
    },
    transform::{CONTROL_ATTRIBUTES, CONTROL_TYPES, Literal, Rule, Source, pointer, pointer::Pointer},
};

/// The most rules, and the most attributes in one part of a rule.
const RULES_MAX: usize = 100;
const KEYS: [&str; 8] = ["name", "when", "copy", "rename", "drop", "set", "subject", "key"];
const A_NAME: &str = "a name of a-z, 0-9 and -, at most 64 characters";
const AN_ATTRIBUTE: &str = "the name of a CloudEvents attribute (a-z, 0-9)";
/// What a rule can neither take away nor, but for its value, do without.
const REQUIRED: [&str; 4] = ["id", "source", "type", "specversion"];
const A_POINTER: &str = "a JSON Pointer such as /customer/id";

type Read<T> = Result<T, Vec<Problem>>;

/// Reads a list of rules.
pub(super) fn transforms(key: &str, node: &Node) -> Read<Value> {
    let entries = match &node.shape {
        Shape::List(entries) if (1..=RULES_MAX).contains(&entries.len()) => entries,
        _ => return Err(vec![Problem::new(node.place, key, node.found(), Kind::Transforms.expected())]),
    };
    let (mut good, mut bad): (Vec<Rule>, _) = (Vec::new(), Vec::new());
    for (index, entry) in entries.iter().enumerate() {
        let at = format!("{key}.{}", index + 1);
        match rule(&at, entry) {
            Ok(rule) if good.iter().any(|other| other.name == rule.name) => {
                let found = format!("the name {} twice", rule.name);
                bad.push(Problem::new(
                    entry.place,
                    &at,
                    found,
                    "each name once: dead letters tell rules by it",
                ));
            }
            Ok(rule) => good.push(rule),
            Err(problems) => bad.extend(problems),
        }
    }
    if bad.is_empty() { Ok(Value::Transforms(good)) } else { Err(bad) }
}

fn rule(key: &str, node: &Node) -> Read<Rule> {
    let Shape::Map(entries) = &node.shape else {
        let expected = format!("a rule with a name and some of {}", KEYS[2..].join(", "));
        return Err(vec![Problem::new(node.place, key, node.found(), expected)]);
    };
    let (mut rule, mut bad, mut named) = (Rule::default(), Vec::new(), Vec::new());
    for (name, value) in entries {
        let at = format!("{key}.{}", printable(&name.name));
        if named.contains(&name.name.as_str()) {
            bad.push(Problem::new(name.place, &at, "the same key twice", "each key once"));
            continue;
        }
        named.push(&name.name);
        if let Err(problems) = part(&mut rule, &at, (name, value)) {
            bad.extend(problems);
        }
    }
    if !named.contains(&"name") {
        let expected = "a name, by which a dead letter tells which rule failed";
        bad.push(Problem::new(node.place, &format!("{key}.name"), "nothing", expected));
    }
    if !named.iter().any(|name| KEYS[2..].contains(name)) && bad.is_empty() {
        let expected = format!("what the rule does: some of {}", KEYS[2..].join(", "));
        bad.push(Problem::new(node.place, key, "a rule that does nothing", expected));
    }
    if bad.is_empty() { Ok(rule) } else { Err(bad) }
}

fn part(rule: &mut Rule, at: &str, (name, value): (&Name, &Node)) -> Read<()> {
    let wrong = |expected: &str| vec![Problem::new(value.place, at, value.found(), expected)];
    match name.name.as_str() {
        "name" => {
            let text = value.text().filter(|text| is_name(text)).ok_or_else(|| wrong(A_NAME))?;
            rule.name = text.into_owned();
        }
        "when" => rule.when = Some(expression(at, value)?),
        "copy" => rule.copy = moves(at, value, false)?,
        "rename" => rule.rename = moves(at, value, true)?,
        "drop" => {
            let Value::List(names) = list(at, value, "a list of names", is_droppable, DROPPABLE)? else {
                unreachable!("a list is read as one")
            };
            rule.drop = names;
        }
        "set" => {
            rule.set = map(at, value, |at, name, node| {
                let source = source(at, node)?;
                if name == "type"
                    && matches!(&source, Source::Literal(Literal::Text(text)) if text.starts_with(CONTROL_TYPES))
                {
                    let expected =
                        format!("a type that does not begin with {CONTROL_TYPES}, as outrigger's own do");
                    return Err(vec![Problem::new(node.place, at, node.found(), expected)]);
                }
                Ok(source)
            })?;
        }
        "subject" => rule.subject = Some(chosen(at, value)?),
        "key" => rule.key = Some(chosen(at, value)?),
        other => {
            let expected = format!("one of {}", KEYS.join(", "));
            let meant = nearest(other, KEYS).map(str::to_owned);
            return Err(vec![Problem::new(name.place, at, "an unknown key", expected).meant(meant)]);
        }
    }
    Ok(())
}

/// From which attribute to which.
fn moves(at: &str, node: &Node, takes_away: bool) -> Read<Vec<(String, String)>> {
    let good = |name: &str| is_attribute(name) && (!takes_away || is_droppable(name));
    let expected = if takes_away { DROPPABLE } else { AN_ATTRIBUTE };
    let entries = entries(at, node)?;
    let (mut moves, mut bad) = (Vec::new(), Vec::new());
    for (from, to) in entries {
        let at = format!("{at}.{}", printable(&from.name));
        if !good(&from.name) {
            bad.push(Problem::new(from.place, &at, printable(&from.name), expected));
        } else if moves.iter().any(|(other, _)| *other == from.name) {
            bad.push(Problem::new(from.place, &at, "the same attribute twice", "each once"));
        } else {
            match to.text().filter(|to| is_settable(to)) {
                Some(to) => moves.push((from.name.clone(), to.into_owned())),
                None => bad.push(Problem::new(to.place, &at, to.found(), SETTABLE)),
            }
        }
    }
    if bad.is_empty() { Ok(moves) } else { Err(bad) }
}

/// Attributes and what stands behind them.
fn map<T>(at: &str, node: &Node, read: impl Fn(&str, &str, &Node) -> Read<T>) -> Read<Vec<(String, T)>> {
    let (mut good, mut bad): (Vec<(String, T)>, _) = (Vec::new(), Vec::new());
    for (name, value) in entries(at, node)? {
        let at = format!("{at}.{}", printable(&name.name));
        if !is_settable(&name.name) {
            bad.push(Problem::new(name.place, &at, printable(&name.name), SETTABLE));
        } else if good.iter().any(|(other, _)| *other == name.name) {
            bad.push(Problem::new(name.place, &at, "the same attribute twice", "each once"));
        } else {
            match read(&at, &name.name, value) {
                Ok(value) => good.push((name.name.clone(), value)),
                Err(problems) => bad.extend(problems),
            }
        }
    }
    if bad.is_empty() { Ok(good) } else { Err(bad) }
}

fn entries<'n>(at: &str, node: &'n Node) -> Read<&'n [(Name, Node)]> {
    match &node.shape {
        Shape::Map(entries) if (1..=RULES_MAX).contains(&entries.len()) => Ok(entries),
        _ => {
            let expected = format!("at most {RULES_MAX} attributes by name");
            Err(vec![Problem::new(node.place, at, node.found(), expected)])
        }
    }
}

/// A value, or where it comes from.
fn source(at: &str, node: &Node) -> Read<Source> {
    let literal = match &node.shape {
        Shape::Map(_) => return chosen(at, node),
        Shape::Flag(truth) => Literal::Boolean(*truth),
        Shape::Number(text) => text.parse().map_or_else(|_| Literal::Text(text.clone()), Literal::Integer),
        Shape::Text(text) if is_line(text) => Literal::Text(text.clone()),
        _ => return Err(vec![Problem::new(node.place, at, node.found(), A_SOURCE)]),
    };
    Ok(Source::Literal(literal))
}

const A_SOURCE: &str = "a value without control characters, {cesql: EXPRESSION} or {pointer: /a/b}";

/// Where a value comes from.
fn chosen(at: &str, node: &Node) -> Read<Source> {
    let Shape::Map(entries) = &node.shape else {
        let expected = "{pointer: /a/b} or {cesql: EXPRESSION}";
        return Err(vec![Problem::new(node.place, at, node.found(), expected)]);
    };
    match entries.as_slice() {
        [(name, value)] if name.name == "cesql" => {
            expression(&format!("{at}.cesql"), value).map(Source::Cesql)
        }
        [(name, value)] if name.name == "pointer" => {
            let pointer = value.text().and_then(|text| Pointer::parse(&text));
            let at = format!("{at}.pointer");
            let wrong = || vec![Problem::new(value.place, &at, value.found(), A_POINTER)];
            pointer.map(Source::Pointer).ok_or_else(wrong)
        }
        _ => Err(vec![Problem::new(node.place, at, node.found(), "one of cesql and pointer")]),
    }
}

fn expression(at: &str, node: &Node) -> Read<Expression> {
    let wrong = |expected: String| vec![Problem::new(node.place, at, node.found(), expected)];
    let text = node.text().ok_or_else(|| wrong("an expression of CESQL".to_owned()))?;
    Expression::parse(&text).map_err(|error| wrong(format!("an expression of CESQL; {error}")))
}

fn is_name(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(good)
}

const SETTABLE: &str =
    "the name of a CloudEvents attribute (a-z, 0-9) other than specversion and outrigger's own";

fn is_settable(name: &str) -> bool {
    is_attribute(name) && !matches!(name, "specversion" | "data") && !name.starts_with(CONTROL_ATTRIBUTES)
}

const DROPPABLE: &str = "the name of a CloudEvents attribute (a-z, 0-9) that an event can do without";

fn is_droppable(name: &str) -> bool {
    is_attribute(name) && !REQUIRED.contains(&name)
}

/// The same as JSON Schema.
pub(super) fn schema() -> Json {
    let name = json!({"pattern": "^[a-z0-9]{1,64}$"});
    let map = |values: Json| {
        json!({"type": "object", "propertyNames": name, "additionalProperties": values,
               "minProperties": 1, "maxProperties": RULES_MAX})
    };
    let expression = json!({"type": ["string", "number", "boolean"], "maxLength": EXPRESSION_BYTES_MAX});
    let pointer = json!({"type": "string", "pattern": "^(/|$)", "maxLength": pointer::BYTES_MAX});
    let chosen = json!({
        "type": "object",
        "properties": {"cesql": expression, "pointer": pointer},
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": 1,
    });
    let rule = json!({
        "type": "object",
        "properties": {
            "name": {"type": ["string", "number", "boolean"], "pattern": "^[a-z0-9-]{1,64}$"},
            "when": expression,
            "copy": map(json!({"type": ["string", "number", "boolean"], "pattern": "^[a-z0-9]{1,64}$"})),
            "rename": map(json!({"type": ["string", "number", "boolean"], "pattern": "^[a-z0-9]{1,64}$"})),
            "drop": Kind::Attributes.schema(),
            "set": map(json!({"anyOf": [line(), chosen]})),
            "subject": chosen,
            "key": chosen,
        },
        "required": ["name"],
        "additionalProperties": false,
        "minProperties": 2,
    });
    json!({"type": "array", "items": rule, "minItems": 1, "maxItems": RULES_MAX})
}

#[cfg(test)]
mod tests;
