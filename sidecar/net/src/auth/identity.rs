//! Who somebody is, by whichever method it became known.

use super::{glob::Glob, jwt::Claims};
use crate::tls::Peer;
use std::sync::Arc;

/// A certificate that is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerPattern {
    /// Whichever the listener's authorities signed.
    Any,
    /// By its SPIFFE id.
    Spiffe(Glob),
    /// By its subject.
    Subject(Glob),
    /// By one of its host names.
    Dns(Glob),
    /// By one of its URIs.
    Uri(Glob),
    /// By one of its addresses of mail.
    Email(Glob),
}

impl PeerPattern {
    /// Reads `any`, `spiffe://…`, or `subject:`, `dns:`, `uri:` or `email:` and a pattern in which `*` is anything.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        if text == "any" {
            return Some(Self::Any);
        }
        if text.starts_with("spiffe://") {
            return Some(Self::Spiffe(Glob::new(text)));
        }
        let (kind, pattern) = text.split_once(':').filter(|(_, pattern)| !pattern.is_empty())?;
        let glob = Glob::new(pattern);
        match kind {
            "subject" => Some(Self::Subject(glob)),
            "dns" => Some(Self::Dns(Glob::new(&pattern.to_ascii_lowercase()))),
            "uri" => Some(Self::Uri(glob)),
            "email" => Some(Self::Email(glob)),
            _ => None,
        }
    }

    /// Whether it is this certificate. A name that is empty is nobody's.
    #[must_use]
    pub fn fits(&self, peer: &Peer) -> bool {
        let named =
            |names: &[String], glob: &Glob| names.iter().any(|name| !name.is_empty() && glob.fits(name));
        match self {
            Self::Any => true,
            Self::Spiffe(glob) => peer.spiffe_id.as_ref().is_some_and(|id| glob.fits(id)),
            Self::Subject(glob) => !peer.subject.is_empty() && glob.fits(&peer.subject),
            Self::Dns(glob) => named(&peer.dns, glob),
            Self::Uri(glob) => named(&peer.uris, glob),
            Self::Email(glob) => named(&peer.emails, glob),
        }
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub enum Identity {
    /// Anybody: the listener says `auth: none`.
    Anybody,
    /// Whoever holds the bearer token of the file.
    Bearer,
    /// Whom an issuer's token speaks for.
    Token(Arc<Claims>),
    /// The owner of a client certificate.
    Certificate(Arc<Peer>),
    /// Whoever holds the secret that bodies are signed with.
    Signer,
    /// Whoever holds the secret itself.
    Holder,
}

impl Identity {
    /// The method, as rules and the audit log name it.
    #[must_use]
    pub fn method(&self) -> &'static str {
        match self {
            Self::Anybody => "none",
            Self::Bearer => "bearer",
            Self::Token(_) => "oidc",
            Self::Certificate(_) => "certificate",
            Self::Signer => "hmac",
            Self::Holder => "secret",
        }
    }

    /// The same text for the same one and never for two of them: method, issuer and subject. All who hold the same secret
    /// are one.
    #[must_use]
    pub fn key(&self) -> String {
        let method = self.method();
        match self {
            Self::Token(claims) => {
                let subject = claims.get("sub").and_then(serde_json::Value::as_str);
                let named =
                    subject.map_or_else(|| format!("?{}", claims.name()), |subject| format!("={subject}"));
                format!("{method}\n{}\n{named}", claims.issuer().unwrap_or_default())
            }
            Self::Certificate(peer) => {
                let id = peer
                    .spiffe_id
                    .as_ref()
                    .map_or_else(|| format!("?{}", peer.subject), |id| format!("={id}"));
                format!("{method}\n{id}")
            }
            Self::Anybody | Self::Bearer | Self::Signer | Self::Holder => method.to_owned(),
        }
    }

    /// Who it is, for the audit log: a token's `email` or `sub`, a certificate's SPIFFE id or subject; else empty.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Token(claims) => claims.name(),
            Self::Certificate(peer) => peer.spiffe_id.as_deref().unwrap_or(&peer.subject),
            Self::Anybody | Self::Bearer | Self::Signer | Self::Holder => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> Peer {
        Peer {
            subject: "CN=orders,O=Example".to_owned(),
            spiffe_id: Some("spiffe://example.org/ns/shop/sa/orders".to_owned()),
            dns: vec!["orders.shop".to_owned()],
            uris: vec!["spiffe://example.org/ns/shop/sa/orders".to_owned()],
            emails: vec!["orders@example.org".to_owned()],
            ..Peer::default()
        }
    }

    #[test]
    fn a_certificate_is_known_by_each_of_its_names() {
        for text in [
            "any",
            "spiffe://example.org/ns/shop/*",
            "subject:CN=orders,*",
            "dns:*.Shop",
            "uri:spiffe://*",
            "email:orders@example.org",
        ] {
            assert!(PeerPattern::read(text).unwrap().fits(&peer()), "{text}");
        }
        for text in ["spiffe://example.com/*", "subject:orders", "dns:orders", "email:orders@example.com"] {
            assert!(!PeerPattern::read(text).unwrap().fits(&peer()), "{text}");
        }
    }

    #[test]
    fn a_name_of_one_kind_is_not_one_of_another_and_no_name_is_nobody() {
        let forged = Peer {
            subject: "CN=spiffe://example.org/ns/shop/sa/orders".to_owned(),
            dns: vec!["spiffe://example.org/ns/shop/sa/orders".to_owned()],
            ..Peer::default()
        };
        assert!(!PeerPattern::read("spiffe://*").unwrap().fits(&forged));
        for text in ["subject:*", "dns:*", "uri:*", "email:*", "spiffe://*"] {
            assert!(!PeerPattern::read(text).unwrap().fits(&Peer::default()), "{text}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_none() {
        for text in ["", "Any", "*", "orders", "cn:orders", "dns:", "dns", "SPIFFE://x"] {
            assert_eq!(PeerPattern::read(text), None, "{text:?}");
        }
    }
}
