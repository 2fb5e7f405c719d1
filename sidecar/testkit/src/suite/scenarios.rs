//! The scenarios, a file for each. Each begins with what is owed, and has `NEED` and `play`.

pub mod backpressure;
pub mod crash;
pub mod drain;
pub mod duplicates;
pub mod marks;
pub mod order;
pub mod overflow;
pub mod poison;
pub mod reconnect;
pub mod redelivery;
pub mod routes;
pub mod shares;
pub mod slow_function;
