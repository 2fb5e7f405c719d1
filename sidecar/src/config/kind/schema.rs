//! What a setting may hold, as JSON Schema (draft 2020-12), for editors.
//!
//! A schema refuses nothing that `outrigger check` lets pass, but for a number in quotes; it lets pass what takes
//! more than a pattern to judge, such as the bounds of `30s`. Those stand in the description.

use serde_json::{Value as Json, json};

use super::{ENTRIES_MAX, Kind, TEXT_BYTES_MAX, VERDICTS, rules, transforms};
use crate::config::{proxy::PLACES, raw};

/// A URL, as far as it goes without a query.
const URL: &str = r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s/?#@]+(/[^\s?#]*)?";
const VARIABLE: &str = "^[A-Za-z_][A-Za-z0-9_]{0,255}$";
const TIME: &str =
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}.[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})";
/// What a rule of the proxy looks like.
const ROUTE: &str = r"^([A-Z]+ )?/[A-Za-z0-9._~!$&'()+,=:@/-]*\*?$";

impl Kind {
    /// The schema of a value of this kind, without a description.
    pub(crate) fn schema(&self) -> Json {
        match *self {
            Self::Count { min, max: u64::MAX } => json!({"type": "integer", "minimum": min}),
            Self::Count { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
            Self::Number { min, max } => json!({"type": "number", "minimum": min, "maximum": max}),
            Self::Span { .. } => pattern("^[0-9]+(ms|s|m|h)$"),
            Self::Size { .. } => pattern("^[0-9]+([KMG]i?)?B$"),
            Self::Rate { .. } => pattern(r"^([0-9]*[1-9][0-9]*(\.[0-9]*)?|[0-9]*\.[0-9]*[1-9][0-9]*)/[smh]$"),
            Self::Word(words) => json!({"enum": written(words)}),
            Self::Words(words) => list(&json!({"enum": words})),
            Self::Variable => variable(),
            Self::Variables => list(&variable()),
            Self::Attributes => list(&scalar("^[a-z0-9]{1,64}$")),
            Self::Url | Self::TokenUrl | Self::CollectorUrl => pattern(&format!(r"{URL}([?#]\S*)?$")),
            Self::Issuer => pattern(&format!("{URL}$")),
            Self::UrlPath => pattern(r"^/[^\u0000-\u0020]*$"),
            Self::Listen => pattern(r"^([0-9.]+|\[[0-9A-Fa-f:.%]+\]):[0-9]+$"),
            Self::File | Self::Line => line(),
            Self::Lines => list(&line()),
            Self::Brokers => list(&pattern("^[^,/ ]+:[+]?[0-9]+$")),
            Self::Topic => scalar("^[A-Za-z0-9._-]{1,249}$"),
            Self::EventGridTopic => {
                scalar(&format!(r"^([A-Za-z0-9._-]{{1,249}}|{}([?#]\S*)?)$", URL.trim_start_matches('^')))
            }
            Self::Topics => list(&scalar(r"^(\^.*|[A-Za-z0-9._-]{1,249})$")),
            Self::Subjects => list(&pattern("=")),
            Self::SpiffeIds => list(&pattern("^spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)*(/[*])?$")),
            Self::Peers => list(&pattern("^(any$|spiffe://|(subject|dns|uri|email):.)")),
            Self::Origins => list(&scalar(
                r"^(\*|([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)$",
            )),
            Self::Hosts => list(&scalar(
                r"^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$",
            )),
            Self::Header => scalar("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"),
            Self::Headers => list(&scalar("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")),
            Self::Start => pattern(&format!("^(earliest|latest|offset:[+]?[0-9]+|{TIME})$")),
            Self::Statuses => map(&json!({"pattern": "^[1-5](xx|[0-9]{2})$"}), &json!({"enum": VERDICTS})),
            Self::Routes => map(&json!({"pattern": ROUTE}), &json!({"enum": PLACES})),
            Self::Properties | Self::Named(_) => map(&json!(true), &json!({"type": TEXT})),
            Self::Name => scalar("^[A-Za-z0-9._-]{1,63}$"),
            Self::Pointers => list(&scalar("^/([a-z0-9]+|data(/([^~]|~[01])*)?)$")),
            Self::Names => list(&scalar("^[a-z0-9_-]{1,63}$")),
            Self::Filter => json!({"type": ["string", "boolean", "number", "object", "array"]}),
            Self::Rules => rules::schema(),
            Self::Transforms => transforms::schema(),
            Self::Or(word, kind) => json!({"anyOf": [{"enum": [word, null]}, kind.schema()]}),
        }
    }
}

/// What YAML makes of a plain text, which may look like a number or a flag.
pub(super) const TEXT: [&str; 3] = ["string", "number", "boolean"];

/// A text of this form.
fn pattern(pattern: &str) -> Json {
    json!({"type": "string", "pattern": pattern})
}

/// A text of this form; one that looks like a number or a flag needs no quotes.
fn scalar(pattern: &str) -> Json {
    json!({"type": TEXT, "pattern": pattern})
}

/// The name of an environment variable; `true` is one, a number is none.
fn variable() -> Json {
    json!({"type": ["string", "boolean"], "pattern": VARIABLE})
}

/// A text without control characters. Its length in bytes is at least that in characters.
pub(super) fn line() -> Json {
    json!({
        "type": TEXT,
        "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$",
        "maxLength": TEXT_BYTES_MAX,
    })
}

/// Several of these, or a text that is the only one.
pub(super) fn list(entry: &Json) -> Json {
    json!({"anyOf": [
        {"allOf": [{"type": "string"}, entry]},
        {"type": "array", "items": entry, "minItems": 1, "maxItems": ENTRIES_MAX, "uniqueItems": true},
    ]})
}

fn map(names: &Json, values: &Json) -> Json {
    json!({
        "type": ["object", "null"],
        "propertyNames": names,
        "additionalProperties": values,
        "maxProperties": ENTRIES_MAX,
    })
}

/// Words, each as it may stand in a file: `true` and `1.3` need no quotes there.
fn written(words: &[&str]) -> Vec<Json> {
    let mut all = Vec::new();
    for word in words {
        let bare = raw::parse(word).map(|node| node.json()).ok();
        all.extend(bare.filter(|bare| !bare.is_string()));
        all.push(json!(word));
    }
    all
}
