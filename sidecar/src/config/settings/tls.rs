//! The settings of TLS: the same for every listener, and for the function.

use super::{Setting, table::setting};
use crate::config::kind::Kind;

const VERSIONS: Kind = Kind::Word(&["1.2", "1.3"]);
const FILE: Kind = Kind::Or("none", &Kind::File);

/// Those of the listener whose section is `$section`.
macro_rules! listener {
    ($section:literal) => {
        &[
            setting(
                concat!($section, ".certificate_file"),
                FILE,
                "none",
                "The listener's certificate (PEM), then its issuers; with it, the listener speaks TLS and nothing else.",
            ),
            setting(concat!($section, ".key_file"), FILE, "none", "The certificate's key (PEM, not encrypted)."),
            setting(
                concat!($section, ".version_min"),
                VERSIONS,
                "1.2",
                "The oldest version of TLS that is spoken.",
            ),
            setting(
                concat!($section, ".client_ca_file"),
                FILE,
                "none",
                "Mutual TLS: the authorities (PEM) whose clients may connect; none asks for no certificate.",
            ),
            setting(
                concat!($section, ".client_crl_file"),
                FILE,
                "none",
                "Their lists of revoked certificates (PEM), one of each authority at least; read again when it changes.",
            ),
            setting(
                concat!($section, ".clients"),
                Kind::Word(&["auto", "required", "optional"]),
                "auto",
                "Whether a client without a certificate is turned away; auto says yes where there is a client_ca_file.",
            ),
            setting(
                concat!($section, ".client_subjects"),
                Kind::Or("any", &Kind::Subjects),
                "any",
                "The certificates that may connect, by their whole subject, such as \"CN=billing,O=Example\".",
            ),
            setting(
                concat!($section, ".client_spiffe_ids"),
                Kind::Or("any", &Kind::SpiffeIds),
                "any",
                "Those that may besides, by SPIFFE id, such as spiffe://example.org/ns/prod/*; /* is all below.",
            ),
        ]
    };
}

/// Of the HTTP ingress.
pub(super) const INGRESS: &[Setting] = listener!("ingress.http.tls");
/// Of the proxy.
pub(super) const PROXY: &[Setting] = listener!("proxy.tls");
/// Of health and metrics.
pub(super) const ADMIN: &[Setting] = listener!("admin.tls");

/// Of the calls of the function.
pub(super) const FUNCTION: &[Setting] = &[
    setting(
        "function.tls.ca_file",
        Kind::Or("system", &Kind::File),
        "system",
        "The authorities (PEM) of the function's certificate; system is those of this system.",
    ),
    setting(
        "function.tls.certificate_file",
        FILE,
        "none",
        "Our certificate (PEM), then its issuers, for a function that asks for one.",
    ),
    setting("function.tls.key_file", FILE, "none", "The certificate's key (PEM, not encrypted)."),
    setting("function.tls.version_min", VERSIONS, "1.2", "The oldest version of TLS that is spoken."),
];
