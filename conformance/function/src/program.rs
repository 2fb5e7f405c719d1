//! What to answer to which request: an ordered list of rules, the first that fits wins.
//!
//! A program is JSON or built in a test. It is plain data; [`Chooser`] keeps what the rules count.
//! An unknown key is an error, so that a misspelt rule cannot pass a test by doing nothing.

use std::collections::BTreeMap;

use http::HeaderMap;
use serde::{Deserialize, Serialize};

/// What to answer to every request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Tried in order; the first that fits is followed.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// What is done where no rule fits: 200 without a body, unless said.
    #[serde(default)]
    pub default: Action,
}

/// One rule: which requests, how often, and what is done.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which requests; every one, unless said.
    #[serde(default, rename = "match")]
    pub when: Match,
    /// The rule serves this many requests at most.
    #[serde(default)]
    pub times: Option<u64>,
    /// The rule serves the first `until` attempts of each event and none after.
    #[serde(default)]
    pub until: Option<u32>,
    /// What is done.
    #[serde(rename = "do")]
    pub act: Action,
}

/// Which requests a rule is for. Every field that is given must fit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// Header name to its value; `*` fits any value that is present.
    #[serde(default)]
    pub header: BTreeMap<String, String>,
    /// The event's id.
    #[serde(default)]
    pub id: Option<String>,
    /// The event's `partitionkey`.
    #[serde(default)]
    pub key: Option<String>,
    /// The request's path, without its query.
    #[serde(default)]
    pub path: Option<String>,
    /// The request's method.
    #[serde(default)]
    pub method: Option<String>,
    /// The number of the request since the start (1 is the first).
    #[serde(default)]
    pub nth: Option<u64>,
    /// Every request whose number is a multiple of this.
    #[serde(default)]
    pub every: Option<u64>,
    /// This many of a hundred requests, chosen by id and attempt and therefore the same in each run.
    #[serde(default)]
    pub percent: Option<u8>,
}

/// What is done with a request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// The status; 200, or 307 with `redirect`, unless said.
    #[serde(default)]
    pub status: Option<u16>,
    /// Wait before anything else is done.
    #[serde(default)]
    pub delay_ms: u64,
    /// Wait at the gate of this name until the test releases it; after `delay_ms`.
    #[serde(default)]
    pub hold: Option<String>,
    /// Headers of the answer. `content-length` may lie.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The answer's body; none unless said.
    #[serde(default)]
    pub body: Option<Payload>,
    /// Answer with a `CloudEvent`; instead of `body`.
    #[serde(default)]
    pub reply: Option<Reply>,
    /// The header `location`, and the status 307 unless said.
    #[serde(default)]
    pub redirect: Option<String>,
    /// The header `retry-after`: seconds or a date.
    #[serde(default)]
    pub retry_after: Option<String>,
    /// Say `connection: close` and close after the answer.
    #[serde(default)]
    pub close: bool,
    /// What goes wrong, if anything.
    #[serde(default)]
    pub fault: Option<Fault>,
}

/// A body to answer with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// This text.
    Text(String),
    /// These bytes, in base64.
    Base64(String),
    /// The body of the request, under its content type.
    Echo,
    /// This many bytes of the letter `x`.
    Bytes(usize),
}

/// A `CloudEvent` to answer with. `specversion` is set; the other attributes are not checked.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// Structured mode instead of binary.
    #[serde(default)]
    pub structured: bool,
    /// Attributes: name to text, percent-coded by whoever writes them where the binary mode needs it.
    pub attributes: BTreeMap<String, String>,
    /// The data: JSON, sent as `application/json`.
    #[serde(default)]
    pub data: Option<serde_json::Value>,
}

/// What goes wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Never answer; the connection stays open.
    Hang,
    /// Close without an answer (FIN).
    CloseBefore,
    /// Reset without an answer (RST).
    ResetBefore,
    /// Send the headers, then reset.
    ResetHeaders,
    /// Send the headers and half of the body, then reset.
    ResetBody,
    /// Send the headers, never the body.
    StallHeaders,
    /// Send the headers and half of the body, never the rest.
    StallBody,
    /// Send half of the body that `content-length` promises, then close (FIN).
    Truncate,
    /// End the process with this code, without an answer. Inside a test the server ends instead.
    Exit(u8),
}

impl Program {
    /// A program that answers everything with `action`.
    #[must_use]
    pub fn always(action: Action) -> Self {
        Self { rules: Vec::new(), default: action }
    }

