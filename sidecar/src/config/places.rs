//! Where each setting was given: for what is only known to be wrong once its files are opened, or to an adapter alone.

use super::{
    problems::{Place, line},
    raw::Raw,
    settings::{SECTIONS, SETTINGS},
};
use std::collections::HashMap;

/// The places of a configuration's settings.
#[derive(Debug, Clone, Default)]
pub struct Places {
    file: String,
    given: HashMap<&'static str, Place>,
}

impl Places {
    pub(super) fn of(file: &str, raw: &Raw) -> Self {
        let paths = SETTINGS.iter().map(|setting| setting.path);
        let paths = paths.chain(SECTIONS.iter().map(|section| section.path));
        let given = paths.filter_map(|path| raw.get(path).map(|node| (path, node.place)));
        Self { file: file.to_owned(), given: given.collect() }
    }

    /// Where the setting was given; of a section the first place of it; the whole file where there is none.
    #[must_use]
    pub fn place(&self, key: &str) -> Place {
        let is_within = |path: &str| path.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
        let at =
            |place: &Place| if let Place::Line { line, column } = *place { (line, column) } else { (0, 0) };
        let within =
            || self.given.iter().filter(|(path, _)| is_within(path)).map(|(_, place)| *place).min_by_key(at);
        self.given.get(key).copied().or_else(within).unwrap_or(Place::Whole)
    }

    /// What is wrong with a setting, as every mistake is told: where, at which key, and what.
    #[must_use]
    pub fn line(&self, key: &str, what: &str) -> String {
        line(&self.file, self.place(key), key, what)
    }

    /// The same of a text that begins with a setting's name; any other text as it is.
    #[must_use]
    pub fn told(&self, text: String) -> String {
        let is_known = |key: &str| {
            SETTINGS.iter().any(|setting| setting.path == key)
                || SECTIONS.iter().any(|section| section.path == key)
        };
        match text.split_once(": ") {
            Some((key, what)) if is_known(key) => self.line(key, what),
            _ => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Flag, Purpose, env::Nothing, reading};

    #[test]
    fn a_setting_has_its_place_and_a_section_that_of_its_first_setting() {
        let text =
            "pubsub:\n  project: p\n  credentials_file: f\ningress: {pubsub: {subscription: orders}}\n";
        let flag = Flag { name: "--url", path: "function.url", value: "http://127.0.0.1:1".to_owned() };
        let places = reading(&Nothing, "f.yaml", text, &[flag], Purpose::Look).unwrap().places;
        assert_eq!(places.line("pubsub.credentials_file", "x"), "f.yaml:3:21: pubsub.credentials_file: x");
        assert_eq!(places.line("pubsub", "x"), "f.yaml:2:12: pubsub: x");
        assert_eq!(places.line("function.url", "x"), "--url: function.url: x");
        assert_eq!(places.line("journal.path", "x"), "f.yaml: journal.path: x");
        assert_eq!(places.told("pubsub.project: a: b".to_owned()), "f.yaml:2:12: pubsub.project: a: b");
        assert_eq!(places.told("HTTPS_PROXY: no URL".to_owned()), "HTTPS_PROXY: no URL");
    }
}
