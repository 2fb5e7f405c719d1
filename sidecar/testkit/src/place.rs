//! Where tests find things: ports, the shared data folder; and how they say that something is not there.

use std::{
    fs::File,
    io::{self, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU16, Ordering},
};

/// The ports that are given out: below the range that Linux takes for outgoing connections
/// (32768 by default), so that none is taken by a client between the test's asking and its using it.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A port of 127.0.0.1 on which nothing listens now.
///
/// # Panics
/// Every port of the range is taken.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test binaries that run at once start at different places.
    let start = std::process::id().wrapping_mul(613);
    let width = u32::from(PORTS.end - PORTS.start);
    for _ in PORTS {
        let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed).into()) % width;
        let port = PORTS.start + u16::try_from(offset).unwrap_or_default();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port of {PORTS:?} is free on 127.0.0.1");
}

/// The folder `path` below the shared data, or `None` after the test `test` was reported as skipped.
///
/// The folder is named by `OUTRIGGER_SHARED`, else it is `../shared` beside the workspace.
#[must_use]
pub fn shared(test: &str, path: &str) -> Option<PathBuf> {
    let named = std::env::var_os("OUTRIGGER_SHARED").map(PathBuf::from);
    let found = named.unwrap_or_else(|| workspace().join("../shared")).join(path);
    if found.exists() {
        return Some(found);
    }
    skip(test, &format!("{} is absent", found.display()));
    None
}

/// Reports that `test` was not run, in the form that continuous integration reads: `SKIPPED <test>: <why>`,
/// on the standard error and at the end of the file that `OUTRIGGER_SKIPS_FILE` names.
///
/// # Panics
/// That file cannot be written: a skip that nobody hears of would count as a pass.
pub fn skip(test: &str, why: &str) {
    let line = line(test, why);
    // Not `eprintln!`: the test harness would swallow that for a test that passes.
    let _ = io::stderr().write_all(line.as_bytes());
    let Some(file) = std::env::var_os("OUTRIGGER_SKIPS_FILE").filter(|name| !name.is_empty()) else { return };
    if let Err(error) = append(Path::new(&file), &line) {
        panic!("{} cannot be written ({error}), so the skip of {test} cannot be reported", file.display());
    }
}

/// A reason may quote a tool, and tools say more than one line.
fn line(test: &str, why: &str) -> String {
    let why: Vec<&str> = why.split_whitespace().collect();
    format!("SKIPPED {test}: {}\n", why.join(" "))
}

fn append(file: &Path, line: &str) -> io::Result<()> {
    File::options().create(true).append(true).open(file)?.write_all(line.as_bytes())
}

/// The root of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_differ() {
        let (first, second) = (free_port(), free_port());
        assert_ne!(first, second);
        assert!(PORTS.contains(&first) && PORTS.contains(&second));
        TcpListener::bind(("127.0.0.1", first)).unwrap();
    }

    #[test]
    fn the_workspace_is_where_its_manifest_is() {
        let manifest = std::fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"));
    }

    #[test]
    fn a_skip_is_one_line_whatever_its_reason() {
        assert_eq!(line("a", "no\n  mount: \r\nneeds root\n"), "SKIPPED a: no mount: needs root\n");
    }

    #[test]
    fn a_skip_is_added_to_those_before_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        append(file.path(), "SKIPPED a: x is absent\n").unwrap();
        append(file.path(), "SKIPPED b: y is absent\n").unwrap();
        let lines = std::fs::read_to_string(file.path()).unwrap();
        assert_eq!(lines, "SKIPPED a: x is absent\nSKIPPED b: y is absent\n");
    }
}
