use super::*;
use azure_messaging_eventgrid::Event as Azures;
use flate2::read::GzDecoder;
use outrigger_core::event::json;
use proptest::prelude::*;
use serde_json::Value as Json;
use std::{fs, fs::File, io::Read as _};
use time::macros::datetime;

fn read(text: &str) -> Result<Event, Invalid> {
    decode(&Bytes::copy_from_slice(text.as_bytes()))
}

fn attributes(event: &Event) -> Vec<(String, String)> {
    event.attributes().map(|(name, value)| (name.to_owned(), value.text().into_owned())).collect()
}

const STORAGE: &str = "/subscriptions/a0517898-9fa4-4e70-b4a3-afda1dd68672/resourceGroups/Storage/providers/\
                       Microsoft.Storage/storageAccounts/my-storage-account";

/// Azure's documentation shows its events in both schemas: what is made of one must be the other.
#[test]
fn what_azure_shows_in_both_schemas_is_the_same_event() {
    let data = r#"{ "api": "PutBlockList", "contentLength": 524288.0, "sequencer": "00000000000004420000000000028963", "storageDiagnostics": {"batchId": "b68529f3-68cd-4744-baa4-3c0498ec19f0"} }"#;
    let time = "2017-06-26T18:41:00.9584103Z";
    let subject = "/blobServices/default/containers/test-container/blobs/new-file.txt";
    for (version, schema) in [("", ""), ("1.0", r##","dataschema":"#1.0""##)] {
        let theirs = format!(
            r#"{{"source":"{STORAGE}","subject":"{subject}","type":"Microsoft.Storage.BlobCreated","time":"{time}","id":"831e1650-001e-001b-66ab-eeb76e069631","data":{data},"specversion":"1.0"{schema}}}"#
        );
        let event = read(&format!(
            r#"{{"topic":"{STORAGE}","subject":"{subject}","eventType":"Microsoft.Storage.BlobCreated","eventTime":"{time}","id":"831e1650-001e-001b-66ab-eeb76e069631","data":{data},"dataVersion":"{version}","metadataVersion":"1"}}"#
        ))
        .unwrap();
        let theirs = json::decode(Bytes::from(theirs)).unwrap();
        let sorted = |event: &Event| {
            let mut all = attributes(event);
            all.sort();
            all
        };
        assert_eq!(sorted(&event), sorted(&theirs), "version {version:?}");
        assert_eq!(event.data(), theirs.data());
        assert_eq!(event.data().unwrap(), data, "byte for byte");
    }
}

#[test]
fn what_is_empty_and_optional_is_left_out_and_the_rest_is_needed() {
    let event = read(r#"{"id":"1","topic":"/t","eventType":"e","subject":"","dataVersion":"","eventTime":"2024-05-01T00:00:00Z","unknown":[1]}"#).unwrap();
    assert_eq!((event.subject(), event.dataschema(), event.data()), (None, None, None));
    assert_eq!(event.time(), Some("2024-05-01T00:00:00Z"));
    let null = read(r#"{"id":"1","topic":"/t","eventType":"e","data": null }"#).unwrap();
    assert_eq!(null.data().unwrap(), "null", "it is there");
    for (text, at) in [
        (r#"{"topic":"/t","eventType":"e"}"#, "id"),
        (r#"{"id":"","topic":"/t","eventType":"e"}"#, "id"),
        (r#"{"id":"1","eventType":"e"}"#, "topic"),
        (r#"{"id":"1","topic":null,"eventType":"e"}"#, "topic"),
        (r#"{"id":"1","topic":"/t"}"#, "eventType"),
        (r#"{"id":"1","topic":"/t","eventType":"e","eventTime":"yesterday"}"#, "time"),
        (r#"{"id":1,"topic":"/t","eventType":"e"}"#, "event"),
        (r#"{"id":"1","id":"1","topic":"/t","eventType":"e"}"#, "event"),
        (r#"{"id":"1","topic":"/t","eventType":"e","data":{"a":}}"#, "event"),
        ("[]", "event"),
        ("7", "event"),
        ("", "event"),
    ] {
        assert_eq!(read(text).unwrap_err().at(), at, "{text}");
    }
}

#[test]
fn a_name_of_azure_that_no_uri_may_hold_is_percent_encoded() {
    for (topic, source) in [
        (
            "/subscriptions/1/resourceGroups/Größe (neu)/x",
            "/subscriptions/1/resourceGroups/Gr%C3%B6%C3%9Fe%20(neu)/x",
        ),
        ("/a%20b", "/a%20b"),
        ("/100%", "/100%25"),
        ("/a#b", "/a%23b"),
    ] {
        let event =
            read(&format!(r#"{{"id":"1","topic":"{topic}","eventType":"e","dataVersion":"v 1"}}"#)).unwrap();
        assert_eq!((event.source(), event.dataschema()), (source, Some("#v%201")));
    }
}

fn azures(data: &Json) -> Azures<&Json> {
    let mut event = Azures::new(Some("id-1".to_owned()), "a.b", "/subject", data, Some("2".to_owned()));
    event.event_time = datetime!(2024-05-01 12:00:00.5 UTC);
    event
}

/// What Microsoft's own type writes, we read; what we write is what it writes.
#[test]
fn microsofts_own_type_agrees_in_both_directions() {
    let data: Json = serde_json::from_str(r#"{"number":42,"list":[1,null,"ä"]}"#).unwrap();
    let mut theirs = azures(&data);
    theirs.topic = Some("/topic".to_owned());
    theirs.metadata_version = Some("1".to_owned());
    let event = read(&serde_json::to_string(&theirs).unwrap()).unwrap();
    let mut event_attributes = attributes(&event);
    event_attributes.sort();
    let time = event.time().unwrap().to_owned();
    let expected = [
        ("datacontenttype", "application/json"),
        ("dataschema", "#2"),
        ("id", "id-1"),
        ("source", "/topic"),
        ("subject", "/subject"),
        ("time", &time),
        ("type", "a.b"),
    ];
    assert_eq!(event_attributes, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    assert!(time.starts_with("2024-05-01T12:00:00.5"), "{time}");

    let written: Json = serde_json::from_slice(&encode(&event, "2000-01-01T00:00:00Z").unwrap()).unwrap();
    let mut theirs = serde_json::to_value(azures(&data)).unwrap();
    theirs.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    assert_eq!(written, theirs);
}

#[test]
fn what_the_schema_needs_and_an_event_lacks_is_put_in_and_data_must_be_json() {
    let event = Event::new("1", "/s", "t").unwrap();
    let written: Json = serde_json::from_slice(&encode(&event, "2000-01-01T00:00:00Z").unwrap()).unwrap();
    let expected = r#"{"id":"1","subject":"/s","eventType":"t","eventTime":"2000-01-01T00:00:00Z","data":null,"dataVersion":""}"#;
    assert_eq!(written, serde_json::from_str::<Json>(expected).unwrap());
    let text = event.with_data("text/plain", Bytes::from_static(b"hello")).unwrap();
    assert_eq!(encode(&text, "").unwrap_err().at(), "data");
}

#[test]
fn every_public_payload_passes_byte_for_byte() {
    let Some(folder) = outrigger_testkit::shared("eventgrid schema: every public payload", "data/events")
    else {
        return;
    };
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        body: &'a RawValue,
    }
    let mut count = 0;
    for name in ["github-webhooks.jsonl.gz", "aws-lambda.jsonl.gz", "google.jsonl.gz"] {
        let mut lines = String::new();
        GzDecoder::new(File::open(folder.join(name)).unwrap()).read_to_string(&mut lines).unwrap();
        for line in lines.lines() {
            let body = serde_json::from_str::<Line<'_>>(line).unwrap().body.get();
            let event =
                read(&format!(r#"{{"data":  {body} ,"id":"1","topic":"/t","eventType":"e"}}"#)).unwrap();
            assert_eq!(event.data().unwrap(), body);
            let written = encode(&event, "2000-01-01T00:00:00Z").unwrap();
            assert!(written.windows(body.len()).any(|part| part == body.as_bytes()));
            count += 1;
        }
    }
    assert!(count > 400, "{count} payloads");
}

/// What Microsoft's clients publish to a topic; Azure adds the topic before it delivers.
#[test]
fn what_microsofts_clients_publish_is_read() {
    let Some(folder) = outrigger_testkit::shared("eventgrid schema: microsofts clients", "data/eventgrid")
    else {
        return;
    };
    for name in ["js-topic-eventgrid.http", "py-topic-key-eventgridevent.http"] {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        let body =
            text.split("--- response ---").next().unwrap().lines().rev().find(|line| line.starts_with('['));
        for member in serde_json::from_str::<Vec<&RawValue>>(body.unwrap()).unwrap() {
            let published = member.get().strip_prefix('{').unwrap();
            let event = read(&format!(r#"{{"topic":"/t",{published}"#)).unwrap();
            let json: Json = serde_json::from_str(member.get()).unwrap();
            assert_eq!(
                (event.id(), event.ty()),
                (json["id"].as_str().unwrap(), json["eventType"].as_str().unwrap())
            );
            assert_eq!(
                serde_json::from_slice::<Json>(event.data().unwrap()).unwrap(),
                json["data"],
                "{name}"
            );
            let again: Json = serde_json::from_slice(&encode(&event, "").unwrap()).unwrap();
            assert_eq!(again, json, "{name}");
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        let _ = read(&text);
    }

    #[test]
    fn whatever_an_event_says_is_what_it_becomes(
        id in "[a-zA-Z0-9-]{1,20}", topic in "\\PC{1,30}", subject in "[^\\x00-\\x1f]{0,20}", version in "\\PC{0,8}", data in "[a-z]{0,9}",
    ) {
        let text = serde_json::json!({
            "id": id, "topic": topic, "subject": subject, "eventType": "t", "dataVersion": version, "data": {"a": data},
        });
        // A topic may still hold what CloudEvents forbids in any text, and then it is refused and not changed.
        if let Ok(event) = read(&text.to_string()) {
            prop_assert_eq!(event.id(), id);
            prop_assert_eq!(event.subject().unwrap_or_default(), subject);
            prop_assert_eq!(event.dataschema().is_some(), !version.is_empty());
        }
    }
}
