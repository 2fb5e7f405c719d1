//! Answers that the shipped binary keeps: what is served without the function and what never is, and the public test suite
//! of HTTP caches as the judge.
//!
//! `results.txt` holds every test of that suite with its kind and our result; the README tells of those that do not pass.

#[path = "../common/mod.rs"]
mod common;

mod rig;
mod served;
mod suite;
mod tenants;
