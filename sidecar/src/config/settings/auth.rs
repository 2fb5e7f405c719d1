//! Who may enter a listener: the same settings for each of them, under its own name.

use std::time::Duration;

use super::{
    Setting,
    table::{KIB, MIB, count, setting, size, span},
};
use crate::config::kind::Kind;

/// The algorithms that may be allowed: those of asymmetric keys.
const ALGORITHMS: &[&str] =
    &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];
const MINUTE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

/// The settings below `$listener.auth`.
macro_rules! auth {
    ($listener:literal) => {
        &[
            setting(
                concat!($listener, ".auth.bearer_file"),
                Kind::Or("none", &Kind::File),
                "none",
                "Lets in who sends the token in this file (Authorization: Bearer); read again when it changes.",
            ),
            setting(
                concat!($listener, ".auth.certificates"),
                Kind::Or("none", &Kind::Peers),
                "none",
                "Lets in client certificates (mutual TLS) by a SPIFFE id, or by subject:, dns:, uri: or email: and a \
                 pattern; * is anything.",
            ),
            setting(
                concat!($listener, ".auth.oidc.issuer"),
                Kind::Or("none", &Kind::Issuer),
                "none",
                "Lets in who sends a JWT of this issuer, exactly as its tokens name it (iss).",
            ),
            setting(
                concat!($listener, ".auth.oidc.audience"),
                Kind::Or("none", &Kind::Lines),
                "none",
                "Who we are to the issuer: a token must be for one of these (aud).",
            ),
            setting(
                concat!($listener, ".auth.oidc.algorithms"),
                Kind::Words(ALGORITHMS),
                "[RS256, ES256, EdDSA]",
                "By which a token may be signed.",
            ),
            setting(
                concat!($listener, ".auth.oidc.leeway"),
                span(Duration::ZERO, MINUTE),
                "30s",
                "How far the issuer's clock and ours may be apart.",
            ),
            setting(
                concat!($listener, ".auth.oidc.keys_url"),
                Kind::Or("discover", &Kind::TokenUrl),
                "discover",
                "Where its keys are (JWKS); discover asks the issuer's /.well-known/openid-configuration.",
            ),
            setting(
                concat!($listener, ".auth.oidc.ca_file"),
                Kind::Or("system", &Kind::File),
                "system",
                "The authorities of the issuer's certificate, in PEM; read again at every fetch.",
            ),
            setting(
                concat!($listener, ".auth.oidc.refresh_every"),
                span(MINUTE, Duration::from_hours(24)),
                "1h",
                "How often its keys are fetched.",
            ),
            setting(
                concat!($listener, ".auth.oidc.refresh_min"),
                span(SECOND, Duration::from_hours(1)),
                "10s",
                "How often at most a token with an unknown key makes them be fetched; in between it is answered 503.",
            ),
            setting(
                concat!($listener, ".auth.oidc.keys_age_max"),
                span(MINUTE, Duration::from_hours(24 * 30)),
                "24h",
                "How old the keys may become while the issuer is out of reach; then tokens are answered 503.",
            ),
            setting(
                concat!($listener, ".auth.oidc.timeout"),
                span(Duration::from_millis(100), MINUTE),
                "5s",
                "How long one question to the issuer may take.",
            ),
            setting(
                concat!($listener, ".auth.oidc.answer_bytes_max"),
                size(KIB, 16 * MIB),
                "256KiB",
                "The largest answer of the issuer.",
            ),
            setting(
                concat!($listener, ".auth.oidc.tokens_max"),
                count(0, 1_000_000),
                "1024",
                "The most verified tokens that are known again without checking their signature.",
            ),
            setting(
                concat!($listener, ".auth.hmac.secret_file"),
                Kind::Or("none", &Kind::File),
                "none",
                "Lets in who signs the body with a secret in this file, one a line, at most four; read again when it \
                 changes.",
            ),
            setting(
                concat!($listener, ".auth.hmac.header"),
                Kind::Header,
                "X-Hub-Signature-256",
                "The header that holds the signature; the default is GitHub's.",
            ),
            setting(
                concat!($listener, ".auth.hmac.prefix"),
                Kind::Or("none", &Kind::Line),
                "sha256=",
                "What stands before it there.",
            ),
            setting(
                concat!($listener, ".auth.hmac.encoding"),
                Kind::Word(&["hex", "base64"]),
                "hex",
                "How it is written.",
            ),
            setting(
                concat!($listener, ".auth.hmac.hash"),
                Kind::Word(&["sha256", "sha512"]),
                "sha256",
                "What it is made with.",
            ),
            setting(
                concat!($listener, ".auth.allow"),
                Kind::Or("all", &Kind::Rules),
                "all",
                "Rules: who (claims, certificates, methods) may send what (paths, sources, types); all lets everybody \
                 who is known send anything.",
            ),
        ]
    };
}

/// Those of the ingress; they follow the rest of `ingress.http`.
pub(super) const INGRESS: &[Setting] = auth!("ingress.http");

/// Those of the proxy.
pub(super) const PROXY: &[Setting] = auth!("proxy");
