//! The plugin of traces and timelines.

use super::{Series, Traces, secret};
use crate::{
    admin::Admin,
    config::{self, Config, EventGridTopic, FUNCTION, TargetPlace as Place, TraceFile, TraceWay},
};
use http::{HeaderName, HeaderValue};
use outrigger_core::{Error, Kind, Result, Timeline};
use outrigger_net::tls::{Authorities, ClientSettings, ClientTls, Pair, TlsError, Version};
use outrigger_trace::{Counts, Export, Outward, Propagator, Protocol, Sampling, Tls, Trace, Way, Whereto};
use std::{fs::File, io::Read as _, sync::Arc, time::Instant};

/// The largest file of certificates, in bytes; a system's authorities have a quarter of it.
const PEM_BYTES_MAX: u64 = 1 << 20;

/// The plugin, its thread started; none where the configuration does not ask for it.
///
/// # Errors
/// When a setting is not what it takes, or a file cannot be read, with the setting.
pub(super) fn open(config: &Config) -> Result<Option<Trace>> {
    if config.trace_notes.disabled {
        tracing::info!("there are no traces and no timelines: OTEL_SDK_DISABLED is true");
    }
    let Some(trace) = &config.trace else { return Ok(None) };
    let export = trace.export.as_ref().map(|of| export(of, outward(config))).transpose()?;
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

/// What is wrong with the files that it names, or with its headers.
///
/// # Errors
/// As [`open`].
pub(super) fn check(config: &Config) -> Result<()> {
    let of = config.trace.as_ref().and_then(|trace| trace.export.as_ref());
    of.map_or(Ok(()), |of| export(of, Outward::default()).map(drop))
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

/// Where events go out to, for their spans.
fn outward(config: &Config) -> Outward {
    let kafka = |name: &String| Whereto::Topic { system: Some("kafka"), name: name.clone() };
    let pubsub = |name: &String| Whereto::Topic { system: Some("gcp_pubsub"), name: name.clone() };
    // As a URL only for people; what is written there is a message.
    let eventgrid = |topic: &EventGridTopic| {
        let host = topic.url().and_then(|url| Some(url.host()?.to_owned()));
        Whereto::Topic { system: Some("eventgrid"), name: host.unwrap_or_else(|| topic.place.clone()) }
    };
    let function = config.function.url.clone().map(|url| (FUNCTION.into(), Whereto::Url(url)));
    let targets = config.targets.iter().map(|target| {
        let place = match &target.place {
            Place::Url(posted) => Whereto::Url(posted.url.clone()),
            Place::Kafka(topic) => kafka(topic),
            Place::Pubsub(topic) => pubsub(topic),
            Place::EventGrid(topic) => eventgrid(topic),
            Place::Journal => Whereto::Topic { system: None, name: "journal".to_owned() },
        };
        (target.name.as_str().into(), place)
    });
    let replies = &config.replies;
    let replies = (replies.kafka_topic.as_ref().map(kafka))
        .or_else(|| replies.pubsub_topic.as_ref().map(pubsub))
        .or_else(|| replies.eventgrid.as_ref().map(eventgrid))
        .or_else(|| replies.url.as_ref().map(|posted| Whereto::Url(posted.url.clone())));
    Outward { targets: function.into_iter().chain(targets).collect(), replies }
}

fn export(of: &config::TraceExport, outward: Outward) -> Result<Export> {
    let further = match &of.headers_file {
        Some(file) => headers_of("trace.headers_file", &secret::read("trace.headers_file", file)?)?,
        None => Vec::new(),
    };
    let way = |way: &Option<TraceWay>| way.as_ref().map(|way| self::way(way, &further)).transpose();
    Ok(Export {
        traces: way(&of.traces)?,
        metrics: way(&of.metrics)?,
        queue_events: of.queue_events,
        queue_bytes: of.queue_bytes,
        batch_events: of.batch_events,
        batch_bytes: of.batch_bytes,
        attribute_chars: of.attribute_chars,
        interval: of.interval,
        metrics_interval: of.metrics_interval,
        flush_timeout: of.flush_timeout,
        resource: of.resource.clone(),
        outward,
    })
}

fn way(of: &TraceWay, further: &[(HeaderName, HeaderValue)]) -> Result<Way> {
    let named = of.headers.0.iter().map(|(name, value)| header(name, value).map_err(|why| (name, why)));
    let wrong = |(name, why)| Error::new(Kind::Invalid, format!("trace.headers: {name:?}: {why}"));
    let mut headers = named.collect::<std::result::Result<Vec<_>, _>>().map_err(wrong)?;
    headers.retain(|(name, _)| further.iter().all(|(other, _)| other != name));
    headers.extend_from_slice(further);
    Ok(Way {
        protocol: if of.grpc { Protocol::Grpc } else { Protocol::Http },
        url: of.url.clone(),
        headers,
        gzip: of.gzip,
        timeout: of.timeout,
        tls: tls(of)?,
    })
}

/// Those of a file, a line for each. Of a line that is wrong only its number is told: it may be a token.
fn headers_of(setting: &str, text: &str) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let read = |(number, line): (usize, &str)| {
        let wrong = |why| Error::new(Kind::Invalid, format!("{setting}: line {}: {why}", number + 1));
        let (name, value) = line.split_once(':').ok_or_else(|| wrong("expected `name: value`"))?;
        header(name.trim(), value.trim()).map_err(wrong)
    };
    text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty()).map(read).collect()
}

