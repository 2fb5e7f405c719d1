use std::fmt::Write as _;

use super::*;
use proptest::prelude::*;

/// Surroundings that a test makes up.
#[derive(Debug, Default)]
struct Fake {
    variables: &'static [(&'static str, &'static str)],
    files: &'static [&'static str],
    volatile: bool,
}

impl Env for Fake {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    fn exists(&self, file: &Path) -> bool {
        self.files.iter().any(|known| Path::new(known) == file)
    }

    fn volatile(&self, _: &Path) -> bool {
        self.volatile
    }
}

fn look(text: &str) -> Result<Config, Problems> {
    read(&Fake::default(), "f.yaml", text, &[], Purpose::Look)
}

fn messages(text: &str) -> Vec<String> {
    look(text).expect_err(text).lines().collect()
}

#[test]
fn the_example_passes_and_equals_the_defaults() {
    let defaults = look("").unwrap();
    assert_eq!(look(&yaml()), Ok(defaults.clone()));
    let in_kubernetes = Fake { variables: &[("KUBERNETES_SERVICE_HOST", "10.0.0.1")], ..Fake::default() };
    assert!(read(&in_kubernetes, "f.yaml", &yaml(), &[], Purpose::Look).is_ok());
}

#[test]
fn the_defaults_are_what_the_table_says() {
    let config = look("").unwrap();
    assert_eq!(config.function.timeout.as_secs(), 30);
    assert_eq!(config.function.concurrency, 64);
    assert_eq!(config.function.rate, None);
    assert_eq!(config.delivery.key, ["partitionkey"]);
    assert_eq!(config.window, Window { events: 1024, bytes: 32 << 20 });
    assert_eq!(config.journal.storage, Storage::Durable);
    let http = config.ingress.http.unwrap();
    assert_eq!((http.listen.to_string().as_str(), http.sync), ("127.0.0.1:8080", false));
}

