#!/usr/bin/env bash
# Says in one line for each tool that is missing how to get it, and fails if any is.
#   scripts/need.sh cargo cc c++
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

# The toolchain that rust-toolchain.toml pins.
pinned=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' rust-toolchain.toml)
missing=0

lacks() {
    echo "missing: $1" >&2
    missing=1
}

for tool in "$@"; do
    case $tool in
    cargo)
        if ! command -v cargo >/dev/null; then
            lacks "cargo (Rust $pinned): install rustup from https://rustup.rs, or your system's package 'rustup'"
        elif ! cargo --version >/dev/null 2>&1; then
            lacks "Rust $pinned: rustup toolchain install $pinned --profile minimal --component clippy,rustfmt"
        fi
        ;;
    cc) command -v cc >/dev/null || lacks "cc, a C compiler (SQLite is compiled in): apt-get install gcc, or your system's" ;;
    c++) command -v c++ >/dev/null || lacks "c++, a C++ compiler (the fuzzer's engine): apt-get install g++, or your system's" ;;
    perl | make) command -v "$tool" >/dev/null || lacks "$tool (OpenSSL is built from its source): apt-get install $tool, or your system's" ;;
    java) command -v java >/dev/null || lacks "java (the Kafka that the demo starts): apt-get install default-jre-headless maven, or your system's" ;;
    *) command -v "$tool" >/dev/null || lacks "$tool" ;;
    esac
done
exit "$missing"
