//! Who may enter and send what, as it stands in a file: rules, certificates, issuers, words of a list.

use serde_json::{Value as Json, json};

use super::{ENTRIES_MAX, Kind, TEXT_BYTES_MAX, Value, is_line, list, schema::line, token_url};
use crate::config::{
    auth::{Claim, Rule},
    problems::{Problem, nearest, quoted},
    raw::{Name, Node, Shape, printable},
};

/// What a rule may name.
const KEYS: [&str; 6] = ["claims", "certificates", "methods", "paths", "sources", "types"];
const METHODS: &[&str] = &["bearer", "certificate", "oidc", "hmac"];
/// The most rules, and the most claims in one: each is held against each request.
const RULES_MAX: usize = 100;

/// Reads a list of rules, each a map that names at least one thing.
pub(super) fn rules(key: &str, node: &Node) -> Result<Value, Vec<Problem>> {
    let entries = match &node.shape {
        Shape::List(entries) if (1..=RULES_MAX).contains(&entries.len()) => entries,
        _ => return Err(vec![Problem::new(node.place, key, node.found(), Kind::Rules.expected())]),
    };
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (index, entry) in entries.iter().enumerate() {
        let at = format!("{key}.{}", index + 1);
        match rule(&at, entry) {
            Ok(rule) => good.push(rule),
            Err(problems) => bad.extend(problems),
        }
    }
    if bad.is_empty() { Ok(Value::Rules(good)) } else { Err(bad) }
}

/// The same as JSON Schema.
pub(super) fn schema() -> Json {
    let entries = json!({"type": "object", "additionalProperties": claim(), "minProperties": 1, "maxProperties": RULES_MAX});
    let of = |key: &str| match key {
        "claims" => entries.clone(),
        "certificates" => Kind::Peers.schema(),
        "methods" => Kind::Words(METHODS).schema(),
        _ => Kind::Lines.schema(),
    };
    let properties: serde_json::Map<_, _> = KEYS.map(|key| (key.to_owned(), of(key))).into_iter().collect();
    let rule = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "minProperties": 1,
    });
    json!({"type": "array", "items": rule, "minItems": 1, "maxItems": RULES_MAX})
}

/// What a claim may be, or several such.
fn claim() -> Json {
    json!({"anyOf": [line(), {"type": "array", "items": line(), "minItems": 1}]})
}

fn rule(key: &str, node: &Node) -> Result<Rule, Vec<Problem>> {
    let entries = match &node.shape {
        Shape::Map(entries) if !entries.is_empty() && entries.len() <= ENTRIES_MAX => entries,
        _ => {
            let expected = format!("a rule that names some of {}", KEYS.join(", "));
            return Err(vec![Problem::new(node.place, key, node.found(), expected)]);
        }
    };
    let (mut rule, mut bad, mut named) = (Rule::default(), Vec::new(), Vec::new());
    for (name, value) in entries {
        let at = format!("{key}.{}", printable(&name.name));
        if named.contains(&name.name) {
            bad.push(Problem::new(name.place, &at, "the same key twice", "each key once"));
            continue;
        }
        named.push(name.name.clone());
        if let Err(problems) = part(&mut rule, &at, (name, value)) {
            bad.extend(problems);
        }
    }
    if bad.is_empty() { Ok(rule) } else { Err(bad) }
}

fn part(rule: &mut Rule, at: &str, (name, value): (&Name, &Node)) -> Result<(), Vec<Problem>> {
    let patterns = |what| list(at, value, what, is_line, "a text in which * is anything").map(texts);
    match name.name.as_str() {
        "claims" => rule.claims = claims(at, value)?,
        "certificates" => rule.certificates = texts(Kind::Peers.read(at, value)?),
        "methods" => rule.methods = texts(Kind::Words(METHODS).read(at, value)?),
        "paths" => rule.paths = patterns("a list of paths")?,
        "sources" => rule.sources = patterns("a list of sources")?,
        "types" => rule.types = patterns("a list of types")?,
        other => {
            let expected = format!("one of {}", KEYS.join(", "));
            let meant = nearest(other, KEYS).map(str::to_owned);
            return Err(vec![Problem::new(name.place, at, "an unknown key", expected).meant(meant)]);
        }
    }
    Ok(())
}

/// What a claim may be, or several such.
fn claims(key: &str, node: &Node) -> Result<Vec<(String, Vec<Claim>)>, Vec<Problem>> {
    let entries = match &node.shape {
        Shape::Map(entries) if (1..=RULES_MAX).contains(&entries.len()) => entries,
        _ => {
            let expected = "claims by name, such as email: me@example.com";
            return Err(vec![Problem::new(node.place, key, node.found(), expected)]);
        }
    };
    let (mut good, mut bad): (Vec<(String, Vec<Claim>)>, _) = (Vec::new(), Vec::new());
    for (name, value) in entries {
        let at = format!("{key}.{}", printable(&name.name));
        if name.name.is_empty()
            || name.name.len() > TEXT_BYTES_MAX
            || good.iter().any(|(known, _)| *known == name.name)
        {
            bad.push(Problem::new(name.place, &at, "a claim without a name, or twice", "each claim once"));
            continue;
        }
        let one = [value.clone()];
        let values = if let Shape::List(values) = &value.shape { values.as_slice() } else { &one };
        match values.iter().map(wanted).collect::<Option<Vec<_>>>() {
            Some(wanted) if !wanted.is_empty() => good.push((name.name.clone(), wanted)),
            _ => bad.push(Problem::new(
                value.place,
                &at,
                value.found(),
                "a text in which * is anything, a number or a flag as JSON has them, or several",
            )),
        }
    }
    if bad.is_empty() { Ok(good) } else { Err(bad) }
}

/// What is written without quotes and looks like a flag or a number is one, here as in the token.
fn wanted(node: &Node) -> Option<Claim> {
    match &node.shape {
        Shape::Flag(flag) => Some(Claim::Flag(*flag)),
        Shape::Number(number) => number.parse().ok().map(Claim::Number),
        Shape::Text(text) => is_line(text).then(|| Claim::Text(text.clone())),
        Shape::Null | Shape::List(_) | Shape::Map(_) => None,
    }
}

fn texts(value: Value) -> Vec<String> {
    match value {
        Value::List(list) => list,
        other => unreachable!("a list is read as {other:?}"),
    }
}

/// A list of known words.
pub(super) fn some_words(
    key: &str,
    node: &Node,
    words: &'static [&'static str],
) -> Result<Value, Vec<Problem>> {
    let expected = format!("one of {}", words.join(", "));
    let Value::List(found) = list(key, node, "a list of words", is_line, &expected)? else {
        unreachable!("a list is read as one")
    };
    match found.iter().find(|word| !words.contains(&word.as_str())) {
        None => Ok(Value::List(found)),
        Some(other) => {
            let meant = nearest(other, words.iter().copied()).map(str::to_owned);
            Err(vec![Problem::new(node.place, key, quoted(other), expected).meant(meant)])
        }
    }
}

pub(super) fn is_peer(text: &str) -> bool {
    is_line(text) && outrigger_net::auth::PeerPattern::read(text).is_some()
}

pub(super) fn is_issuer(text: &str) -> bool {
    let uri = token_url(text).filter(|uri| uri.query().is_none() && !text.contains('#'));
    uri.is_some() && is_line(text)
}
