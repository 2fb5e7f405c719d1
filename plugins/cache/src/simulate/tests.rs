//! Hit rates on traces that differ in what they reward.
use super::*;
