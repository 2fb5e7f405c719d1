//! How the binary is linked.

use std::{env, path::PathBuf, process::Command};

/// Functions that run, side by side; `scripts/link-order.sh` writes it.
const ORDER: &str = "link-order.txt";
/// Names a file for that script, into which the linker writes where what lies.
const MAP: &str = "OUTRIGGER_LINK_MAP";

#[expect(clippy::disallowed_methods, reason = "this is how cargo tells a build script what it builds for")]
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={ORDER}");
    let told = |name: &str| env::var(name).unwrap_or_default();
    let target = |name: &str| told(&format!("CARGO_CFG_TARGET_{name}"));
    if (target("OS").as_str(), target("ENV").as_str()) != ("linux", "gnu") {
        return;
    }
    // A megabyte of relocations, all read at the start, becomes some 20 KiB. glibc reads them from 2.36 on; other C
    // libraries may not, and get the long form.
    println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    let own_linker = !told("RUSTC_LINKER").is_empty() || told("CARGO_ENCODED_RUSTFLAGS").contains("link");
    if told("PROFILE") == "release" && !own_linker && links_by_lld(&told("RUSTC"), &told("TARGET")) {
        let order = PathBuf::from(told("CARGO_MANIFEST_DIR")).join(ORDER);
        println!("cargo:rustc-link-arg-bins=-Wl,--symbol-ordering-file={}", order.display());
        println!("cargo:rustc-link-arg-bins=-Wl,--no-warn-symbol-ordering");
        println!("cargo:rerun-if-env-changed={MAP}");
        if let Ok(map) = env::var(MAP) {
            println!("cargo:rustc-link-arg-bins=-Wl,-Map={map}");
        }
    }
}

/// Whether the compiler links by the linker that comes with it, which it does for this one target: others know no such
/// order.
fn links_by_lld(rustc: &str, target: &str) -> bool {
    let sysroot = Command::new(rustc).arg("--print=sysroot").output();
    let sysroot = sysroot.map(|told| String::from_utf8_lossy(&told.stdout).trim().to_owned());
    let lld = |sysroot| PathBuf::from(sysroot).join(format!("lib/rustlib/{target}/bin/gcc-ld/ld.lld"));
    target == "x86_64-unknown-linux-gnu" && sysroot.is_ok_and(|sysroot| lld(sysroot).exists())
}