#[test]
fn what_the_file_says_holds() {
    let config = look(
        "function:\n  url: http://127.0.0.1:9000/in\n  rate: 600/m\n  statuses: {404: refused, 5xx: retry}\n  \
         env: [TOKEN, DEBUG]\ndelivery:\n  key: [tenant, subject]\n  breaker: {open: 2s}\n\
         ingress:\n  http:\n    listen: 0.0.0.0:80\n    auth: {bearer_file: /run/token}\n    sync: yes\n",
    );
    // "yes" is a text in YAML 1.2; that it is told apart is part of what is tested here.
    let lines: Vec<_> = config.unwrap_err().lines().collect();
    assert_eq!(lines, [r#"f.yaml:13:11: ingress.http.sync: found "yes", expected one of auto, true, false"#]);

    let config = look(
        "function:\n  url: http://127.0.0.1:9000/in\n  rate: 600/m\n  statuses: {404: refused, 5xx: retry}\n  \
         env: [TOKEN, DEBUG]\ndelivery:\n  key: [tenant, subject]\n  breaker: {open: 2s}\n\
         ingress:\n  http:\n    listen: 0.0.0.0:80\n    auth: {bearer_file: /run/token}\n    sync: true\n",
    )
    .unwrap();
    assert_eq!(config.function.url.unwrap().path(), "/in");
    assert_eq!(config.function.rate, Some(10.0));
    assert_eq!(config.function.statuses["404"], Meaning::Refused);
    assert_eq!(config.function.env.unwrap(), ["TOKEN", "DEBUG"]);
    assert_eq!(config.delivery.key, ["tenant", "subject"]);
    assert_eq!(config.delivery.breaker.open.as_secs(), 2);
    let http = config.ingress.http.unwrap();
    assert_eq!((http.auth.bearer_file, http.sync), (Some("/run/token".into()), true));
}

/// Each bad file with the whole of what is said about it.
const BAD: &[(&str, &[&str])] = &[
    (
        "function:\n  timout: 30s\n",
        &[
            r#"f.yaml:2:3: function.timout: found an unknown key, expected a key of function; did you mean "timeout"?"#,
        ],
    ),
    (
        "timeout: 30s\n",
        &[r#"f.yaml:1:1: timeout: found an unknown key, expected a key; did you mean "function.timeout"?"#],
    ),
    (
        "drain:\n  colour: red\n",
        &[
            "f.yaml:2:3: drain.colour: found an unknown key, expected a key of drain (lame_duck, deadline, storage_timeout)",
        ],
    ),
    (
        "function:\n  timeout: 30\n",
        &[
            "f.yaml:2:12: function.timeout: found 30, expected a duration with a unit, such as 250ms, 30s, 5m or 1h, \
         from 1ms to 24h",
        ],
    ),
    (
        "function: {timeout: 25h, concurrency: 0, mode: structure, port: 70000}\n",
        &[
            r#"f.yaml:1:21: function.timeout: found "25h", expected a duration with a unit, such as 250ms, 30s, 5m or 1h, from 1ms to 24h"#,
            "f.yaml:1:39: function.concurrency: found 0, expected a whole number from 1 to 10000",
            r#"f.yaml:1:48: function.mode: found "structure", expected one of binary, structured, protobuf, raw; did you mean "structured"?"#,
            "f.yaml:1:65: function.port: found 70000, expected a whole number from 1 to 65535, or auto",
        ],
    ),
    (
        "window:\n  bytes: 64\n",
        &[
            "f.yaml:2:10: window.bytes: found 64, expected a size with a unit, such as 512B, 64KiB, 10MB or 1GiB, from \
         64KiB to 64GiB",
        ],
    ),
    (
        "function:\n  timeout: [30s]\n  url: {}\n  concurrency: 1.5\n  port_env: \"A B\"\n",
        &[
            "f.yaml:2:12: function.timeout: found a list, expected a duration with a unit, such as 250ms, 30s, 5m or 1h, \
         from 1ms to 24h",
            "f.yaml:3:8: function.url: found a map, expected a URL such as http://127.0.0.1:8081/, or none",
            "f.yaml:4:16: function.concurrency: found 1.5, expected a whole number from 1 to 10000",
            r#"f.yaml:5:13: function.port_env: found "A B", expected the name of an environment variable"#,
        ],
    ),
    (
        "function:\n  timeout:\n",
        &[
            "f.yaml:2:10: function.timeout: found nothing, expected a duration with a unit, such as 250ms, 30s, 5m or 1h, \
         from 1ms to 24h",
        ],
    ),
    ("log: debug\n", &[r#"f.yaml:1:6: log: found "debug", expected the settings of log, indented below it"#]),
    ("- a\n- b\n", &["f.yaml:1:1: found a list, expected a map of settings"]),
    (
        "window:\n  events: 2000\n  events: 3000\n",
        &["f.yaml:3:3: window.events: found the same key twice, expected each key once"],
    ),
    (
        "function:\n  statuses: {\"600\": retry, \"404\": drop, \"5xx\": retry}\n",
        &[
            r#"f.yaml:2:14: function.statuses.600: found "600", expected a status from 100 to 599, or a class from 1xx to 5xx"#,
            r#"f.yaml:2:35: function.statuses.404: found "drop", expected one of delivered, retry, refused"#,
        ],
    ),
    (
        "ingress:\n  http:\n    auth: {bearer: /t}\n",
        &[
            "f.yaml:3:12: ingress.http.auth.bearer: found an unknown key, expected a key of ingress.http.auth (oidc, hmac, \
         bearer_file, certificates, allow)",
        ],
    ),
    (
        "ingress:\n  http:\n    listen: 0.0.0.0:8080\n",
        &["f.yaml:3:13: ingress.http.listen: found 0.0.0.0:8080 without auth, expected ingress.http.auth \
         with bearer_file, oidc, hmac or certificates, as others can connect to this address; or auth: none to let \
         anyone send"],
    ),
    (
        "ingress:\n  http:\n    sync: false\njournal:\n  storage: ephemeral\n",
        &[
            "f.yaml:3:11: ingress.http.sync: found false on a journal whose storage is ephemeral, expected true or auto, \
         as an accepted event would be lost with the pod; or journal.storage: durable where the file outlives it; or \
         journal.ephemeral: accept-loss",
        ],
    ),
    (
        "delivery:\n  backoff:\n    max: 100ms\n",
        &["f.yaml:3:10: delivery.backoff.max: found delivery.backoff.initial 200ms, expected at most \
         delivery.backoff.max, which is 100ms"],
    ),
    (
        "window:\n  bytes: 1MiB\n  events: 10\n",
        &[
            "f.yaml:2:10: window.bytes: found a window of 1MiB, expected at least ingress.http.decompressed_bytes_max, \
         which is 4MiB",
            "f.yaml:3:11: window.events: found a window of 10 events, expected at least function.concurrency, which is 64",
        ],
    ),
    (
        "window:\n  bytes: 1MB\ningress:\n  http: {decompressed_bytes_max: 2MB}\n",
        &[
            "f.yaml:2:10: window.bytes: found a window of 1MB, expected at least ingress.http.decompressed_bytes_max, \
         which is 2MB",
        ],
    ),
    (
        "window: {events: 99999999999999999999, bytes: 64}\ningress:\n  http: {decompressed_bytes_max: 64MiB}\n",
        &[
            "f.yaml:1:18: window.events: found 99999999999999999999, expected a whole number from 1 to 1000000",
            "f.yaml:1:47: window.bytes: found 64, expected a size with a unit, such as 512B, 64KiB, 10MB or 1GiB, from \
         64KiB to 64GiB",
        ],
    ),
    (
        "admin:\n  listen: 127.0.0.1:8080\n",
        &[
            "f.yaml:2:11: admin.listen: found 127.0.0.1:8080 for both ingress and admin, expected two addresses",
        ],
    ),
    (
        "function:\n  url: http://localhost:8080/\n",
        &[
            "f.yaml:2:8: function.url: found outrigger's own port 8080, expected the port that the function listens on",
        ],
    ),
    (
        "function:\n\tmode: binary\n",
        &[
            "f.yaml:2:2: found no YAML (tabs disallowed within this context (block indentation)), expected a YAML document of settings",
        ],
    ),
];

#[test]
fn every_mistake_is_told_with_its_place_and_what_to_do() {
    for (text, expected) in BAD {
        assert_eq!(messages(text), *expected, "{text}");
    }
}

#[test]
fn run_without_a_function_is_a_mistake_and_with_a_command_it_is_not() {
    let problems = read(&Fake::default(), "", "", &[], Purpose::Call).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "function.url: found no function, expected the function's URL here or by --url, or a COMMAND after `--` that \
         starts it"
    );
    assert!(read(&Fake::default(), "", "", &[], Purpose::Start).is_ok());
    let url = Flag { name: "--url", path: "function.url", value: "http://127.0.0.1:9000/".to_owned() };
    assert!(read(&Fake::default(), "", "", &[url], Purpose::Call).is_ok());
}

#[test]
fn a_function_that_cannot_be_read_is_not_missing_too() {
    let wrong = Flag { name: "--url", path: "function.url", value: "ftp://x/".to_owned() };
    for (text, flags, expected) in [
        ("", &[wrong][..], "--url: function.url: found \"ftp://x/\", expected a URL such as"),
        ("function: {ulr: \"http://x/\"}\n", &[], "f.yaml:1:12: function.ulr: found an unknown key"),
        ("function: http://x/\n", &[], "f.yaml:1:11: function: found \"http://x/\", expected the settings"),
        ("function: [\n", &[], "f.yaml:1:11: found no YAML"),
    ] {
        let problems = read(&Fake::default(), "f.yaml", text, flags, Purpose::Call).unwrap_err();
        let lines: Vec<_> = problems.lines().collect();
        assert!(lines.len() == 1 && lines[0].starts_with(expected), "{lines:?}");
    }
}

#[test]
fn quotes_in_what_the_parser_says_stay_as_they_are() {
    let lines = messages("log:\n  level: info\ndrain\n");
    assert_eq!(
        lines,
        ["f.yaml:3:1: found no YAML (simple key expected ':'), expected a YAML document of settings"]
    );
}

#[test]
fn a_command_listens_where_its_url_says_on_this_machine() {
    let text = "function: {url: \"http://example.com:9000/\", port: 9001}\n";
    let problems = read(&Fake::default(), "f.yaml", text, &[], Purpose::Start).unwrap_err();
    let lines: Vec<_> = problems.lines().collect();
    assert_eq!(
        lines,
        [
            "f.yaml:1:17: function.url: found \"example.com\", expected a URL on 127.0.0.1, as the COMMAND runs on \
             this machine; or no COMMAND",
            "f.yaml:1:51: function.port: found 9001, expected the port of function.url, which is 9000; or only one of \
             the two",
        ]
    );
}

#[test]
fn a_flag_goes_before_the_file_and_is_named_in_its_mistake() {
    let flag = |value: &str| Flag { name: "--listen", path: "ingress.http.listen", value: value.to_owned() };
    let text = "ingress: {http: {listen: nonsense}}";
    let config = read(&Fake::default(), "f.yaml", text, &[flag("127.0.0.1:1234")], Purpose::Look).unwrap();
    assert_eq!(config.ingress.http.unwrap().listen.port(), 1234);
    let problems = read(&Fake::default(), "f.yaml", text, &[flag("here")], Purpose::Look).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "--listen: ingress.http.listen: found \"here\", expected an IP address and a port, such as 127.0.0.1:8080, or off"
    );
}

#[test]
fn in_a_pod_or_in_memory_ingress_is_synchronous_unless_loss_is_accepted() {
    let pod = Fake { variables: &[("KUBERNETES_SERVICE_HOST", "10.0.0.1")], ..Fake::default() };
    let memory = Fake { volatile: true, ..Fake::default() };
    for env in [&pod, &memory] {
        let sync = |text| read(env, "", text, &[], Purpose::Look).unwrap().ingress.http.unwrap().sync;
        assert!(sync(""));
        assert!(!sync("journal: {ephemeral: accept-loss}"));
        assert!(!sync("journal: {storage: durable}"));
    }
}

#[test]
fn the_file_is_the_named_one_then_the_variables_then_the_one_that_is_there() {
    let all =
        Fake { variables: &[("OUTRIGGER_CONFIG", "v.yaml")], files: &["outrigger.yaml"], volatile: false };
    let here = Fake { variables: &[], ..all };
    assert_eq!(locate(&all, Some(Path::new("c.yaml"))), Some("c.yaml".into()));
    assert_eq!(locate(&all, None), Some("v.yaml".into()));
    assert_eq!(locate(&here, None), Some("outrigger.yaml".into()));
    assert_eq!(locate(&Fake::default(), None), None);
}

#[test]
fn a_file_that_is_absent_or_no_text_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    let message = || load(&Fake::default(), Some(&file), &[], Purpose::Look).unwrap_err().to_string();
    assert!(message().ends_with(
        "a.yaml: found no readable file (No such file or directory (os error 2)), expected a YAML file; `outrigger \
         config example` prints one"
    ));
    std::fs::write(&file, b"log:\n  level: \xff\n").unwrap();
    assert!(message().contains("found bytes that are no UTF-8 in line 2"), "{}", message());
    std::fs::write(&file, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(message().contains("found more than 1MiB"), "{}", message());
}

#[test]
fn a_document_that_unfolds_is_refused_quickly() {
    let mut bomb = String::new();
    for n in 1..=20 {
        let before = format!("*a{},", n - 1);
        let _ = writeln!(bomb, "k{n}: &a{n} [{}]", before.repeat(9));
    }
    let text = format!("k0: &a0 [1,2,3,4,5,6,7,8,9]\n{bomb}");
    assert!(messages(&text)[0].contains("found no YAML"), "{:?}", messages(&text));
    let deep = format!("a: {}", "[".repeat(100_000));
    assert!(messages(&deep)[0].contains("found no YAML"));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC*") {
        let _ = look(&text);
    }

    #[test]
    fn no_text_that_looks_like_a_configuration_makes_the_parser_panic(
        text in "((function|window|ingress|log|statuses|auth|url|bytes|http|- |  |\n|: |\\{|\\}|\\[|\\]|&a |\\*a|\"|'|!!str |\\|\n|404|1s|,|#|<<|\t|\u{1}|ä){1,40})"
    ) {
        let _ = look(&text);
    }

    #[test]
    fn no_change_of_the_example_makes_the_parser_panic(at in 0usize..8_000, with in "\\PC{0,3}") {
        let mut text = yaml();
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.insert_str(at, &with);
        let _ = look(&text);
    }
}

#[test]
fn batches_stand_beside_no_place_for_replies() {
    let batch = "function: {mode: structured, batch: {events_max: 5}}\n";
    assert!(look(batch).is_ok());
    for place in [
        "kafka_topic: a}\nkafka: {brokers: \"a:1\"",
        "pubsub_topic: projects/p/topics/t",
        "url: \"http://127.0.0.1:1/\"",
    ] {
        let told = messages(&format!("{batch}replies: {{{place}}}"));
        assert!(
            told.len() == 1 && told[0].contains("the answer to a batch holds no reply"),
            "{place}: {told:?}"
        );
    }
}
