use super::*;
use crate::config::{Config, Purpose, reading};
use std::path::Path;

struct Fake(&'static [(&'static str, &'static str)]);

impl Env for Fake {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
    }

    fn exists(&self, _: &Path) -> bool {
        false
    }

    fn volatile(&self, _: &Path) -> bool {
        false
    }
}

fn config(text: &str, variables: &'static [(&'static str, &'static str)]) -> Result<Config, String> {
    let read = reading(&Fake(variables), "f.yaml", text, &[], Purpose::Look);
    read.map(|reading| reading.config).map_err(|problems| problems.to_string())
}

fn trace(text: &str, variables: &'static [(&'static str, &'static str)]) -> Trace {
    config(text, variables).unwrap().trace.unwrap()
}

#[test]
fn without_a_section_there_is_none_whatever_the_environment_says() {
    assert_eq!(config("", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317")]).unwrap().trace, None);
    assert_eq!(config("trace: {export: otlp}", &[("OTEL_SDK_DISABLED", "true")]).unwrap().trace, None);
    assert!(trace("trace: {export: local}", &[]).export.is_none());
}

#[test]
fn what_the_file_leaves_out_the_environment_says() {
    let trace = trace(
        "trace: {export: otlp, resource: {service.name: mine}}",
        &[
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:4318/base/"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://m:1/all"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, x=y"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_PROPAGATORS", "b3,tracecontext"),
            ("OTEL_SERVICE_NAME", "theirs"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod,service.name=other"),
        ],
    );
    assert_eq!((trace.ratio, trace.parent_based), (0.25, false));
    assert_eq!(trace.propagators, ["b3", "tracecontext"]);
    let export = trace.export.unwrap();
    let (traces, metrics) = (export.traces.unwrap(), export.metrics.unwrap());
    assert_eq!(traces.url.to_string(), "https://c:4318/base/v1/traces");
    assert_eq!(metrics.url.to_string(), "http://m:1/all");
    assert!(!traces.grpc && traces.gzip && traces.timeout == Duration::from_millis(250));
    let headers = [("api-key".to_owned(), "a b".to_owned()), ("x".to_owned(), "y".to_owned())];
    assert_eq!(traces.headers.0, headers);
    assert!(!format!("{:?}", traces.headers).contains("a b"), "values are not shown");
    let get = |name: &str| export.resource.iter().find(|(other, _)| other == name).map(|(_, value)| &**value);
    assert_eq!((get("service.name"), get("deployment.environment.name")), (Some("mine"), Some("prod")));
}

#[test]
fn what_the_file_says_holds() {
    let trace = trace(
        "trace: {export: otlp, endpoint: 'http://f:1', protocol: grpc, compression: none, ratio: 1, timeout: 1s,\n  \
         propagators: [xray], parent_based: true, metrics: false}",
        &[
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://e:2"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_TRACES_SAMPLER", "always_off"),
            ("OTEL_PROPAGATORS", "b3"),
        ],
    );
    assert_eq!((trace.ratio, trace.parent_based), (1.0, true));
    assert_eq!(trace.propagators, ["xray"]);
    let export = trace.export.unwrap();
    let traces = export.traces.unwrap();
    assert!(traces.grpc && !traces.gzip && export.metrics.is_none());
    assert_eq!(traces.url.to_string(), "http://f:1/");
}

#[test]
fn a_signals_own_variable_goes_before_the_common_one_and_the_file_before_both() {
    const VARIABLES: &[(&str, &str)] = &[
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1,b=2"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=3"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "7"),
        ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "t.pem"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "c.pem"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "33"),
    ];
    let both = |text: &str| {
        let export = trace(text, VARIABLES).export.unwrap();
        let told = |way: TraceWay| {
            let headers: Vec<_> =
                way.headers.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let ca = way.ca.map(|ca| ca.file.display().to_string()).unwrap_or_default();
            (way.grpc, headers.join(","), way.gzip, way.timeout.as_millis(), ca)
        };
        let sizes = (export.queue_events, export.batch_events, export.attribute_chars);
        (told(export.traces.unwrap()), told(export.metrics.unwrap()), sizes)
    };
    let (traces, metrics, sizes) = both("trace: {export: otlp}");
    assert_eq!(traces, (false, "a=3".to_owned(), false, 10_000, "t.pem".to_owned()));
    assert_eq!(metrics, (true, "a=1,b=2".to_owned(), true, 7, "c.pem".to_owned()));
    assert_eq!(sizes, (100, 100, 33));
    let (traces, metrics, sizes) = both(
        "trace: {export: otlp, protocol: grpc, headers: {A: 9}, compression: none, timeout: 2s, queue_events: 700,\n  \
         attribute_chars: 44, tls: {ca_file: f.pem}}",
    );
    assert_eq!(traces, (true, "A=9".to_owned(), false, 2_000, "f.pem".to_owned()));
    assert_eq!(metrics, (true, "b=2,A=9".to_owned(), false, 2_000, "f.pem".to_owned()));
    assert_eq!(sizes, (700, 512, 44));
}

