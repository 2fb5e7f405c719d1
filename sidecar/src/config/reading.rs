//! A configuration with what each of its settings says, so that a later one can be held against it.

use super::{
    Config, Places,
    build::Values,
    settings::{SECTIONS, SETTINGS},
};

/// The end of a section's path whose entries the file names itself.
const BELOW_NAMES: &str = ".NAME";

/// A configuration, setting by setting.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The typed values.
    pub config: Config,
    /// Where each setting stands.
    pub places: Places,
    pub(super) values: Values,
    /// The sections in whose place a word stands.
    pub(super) words: Vec<&'static str>,
}

/// The settings that another configuration has otherwise, by their paths.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Those that count without a restart.
    pub live: Vec<&'static str>,
    /// Those that count after a restart.
    pub restart: Vec<&'static str>,
}

impl Reading {
    /// What `newer` has otherwise.
    #[must_use]
    pub fn changes(&self, newer: &Self) -> Changes {
        let mut changes = Changes::default();
        for setting in SETTINGS.iter().filter(|setting| !self.values.agree(&newer.values, setting.path)) {
            let list = if setting.live { &mut changes.live } else { &mut changes.restart };
            list.push(setting.path);
        }
        let sections = self.words.iter().filter(|word| !newer.words.contains(word));
        let sections = sections.chain(newer.words.iter().filter(|word| !self.words.contains(word)));
        changes.restart.extend(sections);
        let lists = SECTIONS.iter().map(|section| section.path);
        let differing = lists.filter(|path| !self.values.agree_on_several(&newer.values, path));
        // What has names of the file's own is called by what it stands below.
        changes.restart.extend(differing.map(|path| path.strip_suffix(BELOW_NAMES).unwrap_or(path)));
        changes
    }
}
