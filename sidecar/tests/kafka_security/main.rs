//! The shipped binary before a real broker that asks who comes, and what it does when it is not let in.
//!
//! | module | what stands there |
//! |---|---|
//! | `endpoint` | a token endpoint that can be told to refuse |
//! | `rig` | a topic behind one of the broker's doors, a function, and the settings that open the door |
//! | `doors` | an event comes through every door, by every login |
//! | `refused` | a wrong password, an unknown authority, no token, no permission: said, shown, and mended |

#[path = "../common/mod.rs"]
mod common;
mod doors;
mod endpoint;
#[path = "../kafka/rig.rs"]
#[allow(dead_code, reason = "the tests without logins use the rest")]
mod kafka_rig;
mod refused;
mod rig;
