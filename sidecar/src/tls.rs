//! From the configuration to TLS: what listeners and the function's client are given, and what `outrigger check`
//! finds in their files.

use crate::{
    config::{Config, Function, KeyPair, ListenerTls, Outgoing},
    registry::Series,
};
use outrigger_net::{
    client::Proxies,
    server::Counts,
    tls::{
        Authorities, ClientSettings, ClientTls, Clients, Pair, Refusal, Rules, ServerSettings, ServerTls,
        TlsError, Version,
    },
};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::SystemTime,
};

/// A listener's, as `outrigger-net` takes it. `http2` says whether HTTP/2 is offered.
#[must_use]
pub fn listener(tls: &ListenerTls, http2: bool) -> ServerSettings {
    ServerSettings {
        section: tls.section.to_owned(),
        pair: pair(&tls.pair),
        clients: tls.clients.as_ref().map(|clients| Clients {
            ca: clients.ca.clone(),
            crl: clients.crl.clone(),
            required: clients.required,
            rules: Rules { subjects: clients.subjects.clone(), spiffe_ids: clients.spiffe_ids.clone() },
        }),
        version_min: version(tls.only_13),
        http2,
    }
}

/// The function's, where its URL says https.
#[must_use]
pub fn function(function: &Function) -> Option<ClientSettings> {
    function.url.as_ref().filter(|url| url.scheme_str() == Some("https"))?;
    let tls = &function.tls;
    Some(ClientSettings {
        section: "function.tls".to_owned(),
        authorities: tls.ca.clone().map_or(Authorities::System, Authorities::File),
        pair: tls.pair.as_ref().map(pair),
        version_min: version(tls.only_13),
    })
}

/// The same, read.
///
/// # Errors
/// Everything that is wrong with the files.
pub fn function_client(of: &Function) -> Result<Option<Arc<ClientTls>>, TlsError> {
    function(of).map(|settings| ClientTls::open(settings).map(Arc::new)).transpose()
}

/// Everything that is wrong with the files that the configuration names, at `now`.
#[must_use]
pub fn check(config: &Config, now: SystemTime) -> Vec<(String, String)> {
    let ingress = config.ingress.http.as_ref().and_then(|http| http.tls.as_ref());
    let proxy = config.proxy.as_ref().and_then(|proxy| proxy.tls.as_ref());
    let listeners = ingress.into_iter().chain(proxy).chain(&config.admin.tls);
    let listeners = listeners.map(|tls| ServerTls::check(&listener(tls, false), now));
    let function = function(&config.function).map(|settings| ClientTls::check(&settings, now));
    listeners.chain(function).filter_map(Result::err).flat_map(|error: TlsError| error.problems).collect()
}

/// The proxies for what we ask of others.
///
/// # Errors
/// When the variable names none, in one line that begins with it.
pub fn proxies(outgoing: &Outgoing) -> Result<Proxies, String> {
    match &outgoing.https_proxy {
        Some(https) => {
            Proxies::new(https, &outgoing.no_proxy).map_err(|error| format!("HTTPS_PROXY: {error}"))
        }
        None => Ok(Proxies::default()),
    }
}

fn pair(pair: &KeyPair) -> Pair {
    Pair { certificate: pair.certificate.clone(), key: pair.key.clone() }
}

fn version(only_13: bool) -> Version {
    if only_13 { Version::Tls13 } else { Version::Tls12 }
}

/// A listener as metrics show it.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Its name, such as `ingress.http`.
    pub name: &'static str,
    /// What happened on it.
    pub counts: Arc<Counts>,
    /// Its TLS, where it has some.
    pub tls: Option<Arc<ServerTls>>,
}

/// The metrics of the listeners.
#[must_use]
pub fn series(listeners: &[Watched]) -> Vec<Series> {
    let count = |name, help, is_counter, value: fn(&Counts) -> u64| Series {
        name,
        help,
        labels: &["listener"],
        is_counter,
        rows: listeners
            .iter()
            .map(|listener| (vec![listener.name.to_owned()], value(&listener.counts)))
            .collect(),
    };
    let mut all = vec![
        count("outrigger_listener_connections", "Connections that are open", false, |counts| {
            counts.open.load(Relaxed)
        }),
        count("outrigger_listener_connections_total", "Connections that were accepted", true, |counts| {
            counts.accepted.load(Relaxed)
        }),
        count(
            "outrigger_listener_timeouts_total",
            "Connections closed as their client was too slow or idle",
            true,
            |counts| counts.timed_out.load(Relaxed),
        ),
        count(
            "outrigger_listener_displaced_total",
            "Connections at rest that were closed to make room for others",
            true,
            |counts| counts.displaced.load(Relaxed),
        ),
        count(
            "outrigger_listener_floods_total",
            "HTTP/2 connections closed as their client reset request after request",
            true,
            |counts| counts.floods.load(Relaxed),
        ),
        count(
            "outrigger_listener_misframed_total",
            "Requests refused as their body's end or transfer coding is in doubt",
            true,
            |counts| counts.misframed.load(Relaxed),
        ),
    ];
    let secured: Vec<_> =
        listeners.iter().filter_map(|listener| Some((listener, listener.tls.as_ref()?))).collect();
    if !secured.is_empty() {
        all.extend(tls_series(&secured));
    }
    all
}

fn tls_series(secured: &[(&Watched, &Arc<ServerTls>)]) -> [Series; 3] {
    let labelled = |name: &str, label: &str| vec![name.to_owned(), label.to_owned()];
    let refused = secured.iter().flat_map(|(listener, _)| {
        let row = move |refusal: Refusal| {
            (labelled(listener.name, refusal.name()), listener.counts.refused.count(refusal))
        };
        Refusal::ALL.into_iter().map(row)
    });
    let reloads = secured.iter().flat_map(|(listener, tls)| {
        let (renewed, failed) = tls.reloads();
        [(labelled(listener.name, "renewed"), renewed), (labelled(listener.name, "failed"), failed)]
    });
    [
        Series {
            name: "outrigger_tls_certificate_expiry_timestamp_seconds",
            help: "When the listener's certificate ends, in Unix seconds",
            labels: &["listener"],
            is_counter: false,
            rows: secured
                .iter()
                .map(|(listener, tls)| (vec![listener.name.to_owned()], tls.ends_unix_s()))
                .collect(),
        },
        Series {
            name: "outrigger_tls_handshake_failures_total",
            help: "TLS handshakes that failed",
            labels: &["listener", "reason"],
            is_counter: true,
            rows: refused.collect(),
        },
        Series {
            name: "outrigger_tls_reloads_total",
            help: "Changed certificates, keys or authorities, and whether they could be used",
            labels: &["listener", "outcome"],
            is_counter: true,
            rows: reloads.collect(),
        },
    ]
}
