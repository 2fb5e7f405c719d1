//! A configuration file, from YAML to typed values or to every mistake with its place.
//!
//! The module is compiled from the binary's own files.
#![no_main]

use std::path::Path;

#[allow(dead_code, unused_imports)]
#[path = "../../sidecar/src/config/mod.rs"]
mod config;
// What rules on events are made of.
#[allow(dead_code)]
#[path = "../../sidecar/src/filter.rs"]
mod filter;
#[allow(dead_code)]
#[path = "../../sidecar/src/transform/mod.rs"]
mod transform;

use config::{Env, Purpose};

/// A machine with nothing on it.
struct Bare;

impl Env for Bare {
    fn variable(&self, _name: &str) -> Option<String> {
        None
    }

    fn exists(&self, _file: &Path) -> bool {
        false
    }

    fn volatile(&self, _path: &Path) -> bool {
        false
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(problems) = config::read(&Bare, "fuzz.yaml", text, &[], Purpose::Look) {
        let lines: Vec<String> = problems.lines().collect();
        assert!(!lines.is_empty(), "refused without a reason");
        assert!(lines.iter().all(|line| !line.contains('\n')), "{lines:?}");
        let _ = problems.json();
    }
});
