//! TLS of a listener and of the function: what the settings come to, and what they need beside one another.

use std::path::PathBuf;

use super::{build::Values, rules::Rules};

/// A certificate with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The certificate, then its issuers.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// TLS of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// Its section of the configuration.
    pub section: &'static str,
    /// What it shows.
    pub pair: KeyPair,
    /// Whether TLS 1.2 is not spoken.
    pub only_13: bool,
    /// Which clients show a certificate; none asks for none.
    pub clients: Option<ClientCertificates>,
}

/// Which clients show a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificates {
    /// Whose certificates are taken.
    pub ca: PathBuf,
    /// Their lists of certificates that are taken back.
    pub crl: Option<PathBuf>,
    /// Whether a client without one is turned away.
    pub required: bool,
    /// The whole subjects that may connect.
    pub subjects: Vec<String>,
    /// The SPIFFE ids that may connect besides; where both lists are empty, everybody with a certificate may.
    pub spiffe_ids: Vec<String>,
}

impl ClientCertificates {
    /// Whether a name in a certificate means the same client to both: the same authorities and lists,
    /// and the same rules.
    #[must_use]
    pub fn knows_as(&self, other: &Self) -> bool {
        self.ca == other.ca
            && self.crl == other.crl
            && self.subjects == other.subjects
            && self.spiffe_ids == other.spiffe_ids
    }
}

/// TLS toward the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionTls {
    /// The authorities of its certificate; none is the system's.
    pub ca: Option<PathBuf>,
    /// What we show to it.
    pub pair: Option<KeyPair>,
    /// Whether TLS 1.2 is not spoken.
    pub only_13: bool,
}

impl Values {
    pub(super) fn listener_tls(&self, section: &'static str) -> Option<ListenerTls> {
        let of = |name: &str| format!("{section}.{name}");
        Some(ListenerTls {
            section,
            pair: self.key_pair(section)?,
            only_13: self.word(&of("version_min")) == "1.3",
            clients: self.some_file(&of("client_ca_file")).map(|ca| ClientCertificates {
                ca,
                crl: self.some_file(&of("client_crl_file")),
                required: self.word(&of("clients")) != "optional",
                subjects: self.list(&of("client_subjects")).unwrap_or_default(),
                spiffe_ids: self.list(&of("client_spiffe_ids")).unwrap_or_default(),
            }),
        })
    }

    pub(super) fn function_tls(&self) -> FunctionTls {
        FunctionTls {
            ca: self.some_file("function.tls.ca_file"),
            pair: self.key_pair("function.tls"),
            only_13: self.word("function.tls.version_min") == "1.3",
        }
    }

    fn key_pair(&self, section: &str) -> Option<KeyPair> {
        Some(KeyPair {
            certificate: self.some_file(&format!("{section}.certificate_file"))?,
            key: self.some_file(&format!("{section}.key_file"))?,
        })
    }
}

/// Checks those that could be read.
pub(super) fn check(rules: &mut Rules<'_>) {
    for section in ["function.tls", "ingress.http.tls", "proxy.tls", "admin.tls"] {
        halves(rules, section);
    }
    for section in ["ingress.http.tls", "proxy.tls", "admin.tls"] {
        clients(rules, section);
    }
    let url = rules.config.function.url.as_ref();
    if url.is_none_or(|url| url.scheme_str() == Some("https")) {
        return;
    }
    for name in ["ca_file", "certificate_file", "key_file", "version_min"] {
        unused(rules, &format!("function.tls.{name}"), "function.url", "a function.url that is https://");
    }
}

/// Each half of a pair needs the other.
fn halves(rules: &mut Rules<'_>, section: &str) {
    let (certificate, key) = (format!("{section}.certificate_file"), format!("{section}.key_file"));
    let half = match (given(rules, &certificate), given(rules, &key)) {
        (true, false) => Some((&key, "no key", "the file of the certificate's key; or no certificate_file")),
        (false, true) => {
            Some((&certificate, "no certificate", "the file of the key's certificate; or no key_file"))
        }
        _ => None,
    };
    if let Some((missing, found, expected)) = half.filter(|_| rules.are_read(&[&certificate, &key])) {
        rules.wrong(missing, found, expected);
    }
}

/// Whoever writes who may connect means that others may not: such a line must not stand there without effect.
fn clients(rules: &mut Rules<'_>, section: &str) {
    let (certificate, ca) = (format!("{section}.certificate_file"), format!("{section}.client_ca_file"));
    let key = format!("{section}.key_file");
    if !given(rules, &certificate) && !given(rules, &key) {
        let names = [
            "version_min",
            "client_ca_file",
            "client_crl_file",
            "clients",
            "client_subjects",
            "client_spiffe_ids",
        ];
        for name in names {
            unused(
                rules,
                &format!("{section}.{name}"),
                &certificate,
                "a certificate_file and a key_file, as without TLS it says nothing",
            );
        }
    } else if !given(rules, &ca) {
        for name in ["client_crl_file", "clients", "client_subjects", "client_spiffe_ids"] {
            unused(
                rules,
                &format!("{section}.{name}"),
                &ca,
                "a client_ca_file, as no certificate is asked for without",
            );
        }
    }
}

fn unused(rules: &mut Rules<'_>, key: &str, by: &str, wanted: &str) {
    if given(rules, key) && rules.are_read(&[key, by]) {
        rules.wrong(key, "a value that nothing uses", format!("no value, or {wanted}"));
    }
}

/// Whether the file gives it another value than its default, which says nothing.
fn given(rules: &Rules<'_>, key: &str) -> bool {
    let default = |text: String| matches!(text.as_str(), "none" | "any" | "auto" | "system" | "1.2");
    rules.is_given(key) && !rules.says(key).is_some_and(default)
}

#[cfg(test)]
mod tests;
