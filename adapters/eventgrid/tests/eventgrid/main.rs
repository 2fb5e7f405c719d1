//! The adapter against the strict fake of the service, whose clients are Microsoft's own.

mod rig;
mod sink;
mod source;
mod trouble;
