//! The table of settings, printed: as a commented YAML file with every default, and as a table for the README.

use std::fmt::Write as _;

use super::settings::{SECTIONS, SETTINGS};

/// Every setting with its default, its bounds and what it is for, as YAML that passes `outrigger check`.
#[must_use]
pub fn yaml() -> String {
    let mut out = String::from(
        "# Every setting of outrigger with its default. Keep what you change and leave out the rest.\n\
         # `outrigger check FILE` tells every mistake.\n",
    );
    let mut open = "";
    for setting in SETTINGS {
        let parent = setting.path.rsplit_once('.').map_or("", |(parent, _)| parent);
        open_sections(&mut out, open, parent);
        open = parent;
        let indent = indent_of(setting.path);
        let bounds = setting.kind.bounds().map(|bounds| format!(" ({bounds})")).unwrap_or_default();
        let _ = writeln!(out, "{indent}# {}{bounds}", setting.told());
        let _ = writeln!(out, "{indent}{}: {}", last(setting.path), setting.default);
    }
    out
}

/// The same as a Markdown table: key, default, what it may hold, what it is for.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from("| key | default | may be | for |\n|---|---|---|---|\n");
    for setting in SETTINGS {
        let expected = setting.kind.bounds().unwrap_or_else(|| setting.kind.expected());
        let cells =
            [&format!("`{}`", setting.path), &format!("`{}`", setting.default), &expected, &setting.told()];
        let _ = writeln!(out, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
    }
    out
}

fn open_sections(out: &mut String, open: &str, parent: &str) {
    for section in SECTIONS {
        let leads_here = parent == section.path || parent.starts_with(&format!("{}.", section.path));
        let is_open = open == section.path || open.starts_with(&format!("{}.", section.path));
        if leads_here && !is_open {
            let indent = indent_of(section.path);
            let _ = writeln!(out, "\n{indent}# {}\n{indent}{}:", section.doc, last(section.path));
        }
    }
}

fn indent_of(path: &str) -> String {
    "  ".repeat(path.matches('.').count())
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_names_every_setting_once() {
        let yaml = yaml();
        let keys =
            yaml.lines().filter(|line| !line.trim_start().starts_with('#') && line.contains(':')).count();
        assert_eq!(keys, SETTINGS.len() + SECTIONS.len());
    }

    #[test]
    fn the_table_has_a_row_for_every_setting() {
        let table = markdown();
        assert_eq!(table.lines().count(), SETTINGS.len() + 2);
        assert!(table.contains("| `function.timeout` | `30s` | 1ms to 24h |"), "{table}");
    }
}
