//! Every rule of delivery as a pure state machine: events and a time go in, actions come out.
//!
//! Nothing here reads a clock, rolls dice or waits. Whoever calls brings the time, so the same code runs in
//! production, under paused time and in a simulation.

pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod hand;
pub mod lanes;
pub mod marks;
pub mod rate;
pub mod step;
pub mod verdict;
pub mod watermark;
pub mod window;