    /// Adds `rule` after the others.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Reads a program: an object, or only the list of its rules.
    ///
    /// # Errors
    /// What is wrong and where, when `json` is neither, or has a key that is unknown.
    pub fn parse(json: &str) -> Result<Self, String> {
        let explain = |error: serde_json::Error| format!("program: {error}; see the README of the function");
        if json.trim_start().starts_with('[') {
            let rules = serde_json::from_str(json).map_err(explain)?;
            return Ok(Self { rules, default: Action::default() });
        }
        serde_json::from_str(json).map_err(explain)
    }
}

impl Rule {
    /// `act` for the requests that fit `when`.
    #[must_use]
    pub fn new(when: Match, act: Action) -> Self {
        Self { when, times: None, until: None, act }
    }

    /// At most for this many requests.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Only for the first `attempts` attempts of each event.
    #[must_use]
    pub fn until(mut self, attempts: u32) -> Self {
        self.until = Some(attempts);
        self
    }
}

impl Match {
    /// Every request.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// The event of this id.
    #[must_use]
    pub fn id(id: &str) -> Self {
        Self { id: Some(id.to_owned()), ..Self::default() }
    }

    /// The events of this key.
    #[must_use]
    pub fn key(key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..Self::default() }
    }

    /// The request of this number (1 is the first).
    #[must_use]
    pub fn nth(nth: u64) -> Self {
        Self { nth: Some(nth), ..Self::default() }
    }

    /// Requests with this header.
    #[must_use]
    pub fn header(name: &str, value: &str) -> Self {
        Self { header: BTreeMap::from([(name.to_owned(), value.to_owned())]), ..Self::default() }
    }

    fn fits(&self, asked: &Asked<'_>) -> bool {
        let same = |want: &Option<String>, have: Option<&str>| want.is_none() || want.as_deref() == have;
        same(&self.id, asked.id)
            && same(&self.key, asked.key)
            && same(&self.path, Some(asked.path))
            && same(&self.method, Some(asked.method))
            && self.nth.is_none_or(|nth| nth == asked.n)
            && self.every.is_none_or(|every| every > 0 && asked.n.is_multiple_of(every))
            && self.percent.is_none_or(|percent| asked.dice() < u32::from(percent))
            && self.header.iter().all(|(name, want)| has_header(asked.headers, name, want))
    }
}

impl Action {
    /// Answer with this status and no body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { status: Some(status), ..Self::default() }
    }

    /// Answer 200 after this long.
    #[must_use]
    pub fn delay_ms(delay_ms: u64) -> Self {
        Self { delay_ms, ..Self::default() }
    }

    /// Answer 200 once the gate `name` is released.
    #[must_use]
    pub fn hold(name: &str) -> Self {
        Self { hold: Some(name.to_owned()), ..Self::default() }
    }

    /// Let this go wrong.
    #[must_use]
    pub fn fault(fault: Fault) -> Self {
        Self { fault: Some(fault), ..Self::default() }
    }

    /// Answer 200 with this text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self { body: Some(Payload::Text(text.to_owned())), ..Self::default() }
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// What a rule may look at.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The number of the request (1 is the first).
    pub n: u64,
    /// Which attempt of this event it is (1 is the first).
    pub attempt: u32,
    /// The event's id.
    pub id: Option<&'a str>,
    /// The event's `partitionkey`.
    pub key: Option<&'a str>,
    /// The path, without its query.
    pub path: &'a str,
    /// The method.
    pub method: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
}

impl Asked<'_> {
    /// Uniform in 0..100 over events and attempts, and the same in each run.
    fn dice(&self) -> u32 {
        let mut hash = crc32fast::Hasher::new();
        hash.update(self.id.unwrap_or_default().as_bytes());
        hash.update(&self.attempt.to_le_bytes());
        hash.finalize() % 100
    }
}

/// A program at work: it counts how often each rule was followed.
#[derive(Debug, Default)]
pub struct Chooser {
    program: Program,
    followed: Vec<u64>,
}

impl Chooser {
    /// Starts `program` with all counts at zero.
    #[must_use]
    pub fn new(program: Program) -> Self {
        let followed = vec![0; program.rules.len()];
        Self { program, followed }
    }

    /// What to do with this request. Counts for the rule that is followed.
    pub fn choose(&mut self, asked: &Asked<'_>) -> &Action {
        let found = self.program.rules.iter().zip(&self.followed).position(|(rule, &followed)| {
            rule.times.is_none_or(|times| followed < times)
                && rule.until.is_none_or(|until| asked.attempt <= until)
                && rule.when.fits(asked)
        });
        let Some(index) = found else { return &self.program.default };
        self.followed[index] += 1;
        &self.program.rules[index].act
    }

    /// The program as it was given.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }
}

fn has_header(headers: &HeaderMap, name: &str, want: &str) -> bool {
    headers.get_all(name).iter().any(|value| want == "*" || value.as_bytes() == want.as_bytes())
}

#[cfg(test)]
mod tests;
