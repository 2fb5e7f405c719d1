//! Who may enter, and what they may send: one [`Guard`] for each listener.
//!
//! | file | what |
//! |---|---|
//! | [`guard`] | the one question of a listener: who is this, and may they |
//! | [`denial`] | why not, for the operator, and how little of it the caller is told |
//! | [`identity`] | who somebody is: claims, a certificate, or the holder of a secret |
//! | [`rules`] | from an identity to the paths, sources and types that it may send; pure |
//! | [`oidc`] | bearer tokens of an issuer: discovery, keys that are kept fresh, tokens that were seen before |
//! | [`issuers`] | several issuers, of which a token names one |
//! | [`jwt`] | one token: its parts, its claims at a given time; pure |
//! | [`jwks`] | an issuer's keys, and which one a token means; pure |
//! | [`hmac`] | a body that is signed with a shared secret |
//! | [`secret`] | a shared secret itself, in the query or a header |
//! | [`glob`] | the patterns of rules; pure |
//!
//! Every method that is configured is an alternative: a request that satisfies one is let in. Not here: TLS (the
//! listener verifies a client's certificate and says whose it is, as a [`Peer`](crate::tls::Peer)), and what a request means.

pub mod denial;
pub mod glob;
pub mod guard;
pub mod hmac;
pub mod identity;
pub mod issuers;
pub mod jwks;
pub mod jwt;
pub mod oidc;
pub mod rules;
pub mod secret;

mod seen;
mod throttle;

pub use self::{
    denial::{Denial, Why},
    glob::Glob,
    guard::{Attributes, Entry, Guard, Methods, Pass, Pending},
    identity::{Identity, PeerPattern},
    issuers::Issuers,
    rules::{Rule, Rules, Wanted},
};
