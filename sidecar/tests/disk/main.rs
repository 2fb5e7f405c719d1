//! Rows 20 to 22 of the fault matrix on the shipped binary: a full disk, an fsync that fails, and dead letters that
//! find no room; and a disk that hangs.

#[path = "../common/mod.rs"]
mod common;

mod fsync;
mod full;
mod graves;
mod hang;
mod place;
