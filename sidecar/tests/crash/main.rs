//! Rows 1 to 7 of the fault matrix: the shipped binary is killed at named points, each many times, and
//! nothing that was acknowledged is lost.
//!
//! A preloaded shim kills at a system call; the binary has no hooks for that. Each kill is followed by a process
//! without a shim over the same journal, until all that was owed is delivered and a fresh event has passed. What
//! may be delivered twice is known for each point exactly: what was in flight. `OUTRIGGER_LONG=1` kills ten times
//! as often.

#[path = "../common/mod.rs"]
mod common;
mod rig;

mod judge;

mod attempts;
mod checkpoint;
mod letters;
mod opening;
mod points;
mod power;
mod size;
mod under_load;
