use proptest::prelude::*;

use super::*;
use crate::event::{json, tests::events};

fn both_ways(event: &Event) -> Event {
    Event::try_from(&cloudevents::Event::try_from(event).unwrap()).unwrap()
}

#[test]
fn an_event_becomes_the_one_that_the_sdk_reads_from_json() {
    for data in [
        r#""datacontenttype":"application/json","data":{"a":[1,null,"x"]}"#,
        r#""datacontenttype":"text/plain","data":"text \u20ac""#,
        r#""datacontenttype":"application/octet-stream","data_base64":"/w==""#,
        r#""datacontenttype":"application/json","data_base64":"eyJhIjo=""#,
        r#""dataschema":"https://cloudevents.io/schema""#,
    ] {
        let input = format!(
            r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"x","urgent":true,"count":-5,
                "time":"2018-04-05T18:31:00.25+01:00","note":"n",{data}}}"#
        );
        let ours = json::decode(Bytes::from(input.clone())).unwrap();
        let theirs: cloudevents::Event = serde_json::from_str(&input).unwrap();
        assert_eq!(cloudevents::Event::try_from(&ours).unwrap(), theirs, "{data}");
        let mut expected = ours.clone();
        expected.set("time", Value::String("2018-04-05T17:31:00.250Z")).unwrap();
        assert_eq!(Event::try_from(&theirs).unwrap(), expected, "{data}");
        let written: cloudevents::Event = serde_json::from_slice(&json::encode(&ours)).unwrap();
        assert_eq!(written, theirs, "{data}");
    }
}

#[test]
fn json_without_a_type_gets_the_one_it_implies() {
    let mut sdk = cloudevents::Event::default();
    sdk.set_source("/s".to_owned());
    sdk.set_data_unchecked(serde_json::json!({"a": 1}));
    let event = Event::try_from(&sdk).unwrap();
    assert_eq!(event.datacontenttype(), Some("application/json"));
    assert_eq!(event.data().unwrap(), r#"{"a":1}"#);
}

/// What makes a good event of the SDK a bad one.
type Breaks = fn(&mut cloudevents::Event);

#[test]
fn what_the_sdk_lets_through_and_the_specification_does_not_is_refused() {
    let good = || {
        let mut sdk = cloudevents::Event::default();
        sdk.set_source("/s".to_owned());
        sdk
    };
    assert!(Event::try_from(&good()).is_ok());
    let broken: [(&str, Breaks); 6] = [
        ("id", |e| drop(e.set_id(""))),
        ("source", |e| drop(e.set_source("a b"))),
        ("attribute", |e| e.set_extension("My-Extension", "x")),
        ("subject", |e| {
            e.set_subject(Some("a"));
            e.set_extension("subject", "b");
        }),
        ("count", |e| e.set_extension("count", i64::from(i32::MAX) + 1)),
        ("datacontenttype", |e| drop(e.set_datacontenttype(Some("xyz")))),
    ];
    for (place, breaks) in broken {
        let mut sdk = good();
        breaks(&mut sdk);
        assert_eq!(Event::try_from(&sdk).unwrap_err().at(), place);
    }
    let old: cloudevents::Event =
        serde_json::from_str(r#"{"specversion":"0.3","id":"1","source":"/s","type":"t"}"#).unwrap();
    assert_eq!(Event::try_from(&old).unwrap_err().at(), "specversion");
}

proptest! {
    #[test]
    fn what_both_know_goes_there_and_back(event in events()) {
        let mut event = event;
        // The SDK takes fewer schemas and normalizes them, and writes the time in its own way.
        event.remove("dataschema");
        event.remove("time");
        let json = event.datacontenttype().is_some_and(media::is_json);
        if json {
            event.set_data(Some(Bytes::from_static(b"{\"a\":[1,2]}")));
        }
        prop_assert_eq!(both_ways(&event), event);
    }
}
