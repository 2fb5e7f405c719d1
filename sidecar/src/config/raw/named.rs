//! Sections that the file itself gives their names, such as those below `targets`.

use super::{Entry, Name, Node, Raw, Shape};
use crate::config::{
    problems::{Problem, Problems, quoted},
    settings::{EXAMPLE_NAME, Section},
};

impl Raw {
    /// What stands below names that the file gives.
    pub(super) fn named(
        &mut self,
        section: &'static Section,
        entries: Vec<(Name, Node)>,
        problems: &mut Problems,
    ) {
        let known = self.several.entry(section.path).or_default();
        for (Name { place, name }, node) in entries {
            let path = section.named(&name);
            let wrong = |found: String, expected: String| Problem::new(place, &path, found, expected);
            if !is_entry_name(&name) {
                let expected = "a name of small letters, digits, - and _, at most 63 of them";
                problems.push(wrong(quoted(&name), expected.to_owned()));
            } else if known.iter().any(|entry| entry.name == name) {
                problems.push(wrong("the same name twice".to_owned(), "each name once".to_owned()));
            } else if known.len() == section.named_max {
                problems.push(wrong(
                    format!("more than {} names", section.named_max),
                    "fewer of them".to_owned(),
                ));
            } else {
                let node = if node.shape == Shape::Null {
                    Node { shape: Shape::Map(Vec::new()), ..node }
                } else {
                    node
                };
                let before = problems.list.len();
                if let Some(entry) = super::entry(section.path, node, problems) {
                    known.push(Entry { place, name: name.clone(), ..entry });
                }
                for problem in &mut problems.list[before..] {
                    problem.key = section.in_words(&name, &problem.key);
                }
            }
        }
    }
}

/// A name that a file may give: as it stands in labels of metrics and in dead letters.
fn is_entry_name(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    (1..=63).contains(&name.len()) && (name.bytes().all(good) || name == EXAMPLE_NAME)
}