/// Values are told to nobody: they may be secret.
fn header(name: &str, value: &str) -> std::result::Result<(HeaderName, HeaderValue), &'static str> {
    if let Some(why) = config::unfit_header(name, value) {
        return Err(why);
    }
    let known = name.to_ascii_lowercase().parse().map_err(|_| "no name of a header")?;
    let mut value = HeaderValue::from_str(value).map_err(|_| "its value cannot be sent")?;
    value.set_sensitive(true);
    Ok((known, value))
}

fn tls(of: &TraceWay) -> Result<Tls> {
    let is_https = of.url.scheme_str() == Some("https");
    let (ca, pair) = (of.ca.as_ref().filter(|_| is_https), of.pair.as_ref().filter(|_| is_https));
    // Read first: whoever named a file by a variable is told that name.
    let ca_pem = ca.map(pem).transpose()?;
    let pair_pem =
        pair.map(|(certificate, key)| -> Result<_> { Ok((pem(certificate)?, pem(key)?)) }).transpose()?;
    let authorities = match ca {
        _ if !is_https => Authorities::Nobody,
        Some(named) => Authorities::File(named.file.clone()),
        None => Authorities::System,
    };
    let settings = ClientSettings {
        section: "trace.tls".to_owned(),
        authorities,
        pair: pair
            .map(|(certificate, key)| Pair { certificate: certificate.file.clone(), key: key.file.clone() }),
        version_min: Version::default(),
    };
    let by = |key: String| {
        let named = match key.as_str() {
            "trace.tls.ca_file" => ca,
            "trace.tls.certificate_file" => pair.map(|(certificate, _)| certificate),
            "trace.tls.key_file" => pair.map(|(_, key)| key),
            _ => None,
        };
        named.map_or(key, |named| named.by.to_owned())
    };
    let told = |error: TlsError| {
        let lines = error.problems.into_iter().map(|(key, what)| format!("{}: {what}", by(key)));
        Error::new(Kind::Invalid, lines.collect::<Vec<_>>().join("; "))
    };
    let client = Arc::new(ClientTls::open(settings).map_err(told)?);
    Ok(Tls { client, ca: ca_pem, pair: pair_pem })
}

fn pem(named: &TraceFile) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(&named.file).and_then(|file| file.take(PEM_BYTES_MAX).read_to_end(&mut bytes));
    let wrong =
        |why: String| Error::new(Kind::Invalid, format!("{}: {}: {why}", named.by, named.file.display()));
    match read {
        Ok(read) if read as u64 == PEM_BYTES_MAX => {
            Err(wrong(format!("it has {PEM_BYTES_MAX} bytes or more")))
        }
        Ok(_) => Ok(bytes),
        Err(error) => Err(wrong(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_line_that_is_wrong_only_the_number_is_told() {
        for (text, line) in [
            ("a: 1\n\nBearer abcdef", "line 3"),
            ("abcdef", "line 1"),
            ("a: 1\nabc def: 2", "line 2"),
            ("te: abcdef", "line 1"),
            ("a: abcdef\u{e4}", "line 1"),
        ] {
            let told = headers_of("trace.headers_file", text).unwrap_err().to_string();
            assert!(told.contains(line) && !told.contains("abc"), "{told}");
        }
        let headers = headers_of("trace.headers_file", "Authorization: Bearer a:b\n\nx-y:z").unwrap();
        let read: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(read, [("authorization", "Bearer a:b"), ("x-y", "z")]);
    }

    #[test]
    fn a_file_that_a_variable_names_is_told_by_that() {
        let by = "OTEL_EXPORTER_OTLP_CERTIFICATE";
        let way = TraceWay {
            grpc: false,
            url: http::Uri::from_static("https://c:1"),
            headers: config::TraceHeaders::default(),
            gzip: false,
            timeout: std::time::Duration::from_secs(1),
            ca: Some(TraceFile { by, file: "/nope/ca.pem".into() }),
            pair: None,
        };
        let told = tls(&way).unwrap_err().to_string();
        assert!(told.starts_with(&format!("{by}: /nope/ca.pem: ")), "{told}");
        assert!(tls(&TraceWay { url: http::Uri::from_static("http://c:1"), ..way }).is_ok());
    }
}
