use std::mem::{Discriminant, discriminant};

use jsonschema::Validator;

use super::*;
use crate::config::{kind::Kind, settings::EXAMPLE_NAME, yaml};

/// Of every kind, a setting, what may stand there and what may not: the reader and the schema agree on these.
const CASES: &[(&str, &[&str], &[&str])] = &[
    ("function.concurrency", &["1", "10000"], &["0", "10001", "1.5", "many", "-1", "[1]", ""]),
    ("delivery.retry_budget.ratio", &["0", "0.2", "10"], &["-0.1", "10.1", "some", "{}"]),
    ("function.timeout", &["1ms", "30s", "5m", "24h"], &["30", "30 s", "1.5s", "-1s", "1d", "", "true"]),
    ("window.bytes", &["64KiB", "1MB", "1GiB"], &["65536", "64kib", "1.5MiB", "-1B", "64K"]),
    (
        "function.rate",
        &["100/s", "0.5/m", ".5/s", "1./h", "none", ""],
        &["0/s", "1e3/s", "100", "1/d", "off"],
    ),
    ("log.level", &["info", "trace"], &["loud", "Info", "1", ""]),
    ("ingress.http.sync", &["auto", "true", "\"false\""], &["yes", "1", ""]),
    ("function.tls.version_min", &["1.2", "\"1.3\""], &["1.1", "1", "TLS1.2"]),
    ("function.port_env", &["PORT", "_x1", "true"], &["1PORT", "A-B", "7", "[PORT]"]),
    ("function.env", &["[A, B]", "A", "all"], &["[]", "[A, A]", "[a-b]", "{A: B}", "7"]),
    ("delivery.key", &["partitionkey", "[subject, a1]", "none"], &["Key", "[a_b]", "[]"]),
    ("journal.path", &["a/b.db", "/x y"], &["\"\"", "\"a\\nb\"", "[a]", ""]),
    (
        "function.url",
        &["http://127.0.0.1:8081/", "HTTPS://a.b?c=d", "http://[::1]:81/#f", "none"],
        &["127.0.0.1:8081", "ftp://a/", "http://", "http://me:secret@host/", "7"],
    ),
    ("ingress.http.path", &["/", "/events"], &["events", "\"/a b\"", "7"]),
    ("ingress.http.auth.oidc.keys_url", &["https://a.b/keys?x", "discover"], &["a.b", "https://me@a/", "7"]),
    (
        "ingress.http.auth.oidc.issuer",
        &["https://accounts.google.com", "http://a/b"],
        &["accounts.google.com", "https://a/?b", "https://a/#b"],
    ),
    ("routes.rules.name", &["a.b-C_1", "7"], &["a b", "[a]", "{}"]),
    (
        "cache.results.key",
        &["/data/q", "[/data/a~1b/0, /tenant]", "/data", "off"],
        &["data", "/Tenant", "/subject/x", "/data/a~2", "[]", "7", "/"],
    ),
    ("routes.otherwise", &["function", "[a, b-1]", "discard"], &["A", "a b", "[]", "{a: b}"]),
    (
        "routes.rules.when",
        &["\"type LIKE 'a.%'\"", "true", "{exact: {type: a}}", "[{not: {prefix: {id: a}}}]"],
        &[""],
    ),
    ("ingress.http.listen", &["127.0.0.1:0", "\"[::1]:80\"", "off"], &["localhost:80", "127.0.0.1", "80"]),
    ("kafka.client_id", &["me", "7", "true"], &["\"\"", "\"a\\tb\"", "[me]", ""]),
    ("kafka.brokers", &["a:9092", "[a:1, \"[::1]:2\"]"], &["a", "a:b", "http://a:1", "[]", "\"a:1,b:2\""]),
    (
        "replies.eventgrid_topic",
        &["orders", "\"https://t.eventgrid.azure.net/api/events\""],
        &["a b", "[a]", "ftp://a/b"],
    ),
    ("replies.kafka_topic", &["a.b_c-D", "7"], &["a b", "a/b", "[a]"]),
    ("ingress.kafka.topics", &["orders", "[a, \"^b.*\"]", "[7]"], &["a b", "[]", "{a: b}", "7"]),
    (
        "ingress.kafka.start",
        &["earliest", "offset:42", "2026-01-31T12:00:00Z"],
        &["first", "offset:-1", "42"],
    ),
    ("admin.tls.client_subjects", &["\"CN=billing,O=Example\"", "any"], &["billing", "[]"]),
    (
        "admin.tls.client_spiffe_ids",
        &["spiffe://a.b/c", "[spiffe://a/*]"],
        &["spiffe://A/b", "https://a/b", "spiffe://a//b"],
    ),
    (
        "ingress.http.webhook.origins",
        &["\"*\"", "a.example", "[a.example, b_c.example]"],
        &["https://a", "a..b", "-a", "[]"],
    ),
    ("proxy.auth.certificates", &["any", "[spiffe://a/*, \"dns:*.b\"]"], &["someone", "dns:", "[]"]),
    ("ingress.http.auth.oidc.audience", &["me", "[me, 7]"], &["[]", "\"\"", "7"]),
    ("ingress.http.auth.oidc.algorithms", &["RS256", "[RS256, EdDSA]"], &["HS256", "[none]", "[]"]),
    ("cache.responses.tags", &["Cache-Tag", "[Cache-Tag, x-key]", "none"], &["\"a b\"", "[\"a:\"]", "[]"]),
    ("ingress.http.auth.hmac.header", &["X-Hub-Signature-256"], &["\"a b\"", "\"a:\"", "\"\""]),
    (
        "function.statuses",
        &["{404: refused, \"5xx\": retry}", "{}", ""],
        &["{600: retry}", "{6xx: retry}", "{404: fine}", "[404]", "404"],
    ),
    (
        "proxy.routes",
        &["{\"POST /events\": ingress, \"/admin/*\": refuse}", "{/: function}", ""],
        &["{events: ingress}", "{/a: away}", "{\"post /a\": ingress}", "[/a]"],
    ),
    ("trace.endpoint", &["http://c:4317", "https://c/b?key=1", "auto"], &["c:4317", "ftp://c/", "7"]),
    ("trace.headers", &["{api-key: a, b: 1}", ""], &["{a: [b]}", "[a]", "a"]),
    ("kafka.properties", &["{linger.ms: 5, a: true}", ""], &["{a: [b]}", "{a: }", "[a]"]),
    (
        "ingress.http.auth.allow",
        &["all", "[{claims: {email_verified: true, n: [1, a]}, types: a.*}, {methods: [hmac]}]"],
        &["[{}]", "[{type: a}]", "[]", "[{methods: magic}]", "[{claims: {}}]", "some", "{types: a}"],
    ),
    (
        "transform",
        &[
            "[{name: a, set: {x: 1, y: {pointer: /a}}, when: \"x = 1\"}]",
            "[{name: b, drop: [x], key: {cesql: id}}]",
            "none",
        ],
        &[
            "[]",
            "[{name: a}]",
            "[{drop: x}]",
            "[{name: A, drop: x}]",
            "[{name: a, drops: x}]",
            "[{name: a, set: {X: 1}}]",
            "[{name: a, key: /a}]",
            "[{name: a, key: {pointer: a}}]",
            "[{name: a, set: {x: {cesql: a, pointer: /a}}}]",
            "{name: a}",
        ],
    ),
    (
        "ingress.eventgrid_webhook.validation_hosts",
        &["eventgrid.azure.net", "[a.example, _b.example]"],
        &["\"*\"", "[a.example, \"*\"]", "https://a.example", "[]"],
    ),
];

