//! Which results are kept, as the program uses it.

use std::time::Duration;

use super::{build::Values, rules::Rules};

/// Results of a function that is pure by its user's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Results {
    /// What they depend on, as JSON Pointers.
    pub key: Vec<String>,
    /// How long they are good.
    pub ttl: Duration,
    /// What they may take of memory.
    pub bytes_max: u64,
    /// Whether nothing is a result.
    pub keep_empty: bool,
    /// What they are tagged with, as JSON Pointers.
    pub tags: Vec<String>,
}

/// Whether it is a JSON Pointer (RFC 6901) to something within an event: `/data` alone or with more, or an attribute.
pub(super) fn is_pointer(text: &str) -> bool {
    let Some(path) = text.strip_prefix('/') else { return false };
    let escapes_well = path.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    let (first, rest) = path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let is_attribute = first.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    escapes_well && !first.is_empty() && is_attribute && (first == "data" || rest.is_none())
}

/// A pointer as the table reads it.
pub(super) const A_POINTER: &str = "a JSON Pointer into an event, such as /data/city, /subject or /tenant";

impl Values {
    pub(super) fn results(&self) -> Option<Results> {
        Some(Results {
            key: self.list("cache.results.key")?,
            ttl: self.span("cache.results.ttl"),
            bytes_max: self.size("cache.results.bytes_max"),
            keep_empty: self.word("cache.results.keep_empty") == "true",
            tags: self.list("cache.results.tags").unwrap_or_default(),
        })
    }
}

/// What needs the rest of the configuration.
pub(super) fn check(rules: &mut Rules<'_>) {
    if rules.config.results.is_none() {
        super::dedup::off(rules, "cache.results.", "cache.results.key");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Purpose, env::Nothing, reading};

    fn read(text: &str) -> Result<Option<Results>, String> {
        let text = format!("function: {{url: http://127.0.0.1:1}}\n{text}");
        let read = reading(&Nothing, "f.yaml", &text, &[], Purpose::Look);
        read.map(|read| read.config.results).map_err(|error| error.to_string())
    }

    #[test]
    fn they_are_off_until_a_key_turns_them_on() {
        assert_eq!(read("").unwrap(), None);
        let results = read("cache: {results: {key: /data/q, keep_empty: true}}").unwrap().unwrap();
        assert_eq!((results.key, results.keep_empty), (vec!["/data/q".to_owned()], true));
        assert!(read("cache: {results: {ttl: 1h}}").unwrap_err().contains("which turns it on"));
        let error = read("cache: {results: {key: [/data/q, tenant]}}").unwrap_err();
        assert!(error.contains("JSON Pointer"), "{error}");
    }

    #[test]
    fn a_pointer_leads_to_an_attribute_or_into_the_data() {
        for good in
            ["/data", "/data/a", "/data/a~1b/0", "/data//x", "/subject", "/tenant", "/datacontenttype"]
        {
            assert!(is_pointer(good), "{good}");
        }
        for bad in ["", "/", "data", "/Subject", "/subject/x", "/data/a~2", "/data/~", "//data", "/a-b"] {
            assert!(!is_pointer(bad), "{bad}");
        }
    }
}
