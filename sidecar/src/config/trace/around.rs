//! OpenTelemetry's variables. What cannot be meant is told and counts for nothing, as its specification asks.

use super::Named;
use crate::config::{env::Env, problems::quoted};
use http::Uri;
use std::{path::PathBuf, time::Duration};

/// Names of variables.
pub(super) mod name {
    pub(crate) const DISABLED: &str = "OTEL_SDK_DISABLED";
    pub(crate) const SERVICE: &str = "OTEL_SERVICE_NAME";
    pub(crate) const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";
    pub(crate) const PROPAGATORS: &str = "OTEL_PROPAGATORS";
    pub(crate) const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
    pub(crate) const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
    pub(crate) const TRACES: &str = "OTEL_TRACES_EXPORTER";
    pub(crate) const METRICS: &str = "OTEL_METRICS_EXPORTER";
    pub(crate) const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    pub(crate) const DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";
    pub(crate) const QUEUE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
    pub(crate) const BATCH: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
    pub(crate) const METRIC_INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
    pub(crate) const CHARS: &[&str] =
        &["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"];
}

/// The variables of spans, or of metrics: where there are several, the first that says something counts.
pub(super) struct Signal {
    /// What HTTP adds to a common endpoint.
    pub(super) path: &'static str,
    pub(super) endpoint: &'static str,
    pub(super) protocol: &'static [&'static str],
    pub(super) headers: &'static [&'static str],
    pub(super) compression: &'static [&'static str],
    pub(super) timeout: &'static [&'static str],
    pub(super) ca: &'static [&'static str],
    certificate: &'static [&'static str],
    key: &'static [&'static str],
}

pub(super) const TRACES: Signal = Signal {
    path: "v1/traces",
    endpoint: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    protocol: &["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"],
    headers: &["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"],
    compression: &["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"],
    timeout: &["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"],
    ca: &["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"],
    certificate: &["OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"],
    key: &["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"],
};

pub(super) const METRICS: Signal = Signal {
    path: "v1/metrics",
    endpoint: "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    protocol: &["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"],
    headers: &["OTEL_EXPORTER_OTLP_METRICS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"],
    compression: &["OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"],
    timeout: &["OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"],
    ca: &["OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"],
    certificate: &["OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"],
    key: &["OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"],
};

/// The environment, and what is to be told of it.
pub(super) struct Around<'a> {
    pub(super) env: &'a dyn Env,
    pub(super) warnings: Vec<(&'static str, String)>,
}