/// What only `outrigger check` can refuse: the schema is too coarse for it.
const CHECK_ALONE: &[(&str, &str)] = &[
    ("function.timeout", "25h"),
    ("window.bytes", "1B"),
    ("transform", "[{name: a, when: \"1 +\"}]"),
    ("transform", "[{name: a, drop: id}]"),
    ("function.rate", "1000001/s"),
    ("routes.rules.when", "\"type LIKE 5\""),
    ("routes.rules.when", "{prefx: {type: a}}"),
    ("ingress.eventgrid_webhook.validation_hosts", "169.254.169.254"),
];

fn validator() -> Validator {
    jsonschema::draft202012::new(&json()).expect("the schema is one")
}

fn document(text: &str) -> Json {
    raw::parse(text).expect(text).json()
}

fn setting(path: &str) -> &'static Setting {
    SETTINGS.iter().find(|setting| setting.path == path).expect(path)
}

fn nested(path: &str, value: Json) -> Json {
    path.rsplit('.').fold(value, |inner, name| json!({ name: inner }))
}

fn reader_accepts(setting: &Setting, value: &str) -> bool {
    setting.kind.read(setting.path, &raw::parse(value).expect(value)).is_ok()
}

/// The kinds within a setting's kind, by their variant.
fn variants(setting: &Setting) -> Vec<Discriminant<Kind>> {
    match setting.kind {
        Kind::Or(_, inner) => vec![discriminant(&setting.kind), discriminant(inner)],
        _ => vec![discriminant(&setting.kind)],
    }
}

#[test]
fn the_schema_is_valid() {
    jsonschema::draft202012::meta::validate(&json()).expect("a schema of draft 2020-12");
    let printed: Json = serde_json::from_str(&schema()).expect("what is printed is JSON");
    assert_eq!(printed, json());
}

#[test]
fn every_kind_has_a_case() {
    let covered: Vec<_> = CASES.iter().flat_map(|(path, ..)| variants(setting(path))).collect();
    for setting in SETTINGS {
        for variant in variants(setting) {
            assert!(covered.contains(&variant), "no case for the kind of {}", setting.path);
        }
    }
}

