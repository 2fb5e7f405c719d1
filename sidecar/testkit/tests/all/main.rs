//! The testkit proves itself: its judges on planted flaws, its shim on a real process.

mod oracle;
mod rig;
mod shim;
