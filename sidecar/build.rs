//! How the binary is linked.

#[expect(clippy::disallowed_methods, reason = "this is how cargo tells a build script what it builds for")]
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A megabyte of relocations, all read at the start, becomes some 20 KiB. glibc reads them from 2.36 on; other C
    // libraries may not, and get the long form.
    let target = |name: &str| std::env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    if (target("OS").as_str(), target("ENV").as_str()) == ("linux", "gnu") {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
