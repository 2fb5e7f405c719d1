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
/// The most issuers of a listener.
pub(super) const ISSUERS_MAX: usize = 16;
/// What their section is for.
pub(super) const ISSUERS: &str = "Tokens (JWT) of an OpenID Connect issuer, or a list of such sections, each of another issuer: iss picks.";
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
        ]
    };
}

/// What follows the tokens of an issuer, below `$listener.auth`, where rules may be about `$parts`.
macro_rules! further {
    ($listener:literal, $parts:literal) => {
        &[
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
                concat!(
                    "Rules: who (claims, certificates, methods) may send what (",
                    $parts,
                    "); all lets everybody who is known send anything."
                ),
            ),
        ]
    };
}

/// Tokens of an issuer, which is `$issuer` by default.
macro_rules! oidc {
    ($section:expr, $issuer:literal) => {
        &[
            setting(
                concat!($section, ".issuer"),
                Kind::Or("none", &Kind::Issuer),
                $issuer,
                "Lets in who sends a JWT of this issuer, exactly as its tokens name it (iss).",
            ),
            setting(
                concat!($section, ".audience"),
                Kind::Or("none", &Kind::Lines),
                "none",
                "Who we are to the issuer: a token must be for one of these (aud).",
            ),
            setting(
                concat!($section, ".algorithms"),
                Kind::Words(ALGORITHMS),
                "[RS256, ES256, EdDSA]",
                "By which a token may be signed.",
            ),
            setting(
                concat!($section, ".leeway"),
                span(Duration::ZERO, MINUTE),
                "30s",
                "How far the issuer's clock and ours may be apart.",
            ),
            setting(
                concat!($section, ".keys_url"),
                Kind::Or("discover", &Kind::TokenUrl),
                "discover",
                "Where its keys are (JWKS); discover asks the issuer's /.well-known/openid-configuration.",
            ),
            setting(
                concat!($section, ".ca_file"),
                Kind::Or("system", &Kind::File),
                "system",
                "The authorities of the issuer's certificate, in PEM; read again at every fetch.",
            ),
            setting(
                concat!($section, ".refresh_every"),
                span(MINUTE, Duration::from_hours(24)),
                "1h",
                "How often its keys are fetched.",
            ),
            setting(
                concat!($section, ".refresh_min"),
                span(SECOND, Duration::from_hours(1)),
                "10s",
                "How often at most a token with an unknown key makes them be fetched; in between it is answered 503.",
            ),
            setting(
                concat!($section, ".keys_age_max"),
                span(MINUTE, Duration::from_hours(24 * 30)),
                "24h",
                "How old the keys may become while the issuer is out of reach; then tokens are answered 503.",
            ),
            setting(
                concat!($section, ".timeout"),
                span(Duration::from_millis(100), MINUTE),
                "5s",
                "How long one question to the issuer may take.",
            ),
            setting(
                concat!($section, ".answer_bytes_max"),
                size(KIB, 16 * MIB),
                "256KiB",
                "The largest answer of the issuer.",
            ),
            setting(
                concat!($section, ".tokens_max"),
                count(0, 1_000_000),
                "1024",
                "The most verified tokens that are known again without checking their signature.",
            ),
        ]
    };
}

/// Those of the ingress; they follow the rest of `ingress.http`.
pub(super) const INGRESS: [&[Setting]; 3] = [
    auth!("ingress.http"),
    oidc!("ingress.http.auth.oidc", "none"),
    further!("ingress.http", "paths, sources, types"),
];

/// Those of the proxy.
pub(super) const PROXY: [&[Setting]; 3] =
    [auth!("proxy"), oidc!("proxy.auth.oidc", "none"), further!("proxy", "paths")];

/// Google's tokens, with which Pub/Sub pushes.
pub(super) const PUBSUB_PUSH: &[Setting] = oidc!("ingress.pubsub_push", "https://accounts.google.com");

/// Entra's tokens, with which Event Grid calls a webhook.
pub(super) const EVENTGRID_WEBHOOK: &[Setting] = oidc!("ingress.eventgrid_webhook.entra", "none");
