//! Who may enter a listener, as the program uses it.

use super::build::Values;
use std::{path::PathBuf, time::Duration};

/// Who may enter a listener. Each way that is given is an alternative; without any, anybody may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// The file that holds a bearer token.
    pub bearer_file: Option<PathBuf>,
    /// Patterns of client certificates.
    pub certificates: Vec<String>,
    /// Tokens of issuers, each another.
    pub oidc: Vec<Oidc>,
    /// Signed bodies.
    pub hmac: Option<Hmac>,
    /// A secret that is shown as it is; only webhooks of Event Grid have it.
    pub secret: Option<Secret>,
    /// Who of those may send what; none is everybody everything.
    pub allow: Option<Vec<Rule>>,
}

/// Tokens of an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oidc {
    /// Its section of the configuration.
    pub section: String,
    /// As its tokens name it.
    pub issuer: String,
    /// Who we are; a rule asks for at least one.
    pub audiences: Vec<String>,
    /// Names of asymmetric algorithms.
    pub algorithms: Vec<String>,
    /// How far the clocks may be apart, at most a minute.
    pub leeway: Duration,
    /// Where the keys are; none discovers it.
    pub keys_url: Option<http::Uri>,
    /// The authorities of its certificate; none is the system's.
    pub ca_file: Option<PathBuf>,
    /// How often keys are fetched.
    pub refresh_every: Duration,
    /// How often at most because of an unknown key.
    pub refresh_min: Duration,
    /// How old they may become.
    pub keys_age_max: Duration,
    /// Bound of one question.
    pub timeout: Duration,
    /// Bound of one answer, in bytes.
    pub answer_bytes_max: usize,
    /// How many verified tokens are known again.
    pub tokens_max: usize,
}

/// Signed bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hmac {
    /// The setting that names the file.
    pub setting: String,
    /// The file that holds the secrets.
    pub secret_file: PathBuf,
    /// The header.
    pub header: http::HeaderName,
    /// What stands before the signature, if anything.
    pub prefix: String,
    /// Whether it is in base64, else hexadecimal.
    pub is_base64: bool,
    /// Whether it is by SHA-512, else SHA-256.
    pub is_sha512: bool,
}

/// A secret that is shown as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// The file that holds the secrets.
    pub file: PathBuf,
    /// The parameter of the query that shows it.
    pub query: Option<String>,
    /// The header that shows it.
    pub header: Option<http::HeaderName>,
}

/// Who may send what. Every empty list is anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// Claims by name, each with what it, or a member of it, may be.
    pub claims: Vec<(String, Vec<Claim>)>,
    /// Patterns of client certificates.
    pub certificates: Vec<String>,
    /// Ways in: bearer, certificate, oidc, hmac.
    pub methods: Vec<String>,
    /// Patterns of paths.
    pub paths: Vec<String>,
    /// Patterns of sources.
    pub sources: Vec<String>,
    /// Patterns of types.
    pub types: Vec<String>,
}

/// What a claim may be: only what is of the same kind in the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// This flag.
    Flag(bool),
    /// A number of this value.
    Number(serde_json::Number),
    /// A text that fits this pattern.
    Text(String),
}

impl Auth {
    /// Anybody may enter.
    #[must_use]
    pub fn none() -> Self {
        Self {
            bearer_file: None,
            certificates: Vec::new(),
            oidc: Vec::new(),
            hmac: None,
            secret: None,
            allow: None,
        }
    }

    /// Whether anybody may enter.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.ways().is_empty()
    }

    /// The ways in that are given, by their settings' names.
    #[must_use]
    pub fn ways(&self) -> Vec<&'static str> {
        let ways = [
            ("bearer_file", self.bearer_file.is_some()),
            ("certificates", !self.certificates.is_empty()),
            ("oidc", !self.oidc.is_empty()),
            ("hmac", self.hmac.is_some()),
            ("secret_file", self.secret.is_some()),
        ];
        ways.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }
}

impl Values {
    /// The settings below `{listener}.auth`.
    pub(super) fn auth(&self, listener: &str) -> Auth {
        let at = |name: &str| format!("{listener}.auth.{name}");
        Auth {
            bearer_file: self.some_file(&at("bearer_file")),
            certificates: self.list(&at("certificates")).unwrap_or_default(),
            oidc: self.issuers(&at("oidc")),
            hmac: self.hmac(&at("hmac")),
            secret: None,
            allow: self.rules(&at("allow")),
        }
    }

    /// The one issuer of this section, or each of the list in its place.
    fn issuers(&self, section: &str) -> Vec<Oidc> {
        let Some(several) = self.several(section) else { return self.oidc(section).into_iter().collect() };
        let one = |(index, values): (usize, &Values)| {
            let oidc = values.oidc(section)?;
            Some(Oidc { section: format!("{section}.{}", index + 1), ..oidc })
        };
        several.iter().enumerate().filter_map(one).collect()
    }

    pub(super) fn oidc(&self, section: &str) -> Option<Oidc> {
        let at = |name: &str| format!("{section}.{name}");
        Some(Oidc {
            section: section.to_owned(),
            issuer: self.some_text(&at("issuer"))?,
            audiences: self.list(&at("audience")).unwrap_or_default(),
            algorithms: self.list(&at("algorithms")).unwrap_or_default(),
            leeway: self.span(&at("leeway")),
            keys_url: self.url(&at("keys_url")),
            ca_file: self.some_file(&at("ca_file")),
            refresh_every: self.span(&at("refresh_every")),
            refresh_min: self.span(&at("refresh_min")),
            keys_age_max: self.span(&at("keys_age_max")),
            timeout: self.span(&at("timeout")),
            answer_bytes_max: self.size(&at("answer_bytes_max")),
            tokens_max: self.count(&at("tokens_max")),
        })
    }

    fn hmac(&self, section: &str) -> Option<Hmac> {
        let at = |name: &str| format!("{section}.{name}");
        Some(Hmac {
            setting: at("secret_file"),
            secret_file: self.some_file(&at("secret_file"))?,
            header: self.header(&at("header")),
            prefix: self.some_text(&at("prefix")).unwrap_or_default(),
            is_base64: self.word(&at("encoding")) == "base64",
            is_sha512: self.word(&at("hash")) == "sha512",
        })
    }
}
