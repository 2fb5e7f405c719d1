//! The plugin of traces and timelines.

use super::{Series, Traces, secret};
use crate::{
    admin::Admin,
    config::{self, Config},
};
use http::{HeaderName, HeaderValue};
use outrigger_core::{Error, Kind, Result, Timeline};
use outrigger_net::tls::{Authorities, ClientSettings, ClientTls, Pair, TlsError, Version};
use outrigger_trace::{Counts, Export, Propagator, Protocol, Sampling, Tls, Trace};
use std::{path::Path, sync::Arc, time::Instant};

/// The plugin, its thread started; none where the configuration does not ask for it.
///
/// # Errors
/// When a setting is not what it takes, or a file cannot be read, with the setting.
pub(super) fn open(config: &Config) -> Result<Option<Trace>> {
    let Some(trace) = &config.trace else { return Ok(None) };
    let export = trace.export.as_ref().map(export).transpose()?;
    Trace::new(outrigger_trace::Config {
        sampling: Sampling { ratio: trace.ratio, parent_based: trace.parent_based },
        errors: trace.errors,
        slow: trace.slow,
        propagators: trace.propagators.iter().filter_map(|name| propagator(name)).collect(),
        baggage: trace.baggage.clone(),
        ring_events: trace.ring_events,
        ring_bytes: trace.ring_bytes,
        export,
        seed: config.runtime.seed,
    })
    .map(Some)
}

impl Traces for Trace {
    fn timelines(&self, id: &str) -> Vec<Timeline> {
        Trace::timelines(self, id)
    }

    fn known_since(&self) -> Option<Instant> {
        Trace::known_since(self)
    }

    fn series(&self) -> Vec<Series> {
        series(self.counts())
    }

    fn report(&self, admin: &Arc<Admin>) {
        let admin = Arc::downgrade(admin);
        let gather = move || admin.upgrade().map(|admin| admin.families()).unwrap_or_default();
        Trace::report(self, Arc::new(gather));
    }
}

fn series(counts: Counts) -> Vec<Series> {
    let Counts { exported, dropped, queued, failed } = counts;
    let one = |name, help, is_counter, value| Series {
        name,
        help,
        labels: &[],
        is_counter,
        rows: vec![(Vec::new(), value)],
    };
    vec![
        one(
            "outrigger_trace_exported_total",
            "Events and requests whose spans the collector has",
            true,
            exported,
        ),
        one(
            "outrigger_trace_dropped_total",
            "Events and requests whose spans were dropped: the queue was full, or the collector did not take them",
            true,
            dropped,
        ),
        one(
            "outrigger_trace_queued",
            "Events and requests whose spans wait for the collector",
            false,
            queued,
        ),
        one("outrigger_trace_failures_total", "Requests to the collector that failed", true, failed),
    ]
}

fn propagator(name: &str) -> Option<Propagator> {
    Some(match name {
        "tracecontext" => Propagator::TraceContext,
        "baggage" => Propagator::Baggage,
        "b3" => Propagator::B3,
        "b3multi" => Propagator::B3Multi,
        "xray" => Propagator::XRay,
        _ => return None,
    })
}

fn export(of: &config::TraceExport) -> Result<Export> {
    let mut headers = headers("trace.headers", of.headers.0.iter().map(|(name, value)| (&**name, &**value)))?;
    if let Some(file) = &of.headers_file {
        let text = secret::read("trace.headers_file", file)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let pairs =
            lines.map(|line| line.split_once(':').map_or((line, ""), |(name, value)| (name, value.trim())));
        headers.extend(self::headers("trace.headers_file", pairs)?);
    }
    Ok(Export {
        protocol: if of.grpc { Protocol::Grpc } else { Protocol::Http },
        traces: of.traces.clone(),
        metrics: of.metrics.clone(),
        headers,
        gzip: of.gzip,
        timeout: of.timeout,
        tls: tls(of)?,
        queue_events: of.queue_events,
        batch_events: of.batch_events,
        interval: of.interval,
        metrics_interval: of.metrics_interval,
        flush_timeout: of.flush_timeout,
        resource: of.resource.clone(),
    })
}

/// Values are told to nobody: they may be secret.
fn headers<'a>(
    setting: &str,
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let header = |(name, value): (&str, &str)| {
        let wrong = |what: &str| Error::new(Kind::Invalid, format!("{setting}: {name:?}: {what}"));
        let known = name.to_ascii_lowercase().parse().map_err(|_| wrong("no name of a header"))?;
        let mut value = HeaderValue::from_str(value).map_err(|_| wrong("its value cannot be sent"))?;
        value.set_sensitive(true);
        Ok((known, value))
    };
    pairs.map(header).collect()
}

fn tls(of: &config::TraceExport) -> Result<Tls> {
    let is_https = [&of.traces, &of.metrics]
        .iter()
        .any(|url| url.as_ref().and_then(http::Uri::scheme_str) == Some("https"));
    let pair = of.pair.clone().map(|(certificate, key)| Pair { certificate, key });
    let authorities = match (&of.ca, is_https) {
        (_, false) => Authorities::Nobody,
        (Some(file), true) => Authorities::File(file.clone()),
        (None, true) => Authorities::System,
    };
    let settings = ClientSettings {
        section: "trace.tls".to_owned(),
        authorities,
        pair: pair.clone().filter(|_| is_https),
        version_min: Version::default(),
    };
    let told = |error: TlsError| {
        let lines = error.problems.into_iter().map(|(key, what)| format!("{key}: {what}"));
        Error::new(Kind::Invalid, lines.collect::<Vec<_>>().join("; "))
    };
    let client = Arc::new(ClientTls::open(settings).map_err(told)?);
    let read = |setting: &str, file: &Path| secret::read(setting, file).map(String::into_bytes);
    let ca = of.ca.as_ref().filter(|_| is_https).map(|file| read("trace.tls.ca_file", file)).transpose()?;
    let pair = match pair.filter(|_| is_https) {
        Some(pair) => Some((
            read("trace.tls.certificate_file", &pair.certificate)?,
            read("trace.tls.key_file", &pair.key)?,
        )),
        None => None,
    };
    Ok(Tls { client, ca, pair })
}