#[test]
fn the_reader_and_the_schema_agree() {
    let (validator, mut differ) = (validator(), Vec::new());
    let fits = |path: &str, value: &str| validator.is_valid(&nested(path, document(value)));
    for (path, right, wrong) in CASES {
        let cases = right.iter().map(|value| (value, true)).chain(wrong.iter().map(|value| (value, false)));
        for (value, is_right) in cases {
            let read = (reader_accepts(setting(path), value), fits(path, value));
            differ.extend((read != (is_right, is_right)).then(|| format!("{path}: {value}: {read:?}")));
        }
    }
    for (path, value) in CHECK_ALONE {
        let read = (reader_accepts(setting(path), value), fits(path, value));
        differ.extend((read != (false, true)).then(|| format!("{path}: {value}: {read:?}")));
    }
    assert!(differ.is_empty(), "the reader and the schema: {differ:#?}");
}

#[test]
fn what_the_reader_accepts_the_schema_accepts() {
    let values: Vec<_> = CASES.iter().flat_map(|(_, right, wrong)| right.iter().chain(*wrong)).collect();
    let (mut accepted, mut differ) = (0, Vec::new());
    for setting in SETTINGS {
        let validator = jsonschema::draft202012::new(&setting.kind.schema()).expect(setting.path);
        for value in values.iter().filter(|value| reader_accepts(setting, value)) {
            // A number in quotes is read, but an editor is right to mark it.
            let is_quoted = value.starts_with('"') && value.trim_matches('"').parse::<f64>().is_ok();
            let fits = is_quoted || validator.is_valid(&document(value));
            differ.extend((!fits).then(|| format!("{}: {value}", setting.path)));
            accepted += 1;
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
    assert!(accepted > SETTINGS.len(), "{accepted} values fitted");
}

#[test]
fn examples_fit() {
    let validator = validator();
    let readme = include_str!("../../../../README.md");
    let blocks: Vec<_> =
        readme.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 4, "the README has {} configurations", blocks.len());
    for text in blocks.into_iter().chain([yaml().as_str(), "", "ingress:\n  http:\n"]) {
        let errors: Vec<_> = validator.iter_errors(&document(text)).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?} in\n{text}");
    }
}

#[test]
fn an_unknown_key_is_refused_in_every_section() {
    let validator = validator();
    for section in SECTIONS {
        let path = format!("{}.unheard_of", section.path);
        assert!(!validator.is_valid(&nested(&path, json!(1))), "{path}");
        assert_eq!(
            validator.is_valid(&nested(section.path, json!("none"))),
            section.word.is_some(),
            "{path}"
        );
    }
    assert!(!validator.is_valid(&json!({"unheard_of": 1})));
}

#[test]
fn every_setting_tells_its_default_and_bounds() {
    let all = json();
    for setting in SETTINGS {
        let of = all.pointer(&pointer(setting.path)).expect(setting.path);
        let description = of["description"].as_str().expect(setting.path);
        assert!(description.contains(setting.doc), "{description}");
        assert!(description.contains(&setting.kind.expected()), "{description}");
        assert_eq!(of["default"], document(setting.default), "{}", setting.path);
    }
}

#[test]
fn a_list_may_stand_where_several_sections_may() {
    let validator = validator();
    for section in SECTIONS {
        let fits = |list: Json| validator.is_valid(&nested(section.path, list));
        assert_eq!(fits(json!([{}, {}])), section.several_max > 0, "{}", section.path);
        assert!(!fits(json!([])) && !fits(json!([{"unheard_of": 1}])), "{}", section.path);
        assert!(!fits(json!(vec![json!({}); section.several_max + 1])), "{}", section.path);
    }
    let issuers =
        document("[{issuer: https://a.example, audience: me}, {issuer: https://b.example, audience: [me]}]");
    assert!(validator.is_valid(&nested("proxy.auth.oidc", issuers)));
}

/// Where a setting stands in the schema: a section that a word or a list may replace has its map as the second of two.
fn pointer(path: &str) -> String {
    let mut pointer = String::new();
    let mut so_far = String::new();
    for name in path.split('.') {
        let is_named = SECTIONS.iter().any(|section| name == EXAMPLE_NAME && section.is_of_each(&so_far));
        let step = if is_named { "additionalProperties".to_owned() } else { format!("properties/{name}") };
        pointer = format!("{pointer}/{step}");
        so_far = if so_far.is_empty() { name.to_owned() } else { format!("{so_far}.{name}") };
        let replaced = |section: &Section| section.word.is_some() || section.several_max > 0;
        if SECTIONS.iter().any(|section| section.path == so_far && replaced(section)) {
            pointer.push_str("/anyOf/1");
        }
    }
    pointer
}
