use super::*;
use clap::Parser as _;
use outrigger_core::{Event, event::json as events};
use proptest::prelude::*;

use crate::cli::{Cli, Command, Origin};
use clap::ValueEnum as _;

fn args(args: &[&str]) -> NormalizeArgs {
    match Cli::parse_from([&["outrigger", "normalize"], args].concat()).command {
        Command::Normalize(args) => *args,
        _ => panic!("another verb"),
    }
}

/// How it ends, and the lines that it prints, when this is the standard input.
fn normalized(flags: &[&str], stdin: &str) -> (Result<Exit, String>, Vec<String>) {
    let mut out = Vec::new();
    let exit =
        normalize(&args(flags), &mut stdin.as_bytes(), &mut out).map_err(|failure| failure.to_string());
    (exit, String::from_utf8(out).unwrap().lines().map(str::to_owned).collect())
}

/// The one event, which must be good.
fn event(flags: &[&str], stdin: &str) -> Event {
    let (exit, lines) = normalized(flags, stdin);
    assert_eq!((exit, lines.len()), (Ok(Exit::Success), 1), "{lines:?}");
    events::decode(lines[0].clone().into()).unwrap()
}

/// The reason why there is none.
fn error(flags: &[&str], stdin: &str) -> String {
    let (exit, lines) = normalized(flags, stdin);
    assert_eq!((exit, lines.len()), (Ok(Exit::Problem), 1), "{lines:?}");
    let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    line["error"].as_str().unwrap_or_else(|| panic!("{line}")).to_owned()
}

const KAFKA: [&str; 4] = ["--from", "kafka", "--topic", "orders"];

