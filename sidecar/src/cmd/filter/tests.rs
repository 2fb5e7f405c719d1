use super::*;
use clap::Parser as _;
use std::fs;
use std::path::PathBuf;

use crate::cli::{Cli, Command};

const EVENTS: &str = r#"{"specversion": "1.0", "id": "1", "source": "/shop", "type": "order", "hop": 3,   "data": {"a": 1}}

{"specversion": "1.0", "id": "2", "source": "/shop", "type": "refund"}
{"specversion": "1.0", "id": "3", "type": "order"}
no JSON
{"specversion":"1.0","id":"4","source":"/shop","type":"order","hop":"x"}
"#;

/// How it ends, what it prints and what it complains of, when this is the standard input.
fn filtered(args: &[&str], stdin: &str) -> (Result<Exit, String>, String, String) {
    let Command::Filter(args) = Cli::parse_from([&["outrigger", "filter"], args].concat()).command else {
        panic!("another verb");
    };
    let (mut out, mut complaints) = (Vec::new(), Vec::new());
    let exit = filter(&args, &mut stdin.as_bytes(), &mut out, &mut complaints);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (exit.map_err(|failure| failure.to_string()), text(out), text(complaints))
}

#[test]
fn events_that_pass_are_printed_as_they_came_and_the_rest_is_told() {
    let (exit, out, complaints) = filtered(&["type = 'order' AND EXISTS hop"], EVENTS);
    let lines: Vec<_> = EVENTS.lines().collect();
    assert_eq!(out, format!("{}\n{}\n", lines[0], lines[5]));
    let complaints: Vec<_> = complaints.lines().collect();
    assert!(complaints[0].starts_with("standard input:4: no CloudEvent: "), "{complaints:?}");
    assert!(complaints[1].starts_with("standard input:5: no CloudEvent: "), "{complaints:?}");
    assert_eq!((complaints.len(), exit), (2, Ok(Exit::Wrong)));
}

#[test]
fn the_exit_tells_as_greps_does_whether_an_event_passed() {
    let good: Vec<_> = EVENTS.lines().take(3).collect();
    let good = good.join("\n");
    assert_eq!(filtered(&["hop = 3"], &good).0, Ok(Exit::Success));
    assert_eq!(filtered(&["hop = 4"], &good), (Ok(Exit::Problem), String::new(), String::new()));
    assert_eq!(filtered(&["hop = 3"], "").0, Ok(Exit::Problem));
    let (exit, _, complaints) = filtered(&["TRUE", "/nowhere/events.jsonl"], "");
    assert_eq!(exit, Ok(Exit::Wrong));
    assert!(complaints.starts_with("/nowhere/events.jsonl: "), "{complaints}");
}

#[test]
fn files_are_read_one_after_the_other_and_a_dash_is_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let event = |id: &str| format!(r#"{{"specversion":"1.0","id":"{id}","source":"/","type":"t"}}"#);
    let (first, last): (PathBuf, PathBuf) = (file("a", &event("a")), file("b", &(event("b") + "\r\n")));
    let names = [first.to_str().unwrap(), "-", last.to_str().unwrap()];
    let (_, out, _) = filtered(&[&["TRUE"], &names[..]].concat(), &event("-"));
    assert_eq!(out, format!("{}\n{}\n{}\n", event("a"), event("-"), event("b")));
}

