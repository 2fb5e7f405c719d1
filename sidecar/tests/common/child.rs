//! The programmable function as a program, for tests where outrigger starts it.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::SystemTime,
};

/// The path of `outrigger-function`, beside the binary under test.
///
/// Cargo builds a package's own programs for its tests but not those of others; `cargo test --workspace` does,
/// `cargo test -p outrigger` does not, so it is built here when it is missing or older than its source.
pub fn function_exe() -> &'static str {
    static EXE: OnceLock<String> = OnceLock::new();
    EXE.get_or_init(|| {
        let folder = Path::new(super::EXE).parent().expect("a program lies in a folder");
        let exe = folder.join("outrigger-function");
        if built_at(&exe) < newest_source() {
            build(folder);
        }
        exe.into_os_string().into_string().expect("a path in UTF-8")
    })
}

fn build(folder: &Path) {
    let profile = match folder.file_name().and_then(OsStr::to_str) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--package", "outrigger-function", "--profile", profile]);
    cargo.arg("--target-dir").arg(folder.parent().expect("the target folder")).current_dir(workspace());
    assert!(cargo.status().expect("cargo can be started").success(), "outrigger-function is built");
}

fn newest_source() -> Option<SystemTime> {
    let sources = fs::read_dir(workspace().join("conformance/function/src")).expect("the function's source");
    sources.filter_map(|entry| entry.ok()?.metadata().ok()?.modified().ok()).max()
}

fn built_at(exe: &Path) -> Option<SystemTime> {
    fs::metadata(exe).and_then(|exe| exe.modified()).ok()
}

fn workspace() -> PathBuf {
    outrigger_testkit::place::workspace()
}