#[test]
fn a_variable_that_cannot_be_meant_is_told_and_counts_for_nothing() {
    let told = |variables: &'static [(&'static str, &'static str)]| {
        let config = config("trace: {export: otlp}", variables).unwrap();
        let [(name, why)] = <[_; 1]>::try_from(config.trace_notes.warnings).unwrap();
        assert_eq!(name, variables[0].0);
        (config.trace.unwrap(), why)
    };
    let (trace, why) = told(&[("OTEL_TRACES_SAMPLER", "jaeger_remote")]);
    assert!(
        trace.parent_based && (trace.ratio - 1.0).abs() < f64::EPSILON && why.contains("jaeger_remote"),
        "{why}"
    );
    let (trace, _) = told(&[("OTEL_TRACES_EXPORTER", "otlp,console")]);
    assert!(trace.export.unwrap().traces.is_some());
    let (trace, _) = told(&[("OTEL_PROPAGATORS", "jaeger,b3")]);
    assert_eq!(trace.propagators, ["b3"]);
    let (trace, _) = told(&[("OTEL_PROPAGATORS", "jaeger")]);
    assert_eq!(trace.propagators, ["tracecontext", "baggage"]);
    let (trace, _) = told(&[("OTEL_RESOURCE_ATTRIBUTES", "lonely,a=b")]);
    assert!(trace.export.unwrap().resource.contains(&("a".to_owned(), "b".to_owned())));
    let (trace, _) = told(&[("OTEL_BSP_SCHEDULE_DELAY", "0")]);
    assert_eq!(trace.export.unwrap().interval, Duration::from_secs(1));
    told(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")]);
    told(&[("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "c.pem")]);
    for secret in ["secret", "te=secret", "authorization=secret%C3%A4"] {
        let variables: &'static [_] = match secret {
            "secret" => &[("OTEL_EXPORTER_OTLP_HEADERS", "secret")],
            "te=secret" => &[("OTEL_EXPORTER_OTLP_HEADERS", "te=secret")],
            _ => &[("OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret%C3%A4")],
        };
        let (trace, why) = told(variables);
        assert!(
            trace.export.unwrap().traces.unwrap().headers.0.is_empty() && !why.contains("secret"),
            "{why}"
        );
    }
}

#[test]
fn tracing_that_a_variable_turns_off_is_no_mistake() {
    let variables = &[("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_SAMPLER", "x")];
    let config = config("trace: {export: otlp, endpoint: 'http://c:4317'}", variables).unwrap();
    assert!(config.trace.is_none() && config.trace_notes.disabled && config.trace_notes.warnings.is_empty());
}

#[test]
fn a_setting_without_effect_is_told() {
    let told = |text: &str| {
        let warnings = config(text, &[]).unwrap().trace_notes.warnings;
        warnings.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(told("trace: {export: local, queue_bytes: 1MiB, ring_events: 5}"), ["trace.queue_bytes"]);
    let tls = "tls: {ca_file: /nope}";
    assert_eq!(
        told(&format!("trace: {{export: otlp, endpoint: 'http://c:1', {tls}}}")),
        ["trace.tls.ca_file"]
    );
    assert!(told(&format!("trace: {{export: otlp, endpoint: 'https://c:1', {tls}}}")).is_empty());
}

#[test]
fn a_query_stays_behind_the_path_of_a_signal() {
    let url = |text| trace(text, &[]).export.unwrap().traces.unwrap().url.to_string();
    let text = "trace: {export: otlp, protocol: http, endpoint: 'http://c:1/b/?key=1'}";
    assert_eq!(url(text), "http://c:1/b/v1/traces?key=1");
}

#[test]
fn settings_that_contradict_each_other_are_mistakes() {
    for (text, key) in [
        ("trace: {endpoint: 'http://c:1'}", "trace.endpoint"),
        ("trace: {export: otlp, endpoint: 'http://c:1/?key=1'}", "trace.endpoint"),
        ("trace: {export: otlp, tls: {key_file: k}}", "trace.tls.certificate_file"),
        ("trace: {export: otlp, queue_events: 10, batch_events: 11}", "trace.batch_events"),
        ("trace: {export: otlp, baggage: [tenant, 'a b']}", "trace.baggage"),
        ("trace: {export: local, baggage: 'x=y'}", "trace.baggage"),
        ("trace: {export: otlp, headers: {grpc-timeout: 1S}}", "trace.headers"),
        ("trace: {export: otlp, headers: {x-bin: y}}", "trace.headers"),
        ("trace: {export: otlp, headers: {Host: y}}", "trace.headers"),
        ("trace: {export: otlp, headers: {key: schlüssel}}", "trace.headers"),
    ] {
        let wrong = config(text, &[]).unwrap_err();
        assert!(wrong.contains(key), "{text}: {wrong}");
    }
}