#[test]
fn a_mistake_in_the_expression_is_marked() {
    let (exit, ..) = filtered(&["type LIKE 5"], EVENTS);
    let expected = "the expression, column 11: found `5`, expected a pattern in quotes, such as 'abc%'\n    \
                    type LIKE 5\n              ^";
    assert_eq!(exit.unwrap_err(), expected);
    let (exit, ..) = filtered(&[r#"[{"exact": {"type": 5}}]"#], EVENTS);
    assert_eq!(exit.unwrap_err(), "the filter: [0].exact.type: 5 where a text is expected");
    let (exit, ..) = filtered(&["{"], EVENTS);
    assert!(exit.unwrap_err().starts_with("the filter is no JSON: "));
}

#[test]
fn what_may_be_misread_is_noted_and_no_error() {
    let (exit, _, complaints) = filtered(&["NOT type = 'order'"], "");
    assert!(complaints.starts_with("note: character 1: NOT belongs to"), "{complaints}");
    assert_eq!(exit, Ok(Exit::Problem));
}

#[test]
fn an_expression_that_begins_as_a_flag_follows_the_dashes() {
    assert_eq!(filtered(&["--", "-1 < hop"], EVENTS.lines().next().unwrap()).0, Ok(Exit::Success));
}

#[test]
fn a_filter_of_the_subscriptions_api_is_one_too() {
    let filter = r#" {"any": [{"suffix": {"type": "und"}}, {"sql": "hop = 3"}]}"#;
    let (_, out, _) = filtered(&[filter], EVENTS);
    let lines: Vec<_> = EVENTS.lines().collect();
    assert_eq!(out, format!("{}\n{}\n", lines[0], lines[2]));
}

#[test]
fn explained_every_event_has_its_tree() {
    let (exit, out, _) = filtered(
        &["--explain", "type = 'order' AND hop < 3"],
        &EVENTS[..EVENTS.find("{\"specversion\": \"1.0\", \"id\": \"3\"").unwrap()],
    );
    let expected = "\
standard input:1: 1 of /shop does not pass
  false  type = 'order' AND hop < 3
    true   type = 'order'
      'order'  type
    false  hop < 3
      3      hop
standard input:3: 2 of /shop does not pass
  false  type = 'order' AND hop < 3
    false  type = 'order'
      'refund'  type
    –      hop < 3
      –      hop
";
    assert_eq!(out, expected);
    assert_eq!(exit, Ok(Exit::Problem));
}

#[test]
fn explained_as_json_it_is_one_object_an_event() {
    let (_, out, _) = filtered(&["--explain", "--json", "hop > tenant"], EVENTS.lines().next().unwrap());
    let expected = json!({
        "place": "standard input:1", "passes": false, "id": "1", "source": "/shop", "type": "order",
        "explanation": {
            "expression": "hop > tenant", "value": false, "evaluated": true, "errors": [],
            "parts": [
                {"expression": "hop", "value": 3, "evaluated": true, "errors": [], "parts": []},
                {
                    "expression": "tenant", "value": null, "evaluated": true, "parts": [],
                    "errors": [{"kind": "missingAttribute", "message": "the event has no attribute tenant"}],
                },
            ],
        },
    });
    assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap(), expected);
}

/// The commands of the README's section, and what it shows below each.
fn examples() -> Vec<(Vec<String>, String)> {
    let readme = include_str!("../../../../README.md");
    let section = readme.split_once("\n## Filter events\n").unwrap().1.split_once("\n## ").unwrap().0;
    let shown = section.split("```console\n").skip(1).map(|block| block.split_once("```").unwrap().0);
    let commands = shown.flat_map(|block| block.split("$ outrigger filter ").skip(1));
    let command = |text: &str| {
        let (line, output) = text.split_once('\n').unwrap();
        let quote = line.chars().find(|c| matches!(c, '"' | '\'')).unwrap();
        let mut parts = line.splitn(3, quote);
        let (flags, expression, files) =
            (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        assert!(files.trim_start_matches([' ', '<']) == "events.jsonl", "{line}");
        let words = flags.split_whitespace().chain([expression]).map(str::to_owned);
        (words.collect(), output.to_owned())
    };
    commands.map(command).collect()
}

#[test]
fn the_readmes_examples_do_what_it_says() {
    let event = r#"{"specversion": "1.0", "id": "17", "source": "/shop", "type": "order", "hop": "7"}"#;
    let examples = examples();
    assert_eq!(examples.len(), 3);
    for (args, shown) in examples {
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let (exit, out, complaints) = filtered(&args, event);
        assert_eq!(complaints, "", "{args:?}");
        if shown.is_empty() {
            let passes = args[0].starts_with('{');
            assert_eq!(exit, Ok(if passes { Exit::Success } else { Exit::Problem }), "{args:?}");
        } else {
            assert_eq!(out.replace("standard input", "events.jsonl"), shown, "{args:?}");
        }
    }
}