impl Around<'_> {
    fn ignored(&mut self, name: &'static str, found: &str, expected: &str) {
        let warning = (name, format!("found {found}, which counts for nothing: expected {expected}"));
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    pub(super) fn word(&mut self, name: &'static str, words: &[&'static str]) -> Option<&'static str> {
        let value = self.env.variable(name)?;
        let word = words.iter().find(|word| word.eq_ignore_ascii_case(value.trim())).copied();
        if word.is_none() {
            self.ignored(name, &quoted(&value), &words.join(" or "));
        }
        word
    }

    pub(super) fn first_word(
        &mut self,
        names: &[&'static str],
        words: &[&'static str],
    ) -> Option<&'static str> {
        names.iter().copied().find_map(|name| self.word(name, words))
    }

    /// Whether the exporter of a signal is not turned off. Of a list, those that are not known count for nothing.
    pub(super) fn exports(&mut self, name: &'static str) -> bool {
        let Some(value) = self.env.variable(name) else { return true };
        let named: Vec<_> = value.split(',').map(str::trim).collect();
        if let Some(unknown) = named.iter().find(|word| !matches!(**word, "otlp" | "none")) {
            self.ignored(name, &quoted(unknown), "otlp or none");
        }
        named.contains(&"otlp") || !named.contains(&"none")
    }

    fn number(&mut self, name: &'static str, (min, max): (u64, u64), expected: &str) -> Option<u64> {
        let value = self.env.variable(name)?;
        let number = value.trim().parse().ok().filter(|number| (min..=max).contains(number));
        if number.is_none() {
            self.ignored(name, &quoted(&value), expected);
        }
        number
    }

    pub(super) fn ms(&mut self, names: &[&'static str], default: u64) -> Duration {
        let expected = "milliseconds, from 1 to an hour";
        let ms = names.iter().copied().find_map(|name| self.number(name, (1, 3_600_000), expected));
        Duration::from_millis(ms.unwrap_or(default))
    }

    pub(super) fn count(&mut self, name: &'static str, default: u64, max: u64) -> u64 {
        self.number(name, (1, max), &format!("a whole number from 1 to {max}")).unwrap_or(default)
    }

    pub(super) fn attribute_chars(&mut self) -> u64 {
        let expected = "a number of characters";
        name::CHARS
            .iter()
            .copied()
            .find_map(|name| self.number(name, (0, u64::MAX), expected))
            .unwrap_or(1_024)
    }

    pub(super) fn url(&mut self, name: &'static str) -> Option<Uri> {
        let value = self.env.variable(name)?;
        let url: Option<Uri> = value.trim().parse().ok();
        let url =
            url.filter(|url| matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some());
        if url.is_none() {
            self.ignored(name, &quoted(&value), "a URL, such as http://collector:4317");
        }
        url
    }

    pub(super) fn file(&self, names: &[&'static str]) -> Option<Named> {
        names.iter().find_map(|&by| Some(Named { by, file: PathBuf::from(self.env.variable(by)?) }))
    }

    /// Our certificate and its key.
    pub(super) fn pair(&mut self, of: &Signal) -> Option<(Named, Named)> {
        match (self.file(of.certificate), self.file(of.key)) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (Some(Named { by, .. }), None) => {
                self.ignored(by, "a certificate without its key", of.key[of.key.len() - 1]);
                None
            }
            (None, Some(Named { by, .. })) => {
                self.ignored(by, "a key without its certificate", of.certificate[of.certificate.len() - 1]);
                None
            }
            (None, None) => None,
        }
    }

    /// `name=value,name=value`, the values percent-coded.
    pub(super) fn pairs(&mut self, name: &'static str) -> Vec<(String, String)> {
        let text = self.env.variable(name).unwrap_or_default();
        let mut pairs = Vec::new();
        for member in text.split(',').map(str::trim).filter(|member| !member.is_empty()) {
            match member.split_once('=') {
                Some((name, value)) => pairs.push((name.trim().to_owned(), decoded(value.trim()))),
                // Not the text: what is wrong may be a secret.
                None => self.ignored(name, "a member without `=`", "name=value, separated by commas"),
            }
        }
        pairs
    }

    /// Those that can be sent.
    pub(super) fn headers(&mut self, names: &[&'static str]) -> Vec<(String, String)> {
        let Some(variable) = names.iter().copied().find(|name| self.env.variable(name).is_some()) else {
            return Vec::new();
        };
        let mut headers = self.pairs(variable);
        headers.retain(|(name, value)| {
            let unfit = super::unfit(name, value);
            if let Some(why) = unfit {
                self.ignored(variable, &format!("a header that cannot be sent along ({why})"), "another one");
            }
            unfit.is_none()
        });
        headers
    }

    pub(super) fn sampler(&mut self) -> (f64, bool) {
        const NAMES: &[&str] = &[
            "parentbased_always_on",
            "always_on",
            "always_off",
            "traceidratio",
            "parentbased_always_off",
            "parentbased_traceidratio",
        ];
        let name = self.word(name::SAMPLER, NAMES).unwrap_or(NAMES[0]);
        let ratio = if name.ends_with("always_off") {
            0.0
        } else if name.ends_with("ratio") {
            self.sampler_arg()
        } else {
            1.0
        };
        (ratio, name.starts_with("parentbased"))
    }

    fn sampler_arg(&mut self) -> f64 {
        let Some(value) = self.env.variable(name::SAMPLER_ARG) else { return 1.0 };
        match value.trim().parse() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => ratio,
            _ => {
                self.ignored(name::SAMPLER_ARG, &quoted(&value), "a number from 0 to 1");
                1.0
            }
        }
    }

    pub(super) fn propagators(&mut self) -> Vec<String> {
        let known = ["tracecontext", "baggage", "b3", "b3multi", "xray"];
        let otherwise = || known[..2].iter().map(|&name| name.to_owned()).collect();
        let Some(value) = self.env.variable(name::PROPAGATORS) else { return otherwise() };
        let named: Vec<_> = value.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        for unknown in named.iter().filter(|name| **name != "none" && !known.contains(name)) {
            self.ignored(name::PROPAGATORS, &quoted(unknown), &known.join(", "));
        }
        let kept: Vec<_> =
            named.iter().filter(|name| known.contains(name)).map(|&name| name.to_owned()).collect();
        if kept.is_empty() && !named.contains(&"none") { otherwise() } else { kept }
    }
}

/// Percent-coding undone; what is none stays.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *first == b'%').and_then(|hex| str::from_utf8(hex).ok());
        let coded = code.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(coded.unwrap_or(*first));
        rest = if coded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}
