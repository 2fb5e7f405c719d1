//! The preloaded shim, from Rust: compiled when it is first needed, configured by the environment.
//!
//! The head of `shim/kill.c` explains the rules. The shim sees calls of libc only, and it does nothing in a
//! statically linked binary: [`Shim::hits`] is how a test knows that its fault happened at all.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

const SOURCES: [(&str, &str); 3] = [
    ("kill.c", include_str!("../shim/kill.c")),
    ("rules.h", include_str!("../shim/rules.h")),
    ("undo.h", include_str!("../shim/undo.h")),
];

/// Rules for one process.
#[derive(Debug, Clone)]
pub struct Shim {
    library: PathBuf,
    rules: String,
    log: PathBuf,
    switch: Option<PathBuf>,
}

/// One call that a rule counted, from its N-th on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The rule's action, such as `fail`.
    pub action: String,
    /// The function that was called, such as `fsync`.
    pub function: String,
    /// The how manieth matching call it was.
    pub count: u64,
    /// The path of the file, or `socket:[…]`.
    pub target: String,
}

impl Shim {
    /// A shim that follows `rules` and keeps its log in `dir`, which must exist.
    ///
    /// # Panics
    /// There is no C compiler `cc`, or it refuses the shim: no test that needs it can say anything then.
    #[must_use]
    pub fn new(dir: &Path, rules: &[&str]) -> Self {
        static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
        let library = LIBRARY.get_or_init(|| match compile() {
            Ok(library) => library,
            Err(why) => panic!("the shim cannot be built: {why}; it needs a C compiler as `cc`"),
        });
        let log = dir.join("shim.log");
        Self { library: library.clone(), rules: rules.join(";"), log, switch: None }
    }

    /// The rules count only between [`Shim::arm`] and [`Shim::disarm`].
    #[must_use]
    pub fn disarmed(mut self) -> Self {
        self.switch = Some(self.log.with_extension("armed"));
        self
    }

    /// From now on the rules count.
    ///
    /// # Panics
    /// The file that says so cannot be made, or the shim was not made with [`Shim::disarmed`].
    pub fn arm(&self) {
        fs::write(self.switch(), []).expect("the switch can be written");
    }

    /// From now on the rules do nothing: the disk has room again, for example.
    ///
    /// # Panics
    /// As [`Shim::arm`].
    pub fn disarm(&self) {
        fs::remove_file(self.switch()).expect("the shim was armed");
    }

    /// The environment in which the program called `exe` is to be started. Its children of another name are
    /// left alone.
    #[must_use]
    pub fn environment(&self, exe: &Path) -> Vec<(&'static str, OsString)> {
        let mut environment = vec![
            ("LD_PRELOAD", self.library.clone().into()),
            ("OUTRIGGER_SHIM", OsString::from(&self.rules)),
            ("OUTRIGGER_SHIM_LOG", self.log.clone().into()),
            ("OUTRIGGER_SHIM_EXE", exe.file_name().unwrap_or_default().to_owned()),
        ];
        environment.extend(self.switch.iter().map(|path| ("OUTRIGGER_SHIM_WHILE", path.clone().into())));
        environment
    }

    /// What the rules have counted, in order.
    ///
    /// # Panics
    /// The program was never started with the shim, or is linked statically: nothing was tested then.
    #[must_use]
    pub fn hits(&self) -> Vec<Hit> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        assert!(log.contains("loaded"), "the shim was not loaded; is the program linked statically?");
        log.lines().filter_map(parse_hit).collect()
    }

    fn switch(&self) -> &Path {
        self.switch.as_deref().expect("the shim was made with Shim::disarmed")
    }
}

fn parse_hit(line: &str) -> Option<Hit> {
    let mut fields = line.splitn(4, ' ').map(str::to_owned);
    let (action, function) = (fields.next()?, fields.next()?);
    let count = fields.next()?.parse().ok()?;
    Some(Hit { action, function, count, target: fields.next()? })
}

/// Compiles the shim unless a library of the same sources and this machine's compiler is there already.
fn compile() -> io::Result<PathBuf> {
    let mut hash = crc32fast::Hasher::new();
    for (_, text) in SOURCES {
        hash.update(text.as_bytes());
    }
    let folder = build_folder()?;
    let library = folder.join(format!("libshim-{:08x}.so", hash.finalize()));
    if library.exists() {
        return Ok(library);
    }
    // Built beside and renamed, so that tests that run at once never load half a library.
    let work = tempfile::tempdir_in(&folder)?;
    for (name, text) in SOURCES {
        fs::write(work.path().join(name), text)?;
    }
    let built = work.path().join("shim.so");
    let flags = ["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-o"];
    let output = Command::new("cc").args(flags).arg(&built).arg(work.path().join("kill.c")).output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    fs::rename(&built, &library)?;
    Ok(library)
}

/// Where cargo put the test that is running, without `deps`: it goes with `cargo clean`.
fn build_folder() -> io::Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let folder = exe.ancestors().skip(1).find(|folder| !folder.ends_with("deps"));
    Ok(folder.unwrap_or(&exe).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_is_read_and_another_is_passed_over() {
        let hit = parse_hit("fail fsync 3 /tmp/a b").unwrap();
        let Hit { action, function, count, target } = hit;
        assert_eq!((&*action, &*function, count, &*target), ("fail", "fsync", 3, "/tmp/a b"));
        assert_eq!(parse_hit("loaded"), None);
    }
}
