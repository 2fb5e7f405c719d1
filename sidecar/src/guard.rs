//! From the configuration to who may enter a listener.

use crate::config;
use fastrand::Rng;
use outrigger_core::{Error, Kind, Result};
use outrigger_net::{
    auth::{
        Glob, Guard, Issuers, Methods, PeerPattern, Rule, Rules, Wanted,
        hmac::{Encoding, Form, Hash, Signed},
        oidc::{Oidc, Settings},
        secret::Shared,
    },
    client::Proxies,
    token::TokenFile,
};
use std::{fmt::Display, sync::Arc, time::Instant};

/// Whether every file that `auth` of a listener names can be used. Nobody is asked.
///
/// # Errors
/// What is wrong, with the setting.
pub fn check(config: &config::Config) -> Result<()> {
    let ingress = config.ingress.http.as_ref().map(|http| ("ingress.http", &http.auth));
    let proxy = config.proxy.as_ref().map(|proxy| ("proxy", &proxy.auth));
    let eventgrid = config.ingress.eventgrid_webhook.as_ref();
    let eventgrid = eventgrid.map(|webhook| ("ingress.eventgrid_webhook", &webhook.auth));
    let pubsub = config.ingress.pubsub_push.as_ref().map(|push| ("ingress.pubsub_push", &push.auth));
    let origins = config.ingress.origins.iter().map(|origin| ("ingress.origins", &origin.auth));
    let outgoing = &config.outgoing;
    ingress
        .into_iter()
        .chain(origins)
        .chain(eventgrid)
        .chain(pubsub)
        .chain(proxy)
        .try_for_each(|(listener, auth)| build(listener, auth, outgoing).map(drop))
}

/// The guard of a listener, by the name of its settings. The keys of an issuer are fetched in the background from now
/// on, a little apart from other instances. Within a runtime.
///
/// # Errors
/// What is wrong with a file, with the setting that names it. An issuer that is down is none: that passes.
pub fn start(
    listener: &str,
    auth: &config::Auth,
    outgoing: &config::Outgoing,
    mut jitter: Rng,
) -> Result<Arc<Guard>> {
    let (guard, issuers) = build(listener, auth, outgoing)?;
    for oidc in issuers {
        tokio::spawn(Oidc::keep(Arc::downgrade(&oidc), jitter.fork()));
    }
    Ok(Arc::new(guard))
}

fn build(
    listener: &str,
    auth: &config::Auth,
    outgoing: &config::Outgoing,
) -> Result<(Guard, Vec<Arc<Oidc>>)> {
    if auth.is_open() {
        return Ok((Guard::open(listener), Vec::new()));
    }
    let invalid =
        |setting: &str, error: &dyn Display| Error::new(Kind::Invalid, format!("{setting}: {error}"));
    let wrong = |setting: &str, error: &dyn Display| invalid(&format!("{listener}.auth.{setting}"), error);
    let now = Instant::now();
    let bearer = auth.bearer_file.as_ref().map(|file| TokenFile::open(file, now)).transpose();
    let signed = |hmac: &config::Hmac| {
        let opened = Signed::open(&hmac.secret_file, form(hmac), now);
        opened.map_err(|error| invalid(&hmac.setting, &error))
    };
    let proxies = crate::tls::proxies(outgoing).map_err(|error| Error::new(Kind::Invalid, error))?;
    let open = |oidc: &config::Oidc| {
        let opened = Oidc::new(issuer(oidc, proxies.clone()));
        opened.map_err(|error| invalid(&format!("{}.ca_file", oidc.section), &error))
    };
    let issuers = auth.oidc.iter().map(open).collect::<Result<Vec<_>>>()?;
    let shared = |secret: &config::Secret| {
        let opened = Shared::open(&secret.file, secret.query.clone(), secret.header.clone(), now);
        opened.map_err(|error| invalid(&format!("{listener}.secret_file"), &error))
    };
    let methods = Methods {
        bearer: bearer.map_err(|error| wrong("bearer_file", &error))?,
        oidc: Issuers::new(issuers.clone()),
        secret: auth.secret.as_ref().map(shared).transpose()?,
        signed: auth.hmac.as_ref().map(signed).transpose()?,
        certificates: certificates(&auth.certificates),
    };
    let rules = auth.allow.as_ref().map(|rules| Rules::new(rules.iter().map(rule).collect()));
    Ok((Guard::new(listener, methods, rules), issuers))
}

fn issuer(oidc: &config::Oidc, proxies: Proxies) -> Settings {
    Settings {
        issuer: oidc.issuer.clone(),
        audiences: oidc.audiences.clone(),
        algorithms: oidc.algorithms.iter().filter_map(|name| Settings::algorithm(name)).collect(),
        leeway: oidc.leeway,
        keys_url: oidc.keys_url.clone(),
        ca_file: oidc.ca_file.clone(),
        refresh_every: oidc.refresh_every,
        refresh_min: oidc.refresh_min,
        keys_age_max: oidc.keys_age_max,
        timeout: oidc.timeout,
        answer_bytes_max: oidc.answer_bytes_max,
        tokens_max: oidc.tokens_max,
        proxies,
    }
}

fn form(hmac: &config::Hmac) -> Form {
    Form {
        header: hmac.header.clone(),
        prefix: hmac.prefix.clone(),
        encoding: if hmac.is_base64 { Encoding::Base64 } else { Encoding::Hex },
        hash: if hmac.is_sha512 { Hash::Sha512 } else { Hash::Sha256 },
    }
}

fn rule(rule: &config::Rule) -> Rule {
    let globs = |patterns: &[String]| patterns.iter().map(|pattern| Glob::new(pattern)).collect();
    Rule {
        claims: rule.claims.iter().map(|(name, claims)| (name.clone(), wanted(claims))).collect(),
        certificates: certificates(&rule.certificates),
        methods: rule.methods.clone(),
        paths: globs(&rule.paths),
        sources: globs(&rule.sources),
        types: globs(&rule.types),
    }
}

fn wanted(claims: &[config::Claim]) -> Vec<Wanted> {
    let one = |claim: &config::Claim| match claim {
        config::Claim::Flag(flag) => Wanted::Flag(*flag),
        config::Claim::Number(number) => Wanted::Number(number.clone()),
        config::Claim::Text(pattern) => Wanted::Text(Glob::new(pattern)),
    };
    claims.iter().map(one).collect()
}

/// Each was read once already, when the configuration was.
fn certificates(patterns: &[String]) -> Vec<PeerPattern> {
    patterns.iter().filter_map(|pattern| PeerPattern::read(pattern)).collect()
}
