//! TLS, by rustls on aws-lc-rs: keys and certificates from files, read again when the files change.
//!
//! | file | what |
//! |---|---|
//! | [`server`] | what a listener shows, and which clients it lets in |
//! | [`client`] | whom a client of ours believes, and what it shows |
//! | [`peer`] | who a certificate says that the other side is |
//! | [`rules`] | which of them are allowed |
//! | [`refusal`] | why a handshake failed, for people and for metrics |
//! | `files` | PEM files, and everything that can be wrong with them |
//! | `revocation` | lists of certificates that are taken back |
//! | `renewal` | what is done when files change, and when a certificate nears its end |
//!
//! A renewed file counts within two seconds of its last change. One that cannot be used is said once, and what
//! was read before stays in force. Nothing is written here, and no certificate is asked for anywhere.

pub mod client;
pub mod peer;
pub mod refusal;
pub mod rules;
pub mod server;

mod files;
#[cfg(test)]
pub(crate) mod made;
mod renewal;
mod revocation;

use std::{fmt, sync::Arc};

use rustls::{SupportedProtocolVersion, crypto::CryptoProvider};

pub use self::{
    client::{Authorities, ClientSettings, ClientTls},
    files::Pair,
    peer::Peer,
    refusal::Refusal,
    rules::Rules,
    server::{Clients, ServerSettings, ServerTls},
};

/// The oldest version that is spoken. TLS 1.1 and older are not spoken at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// TLS 1.2 and 1.3.
    #[default]
    Tls12,
    /// TLS 1.3 alone.
    Tls13,
}

impl Version {
    fn and_newer(self) -> &'static [&'static SupportedProtocolVersion] {
        static ALL: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
        match self {
            Version::Tls12 => &ALL,
            Version::Tls13 => &ALL[..1],
        }
    }
}

/// Everything that keeps TLS from being set up: for each setting what is wrong, where, and what to do.
///
/// Trying again helps once a file was changed. Nothing of a key is ever shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsError {
    /// The setting's key, such as `ingress.http.tls.key_file`, and what is wrong with what it names. Never empty.
    pub problems: Vec<(String, String)>,
}

impl TlsError {
    fn one(key: impl Into<String>, what: impl Into<String>) -> TlsError {
        TlsError { problems: vec![(key.into(), what.into())] }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, what)) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{key}: {what}")?;
        }
        Ok(())
    }
}

impl std::error::Error for TlsError {}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
