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

fn text(url: Option<&Uri>) -> String {
    url.map(ToString::to_string).unwrap_or_default()
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
    assert_eq!(text(export.traces.as_ref()), "https://c:4318/base/v1/traces");
    assert_eq!(text(export.metrics.as_ref()), "http://m:1/all");
    assert!(!export.grpc && export.gzip && export.timeout == Duration::from_millis(250));
    let headers = [("api-key".to_owned(), "a b".to_owned()), ("x".to_owned(), "y".to_owned())];
    assert_eq!(export.headers.0, headers);
    assert!(!format!("{:?}", export.headers).contains("a b"), "values are not shown");
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
    assert!(export.grpc && !export.gzip && export.metrics.is_none());
    assert_eq!(text(export.traces.as_ref()), "http://f:1/");
}

#[test]
fn a_variable_that_cannot_be_meant_is_a_mistake_with_its_name() {
    let wrong = config("trace: {export: otlp}", &[("OTEL_TRACES_SAMPLER", "sometimes")]).unwrap_err();
    assert!(wrong.contains("OTEL_TRACES_SAMPLER") && wrong.contains("sometimes"), "{wrong}");
    let wrong =
        config("trace: {export: otlp}", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")]).unwrap_err();
    assert!(wrong.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{wrong}");
    let wrong = config("trace: {export: otlp}", &[("OTEL_EXPORTER_OTLP_HEADERS", "secret")]).unwrap_err();
    assert!(wrong.contains("OTEL_EXPORTER_OTLP_HEADERS") && !wrong.contains("\"secret"), "{wrong}");
}

#[test]
fn settings_that_contradict_each_other_are_mistakes() {
    for (text, key) in [
        ("trace: {endpoint: 'http://c:1'}", "trace.endpoint"),
        ("trace: {export: otlp, tls: {key_file: k}}", "trace.tls.certificate_file"),
        ("trace: {export: otlp, queue_events: 10}", "trace.queue_events"),
    ] {
        let wrong = config(text, &[]).unwrap_err();
        assert!(wrong.contains(key), "{text}: {wrong}");
    }
}