#[test]
fn a_record_may_hold_text_bytes_and_json() {
    let record = r#"{"key":"k","value":{"a": 1.0},"headers":{"content-type":"application/json"},"offset":7,"partition":2}"#;
    let read = event(&KAFKA, record);
    assert_eq!(
        (read.id(), read.source(), read.text("partitionkey").as_deref()),
        ("orders/2/7", "/kafka/orders", Some("k"))
    );
    assert_eq!(&read.data().unwrap()[..], br#"{"a": 1.0}"#);
    let record = r#"{"topic":"t","key_base64":"/w==","value_base64":"AP8=","headers":[["h","1"],["h",null],["h",{"base64":"/w=="}]]}"#;
    let read = event(&["--from", "kafka"], record);
    assert_eq!((read.id(), read.text("kafkakeybase64").as_deref()), ("t/0/0", Some("/w==")));
    assert_eq!(
        read.text("kafkaheaders").as_deref(),
        Some(r#"[["h","1"],["h",null],["h",{"base64":"/w=="}]]"#)
    );
    assert_eq!(&read.data().unwrap()[..], b"\0\xff");
    let tombstone = event(&KAFKA, r#"{"key":"k","value":null}"#);
    assert_eq!(tombstone.text("kafkatombstone").as_deref(), Some("true"));
}

#[test]
fn records_follow_one_another_and_configured_ones_have_their_type() {
    let (_, lines) = normalized(
        &[&KAFKA[..], &["--source", "/k/{topic}", "--type", "t"]].concat(),
        "[{},{}]\n{\"offset\":9}\n{}",
    );
    let read: Vec<_> = lines.iter().map(|line| events::decode(line.clone().into()).unwrap()).collect();
    assert_eq!(
        read.iter().map(Event::id).collect::<Vec<_>>(),
        ["orders/0/0", "orders/0/1", "orders/0/9", "orders/0/3"]
    );
    assert_eq!((read[0].source(), read[0].ty()), ("/k/orders", "t"));
}

#[test]
fn a_message_is_what_the_api_or_a_pull_writes() {
    let flags = [
        "--from",
        "pubsub",
        "--subscription",
        "projects/p/subscriptions/s",
        "--topic",
        "projects/p/topics/t",
    ];
    let message = r#"{"data":"aGk=","attributes":{"a":"1"},"messageId":"7","publishTime":"2026-01-31T12:00:00Z","orderingKey":"k"}"#;
    let read = event(&flags, message);
    assert_eq!((read.id(), read.source()), ("7", "//pubsub.googleapis.com/projects/p/topics/t"));
    assert_eq!(read.text("partitionkey").as_deref(), Some("k"));
    let pulled = format!(r#"[{{"ackId":"x","message":{message}}}]"#);
    assert_eq!(event(&flags, &pulled), read);
    let text = r#"{"data_text":{"a":1},"messageId":"8","attributes":{"ce-specversion":"1.0","ce-id":"1","ce-source":"/s","ce-type":"t"}}"#;
    assert_eq!(&event(&flags, text).data().unwrap()[..], br#"{"a":1}"#);
    assert!(error(&flags[..2], message).contains("--subscription"));
}

#[test]
fn what_comes_by_http_is_its_body_or_a_request() {
    let flags = ["--from", "pubsub-push", "--topic", "projects/p/topics/t"];
    let wrapped =
        r#"{"message":{"data":"aGk=","messageId":"7"},"subscription":"projects/p/subscriptions/s"}"#;
    assert_eq!(event(&flags, wrapped).id(), "7");
    let unwrapped =
        r#"{"headers":{"x-goog-pubsub-message-id":"8","x-goog-pubsub-subscription-name":"s"},"body":"hi"}"#;
    assert_eq!(event(&flags, unwrapped).id(), "8");
    let github = ["--from", "github", "--header", "X-GitHub-Event: push", "--header", "X-GitHub-Delivery: 1"];
    assert_eq!(event(&github, r#"{"ref":"refs/heads/main"}"#).ty(), "com.github.push");
    let binary = r#"{"headers":{"ce-specversion":"1.0","ce-id":"1","ce-source":"/s","ce-type":"t"},"body_base64":"/w=="}"#;
    assert_eq!(&event(&["--from", "http"], binary).data().unwrap()[..], b"\xff");
    let structured = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#;
    assert_eq!(event(&["--from", "http"], structured).ty(), "t");
    let batch = format!("[{structured},{structured}]");
    assert_eq!(normalized(&["--from", "http"], &batch).1.len(), 2);
    let other = event(
        &["--from", "http", "--type", "order", "--id-header", "x-id", "--header", "X-Id: 9"],
        "{\"a\": 1}",
    );
    assert_eq!((other.id(), other.ty(), &other.data().unwrap()[..]), ("9", "order", &b"{\"a\": 1}"[..]));
}

#[test]
fn event_grid_is_read_in_both_schemas_and_as_a_namespace_answers() {
    let own = r#"[{"id":"1","topic":"/t","subject":"s","eventType":"e","eventTime":"2026-01-31T12:00:00Z","data":{},"dataVersion":"1"}]"#;
    assert_eq!(event(&["--from", "eventgrid"], own).dataschema(), Some("#1"));
    let cloud = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#;
    assert_eq!(event(&["--from", "eventgrid"], cloud).source(), "/s");
    let answer = format!(r#"{{"value":[{{"brokerProperties":{{"lockToken":"l"}},"event":{cloud}}}]}}"#);
    assert_eq!(event(&["--from", "eventgrid"], &answer).source(), "/s");
    let asks = r#"[{"id":"1","topic":"/t","subject":"","eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","eventTime":"2026-01-31T12:00:00Z","data":{"validationCode":"c"},"dataVersion":"1"}]"#;
    assert!(error(&["--from", "eventgrid"], asks).contains("subscription"));
}

#[test]
fn what_cannot_be_an_event_is_a_line_with_its_reason_at_its_place() {
    let input = "{\"value\":1}\nno JSON\n\n[{\"value\":2},{\"partition\":\"x\"}]\n";
    let (exit, lines) = normalized(&KAFKA, input);
    assert_eq!((exit, lines.len()), (Ok(Exit::Problem), 4));
    assert!(
        lines[1].starts_with(r#"{"error":"no JSON: "#) && lines[1].ends_with(r#","line":2}"#),
        "{}",
        lines[1]
    );
    assert!(lines[3].ends_with(r#","line":4,"member":2}"#), "{}", lines[3]);
    let (exit, lines) = normalized(&[&KAFKA[..], &["/nowhere/records.jsonl"]].concat(), "");
    assert_eq!(exit, Ok(Exit::Problem));
    assert!(lines[0].ends_with(r#""file":"/nowhere/records.jsonl"}"#), "{}", lines[0]);
    assert_eq!(normalized(&KAFKA, ""), (Ok(Exit::Success), vec![]));
}

#[test]
fn a_flag_that_does_not_fit_is_a_wrong_call() {
    for flags in [
        &["--from", "s3", "--topic", "t"][..],
        &["--from", "kafka", "--header", "a:b"],
        &["--from", "github", "--header", "a"],
        &["--from", "github", "--header", "a b: c"],
        &["--from", "pubsub-push"],
        &["--from", "kafka", "--topic", "t", "--source", "{x}"],
        &["--from", "http", "--source", "a b"],
    ] {
        assert!(
            matches!(normalize(&args(flags), &mut &b""[..], Vec::new()), Err(Failure::Wrong(_))),
            "{flags:?}"
        );
    }
}

#[test]
fn bad_input_has_a_clear_error_each() {
    let http = ["--from", "http"];
    let event = |rest: &str| format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t",{rest}}}"#);
    for (input, why) in [
        (event(r#""data_base64":"a""#), "data_base64: is not standard base64"),
        (event(r#""subject":"a\u0000b""#), "subject: \"a\\u{0}b\" is not text without control characters"),
        (event(r#""a\u0000b":"x""#), "attribute: \"a\\u{0}b\" is not a name"),
        (
            event(r#""time":"2026-01-31T12:00:60Z""#),
            "time: \"2026-01-31T12:00:60Z\" is not an RFC 3339 timestamp",
        ),
        (event(r#""data":1,"data_base64":"YQ==""#), "data_base64: must not be there beside data"),
        (event(r#""data":"#), "no JSON: "),
    ] {
        assert!(error(&http, &input).starts_with(why), "{input}");
    }
    assert_eq!(error(&KAFKA, r#"{"value_base64":"a"}"#), "value is not in base64: Invalid input length: 1");
    let key = super::tests::event(&KAFKA, r#"{"key":"a\u0000b"}"#);
    assert_eq!(key.text("kafkakeybase64").as_deref(), Some("YQBi"));
    let flags = ["--from", "pubsub-push", "--topic", "projects/p/topics/t"];
    let pushed = r#"{"message":{"data":"e30=","messageId":"7","orderingKey":"a\u0000b"},"subscription":"s"}"#;
    assert!(error(&flags, pushed).starts_with("the ordering key holds control characters"));
    let leap = event(r#""time":"2016-12-31T23:59:60Z""#);
    assert_eq!(super::tests::event(&http, &leap).time(), Some("2016-12-31T23:59:60Z"));
    let deep = "[".repeat(1 << 20) + &"]".repeat(1 << 20);
    let read = super::tests::event(&http, &event(&format!(r#""data":{deep}"#)));
    assert_eq!(read.data().unwrap().len(), 2 << 20);
    assert!(
        error(&["--from", "eventbridge"], &deep).contains("is missing; every event of EventBridge has it")
    );
}

const FORMS: [(&str, &str); 5] = [
    ("http-binary", "http"),
    ("structured", "http"),
    ("pubsub", "pubsub"),
    ("kafka", "kafka"),
    ("eventgrid", ""),
];

#[test]
fn what_is_written_in_a_form_is_read_again_from_it() {
    let mut first = Event::new("1", "/shop", "order").unwrap();
    for (name, text) in
        [("subject", "Euro € 100%"), ("time", "2026-01-31T12:00:00Z"), ("partitionkey", "k"), ("hop", "3")]
    {
        first.set(name, text.into()).unwrap();
    }
    let data: [(&str, &'static [u8]); 5] = [
        ("application/json", b"{\"a\": 1.0}"),
        ("application/json", b"\"text\""),
        ("application/json", b"{\n}"),
        ("text/plain", b"two\nlines"),
        ("application/octet-stream", b"\0\xff"),
    ];
    for (ty, bytes) in data {
        let event = first.clone().with_data(ty, bytes.into()).unwrap();
        // An event is printed as a line: what JSON has between its parts may be a space as well.
        let is_of_lines = ty == "application/json" && bytes.contains(&b'\n');
        let printed =
            if is_of_lines { event.clone().with_data(ty, "{ }".into()).unwrap() } else { event.clone() };
        let line = String::from_utf8(events::encode(&event).to_vec()).unwrap();
        for (form, from) in FORMS.into_iter().filter(|(_, from)| !from.is_empty()) {
            let (exit, lines) = normalized(&["--from", "http", "--to", form], &line);
            assert_eq!((exit, lines.len()), (Ok(Exit::Success), 1), "{form} {bytes:?}");
            let more: &[&str] = match from {
                "pubsub" => &["--subscription", "s"],
                "kafka" => &["--topic", "t"],
                _ => &[],
            };
            // Only Pub/Sub's messages need an id.
            let message = lines[0].replacen('{', r#"{"messageId":"0","#, usize::from(from == "pubsub"));
            let flags = [&["--from", from], more].concat();
            let again = super::tests::event(&flags, &message);
            assert_eq!(again, printed, "{form}: {message}");
        }
    }
}

#[test]
fn event_grids_own_schema_is_written_by_its_mapping() {
    let event = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"x","time":"2026-01-31T12:00:00Z","dataschema":"\#2","data":{"a":1}}"#;
    let (_, lines) = normalized(&["--from", "http", "--to", "eventgrid"], &event.replace("\\#", "#"));
    assert_eq!(
        lines,
        [
            r#"{"id":"1","subject":"x","eventType":"t","eventTime":"2026-01-31T12:00:00Z","dataVersion":"2","data":{"a":1}}"#
        ]
    );
    let binary = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/x","data_base64":"/w=="}"#;
    assert!(error(&["--from", "http", "--to", "eventgrid"], binary).contains("neither JSON nor text"));
}

proptest! {
    #[test]
    fn whatever_the_input_every_line_is_an_event_or_an_error(
        origin in 0..Origin::value_variants().len(),
        lines in proptest::collection::vec("[{\\[\"a-zA-Z:,0-9\\]}\\\\ ]{0,30}|\\{\"headers\":\\{\\},\"body\":[a-z0-9\"]{0,9}\\}", 0..6),
    ) {
        let name = Origin::value_variants()[origin].to_possible_value().unwrap().get_name().to_owned();
        let more: &[&str] = match &*name {
            "kafka" => &["--topic", "t"],
            "pubsub" => &["--subscription", "s"],
            "pubsub-push" => &["--topic", "projects/p/topics/t"],
            _ => &[],
        };
        let (_, printed) = normalized(&[&["--from", &*name], more].concat(), &lines.join("\n"));
        for line in printed {
            let is_error = serde_json::from_str::<serde_json::Value>(&line).is_ok_and(|json| json["error"].is_string());
            prop_assert!(is_error || events::decode(line.clone().into()).is_ok(), "{}", line);
        }
    }
}
