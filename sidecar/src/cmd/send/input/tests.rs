use super::*;
use crate::cli::AttributeArgs;

const EVENT: &str = r#"{"specversion":"1.0","id":"7","source":"/s","type":"t","data":{"a": 1}}"#;

fn read(files: &[(&str, &str)], input: Input, count: Option<u64>) -> Vec<Result<(String, String), String>> {
    let folder = tempfile::tempdir().unwrap();
    let from = files
        .iter()
        .map(|(name, text)| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            Origin::File(path)
        })
        .collect();
    let template = Template::new(&AttributeArgs::default(), 1).unwrap();
    let reader = Reader { from, input, template, count };
    let mut read = Vec::new();
    reader.read(&mut |event| {
        read.push(match event {
            Ok(event) => {
                let data = event.data().map(|data| String::from_utf8_lossy(data).into_owned());
                Ok((event.ty().to_owned(), data.unwrap_or_default()))
            }
            Err(bad) => Err(format!("{}: {}", bad.place.rsplit('/').next().unwrap_or_default(), bad.why)),
        });
        assert!(read.len() < 100, "no end");
        true
    });
    read
}

fn made(ty: &str, data: &str) -> (String, String) {
    (ty.to_owned(), data.to_owned())
}

#[test]
fn a_file_is_data_unless_it_is_an_event_or_a_list_of_events() {
    let list = format!("[{EVENT}, {EVENT}]");
    let files = [
        ("a.json", r#"{"specversion": "is a word in here"}"#),
        ("b.json", EVENT),
        ("c.json", &list),
        ("d", "x"),
    ];
    assert_eq!(
        read(&files, Input::Auto, None),
        [
            Ok(made("outrigger.send", r#"{"specversion": "is a word in here"}"#)),
            Ok(made("t", r#"{"a": 1}"#)),
            Ok(made("t", r#"{"a": 1}"#)),
            Ok(made("t", r#"{"a": 1}"#)),
            Ok(made("outrigger.send", "x")),
        ]
    );
    assert_eq!(read(&files[1..2], Input::Data, None), [Ok(made("outrigger.send", EVENT))]);
}

#[test]
fn azures_dead_letters_are_the_events_that_were_published() {
    let file = format!(
        r#"[{{"deadLetterProperties":{{"deadletterreason":"x"}},"event":{EVENT}}},{{"event":{{"id":"8","topic":"/t","subject":"s","eventType":"g","data":{{"b": 2}}}}}},{{"event":7}}]"#
    );
    let found = read(
        &[("a.json", &file), ("b.json", "<xml>")],
        Input::Foreign(crate::cli::From::EventgridDeadletter),
        None,
    );
    assert_eq!(found[..2], [Ok(made("t", r#"{"a": 1}"#)), Ok(made("g", r#"{"b": 2}"#))]);
    assert!(found[2].as_ref().unwrap_err().starts_with("a.json, member 3: "), "{found:?}");
    assert!(found[3].as_ref().unwrap_err().starts_with("b.json: "), "{found:?}");
}

#[test]
fn lines_are_events_or_data_and_empty_ones_are_none() {
    let lines = format!("{EVENT}\n\n  \n{{\"b\": 2}}\r\nplain");
    let expected = [
        Ok(made("t", r#"{"a": 1}"#)),
        Ok(made("outrigger.send", r#"{"b": 2}"#)),
        Ok(made("outrigger.send", "plain")),
    ];
    assert_eq!(read(&[("a.jsonl", &lines)], Input::Auto, None), expected);
    assert_eq!(read(&[("a.txt", &lines)], Input::Lines, None), expected);
}

#[test]
fn what_is_no_event_is_told_with_its_place_and_the_rest_goes_on() {
    let bad = r#"{"specversion":"1.0","id":"","source":"/s","type":"t"}"#;
    let lines = format!("{bad}\n{EVENT}\n");
    let found = read(&[("a.jsonl", &lines), ("b.json", &format!("[{EVENT},{bad}]"))], Input::Auto, None);
    let places: Vec<_> =
        found.iter().map(|found| found.as_ref().map_err(|e| e.split(": ").next().unwrap())).collect();
    assert_eq!(places[0], Err("a.jsonl:1"));
    assert_eq!(places[3], Err("b.json, member 2"));
    assert_eq!(found.iter().filter(|found| found.is_ok()).count(), 2);
    assert!(read(&[("a", "no event")], Input::Event, None)[0].is_err());
}

#[test]
fn a_count_repeats_the_input_or_cuts_it() {
    let files = [("a", "1"), ("b", "2")];
    let data = |count| -> Vec<_> {
        read(&files, Input::Auto, count).into_iter().map(|found| found.unwrap().1).collect()
    };
    assert_eq!(data(Some(5)), ["1", "2", "1", "2", "1"]);
    assert_eq!(data(Some(1)), ["1"]);
    assert!(data(Some(0)).is_empty());
    assert_eq!(read(&[("a", "no event")], Input::Event, Some(5)).len(), 1, "bad input is told once");
}

#[test]
fn reading_stops_when_nobody_takes_the_events() {
    let template = Template::new(&AttributeArgs::default(), 1).unwrap();
    let reader = Reader {
        from: vec![Origin::Body("x".to_owned())],
        input: Input::Auto,
        template,
        count: Some(u64::MAX),
    };
    let mut pushed = 0;
    reader.read(&mut |_| {
        pushed += 1;
        pushed < 3
    });
    assert_eq!(pushed, 3);
}
