//! `outrigger normalize` as it is called: public payloads against golden files, and the README's examples.
//!
//! The payloads are not copied here. A golden file has one line for each: what its event must be, or why it is none. It was
//! written by the command (`OUTRIGGER_BLESS=1 cargo test -p outrigger --test normalize`) and read by eye against the
//! vendor's documentation; a change of it needs the same.

mod golden;
mod readme;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What the command prints, line by line, for this standard input.
fn normalize(args: &[&str], stdin: &str) -> Vec<String> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_outrigger"))
        .arg("normalize")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to = child.stdin.take().unwrap();
    let text = stdin.to_owned();
    let writer = std::thread::spawn(move || {
        let _ = to.write_all(text.as_bytes()); // one that reads no further says so by what it prints
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/normalize").join(path)
}

/// Compares a file with what it should be, or writes it where that is asked for.
#[expect(
    clippy::disallowed_methods,
    reason = "a test is asked to write its golden files by a variable, as it has no flags"
)]
fn is_current(path: &Path, expected: &str) {
    if std::env::var_os("OUTRIGGER_BLESS").is_some() {
        fs::write(path, expected).unwrap();
        return;
    }
    let found = fs::read_to_string(path).unwrap();
    let mut lines = found.lines().zip(expected.lines()).enumerate();
    if let Some((index, (found, expected))) = lines.find(|(_, (found, expected))| found != expected) {
        panic!("{}:{}:\n  is     {found}\n  not as {expected}", path.display(), index + 1);
    }
    assert_eq!(found.lines().count(), expected.lines().count(), "{}", path.display());
}
