//! The whole crate, seen from outside but for the printer's property, which makes its own nodes.
