use super::*;
use http::HeaderValue;
use outrigger_core::event::json;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

const ALL: [Origin; 5] = [Origin::EventBridge, Origin::S3, Origin::Sns, Origin::Sqs, Origin::Lambda];

fn read(origin: Origin, body: &str) -> Result<Vec<Member>, Invalid> {
    events(origin, &HeaderMap::new(), &Bytes::copy_from_slice(body.as_bytes()), None)
}

fn one(origin: Origin, body: &str) -> Event {
    let mut items = read(origin, body).unwrap();
    assert_eq!(items.len(), 1, "{items:?}");
    items.remove(0).unwrap()
}

/// The reason why the only member, or the whole, is none.
fn why(origin: Origin, body: &str) -> String {
    match read(origin, body) {
        Err(invalid) => invalid.to_string(),
        Ok(mut items) => items.remove(0).unwrap_err().why,
    }
}

fn told(event: &Event, name: &str) -> Option<String> {
    event.text(name).map(std::borrow::Cow::into_owned)
}

fn bridged(change: impl FnOnce(&mut Json)) -> String {
    let mut json = json!({
        "version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": "Object Created", "source": "aws.s3",
        "account": "111122223333", "time": "2021-11-12T00:00:00Z", "region": "ca-central-1",
        "resources": ["arn:aws:s3:::bucket1"], "detail": {"version": "0"},
    });
    change(&mut json);
    json.to_string()
}

#[test]
fn an_event_of_eventbridge_keeps_its_type_and_its_detail() {
    let body = r#" {"version":"0","id":"1","detail-type":"Order placed","source":"com.example shop","account":"12","time":"2026-01-31T12:00:00Z",
        "region":"eu-west-1","resources":["arn:a","ü\""],"replay-name":"r","new":{}, "detail": { "n": 1.0 } } "#;
    let event = one(Origin::EventBridge, body);
    assert_eq!((event.id(), event.source(), event.ty()), ("1", "com.example%20shop", "Order placed"));
    assert_eq!(
        (event.time(), event.datacontenttype()),
        (Some("2026-01-31T12:00:00Z"), Some("application/json"))
    );
    assert_eq!(&event.data().unwrap()[..], b"{ \"n\": 1.0 }");
    for (name, text) in [
        ("awsaccount", "12"),
        ("awsregion", "eu-west-1"),
        ("awsresources", r#"["arn:a","\u00fc\""]"#),
        ("awsreplayname", "r"),
    ] {
        assert_eq!(told(&event, name).as_deref(), Some(text), "{name}");
    }
}

#[test]
fn as_many_resources_are_kept_as_fit_into_a_header() {
    let list: Vec<_> = (0..100).map(|n| format!("arn:aws:s3:::{n:0>40}")).collect();
    let event = one(Origin::EventBridge, &bridged(|json| json["resources"] = list.into()));
    let kept: Vec<String> = serde_json::from_str(&told(&event, "awsresources").unwrap()).unwrap();
    assert!(told(&event, "awsresources").unwrap().len() <= 2048 && !kept.is_empty());
    assert_eq!(told(&event, "awsresourcesleftout").unwrap(), (100 - kept.len()).to_string());
    let event = one(Origin::EventBridge, &bridged(|json| json["resources"] = json!([])));
    assert_eq!((told(&event, "awsresources"), told(&event, "awsresourcesleftout")), (None, None));
}

#[test]
fn what_is_missing_or_wrong_is_told() {
    for (body, said) in [
        (bridged(|json| json["id"] = Json::Null), "id: is missing; every event of EventBridge has it"),
        (bridged(|json| json["source"] = "".into()), "source: is missing"),
        (bridged(|json| drop(json.as_object_mut().unwrap().remove("detail"))), "detail: is missing"),
        (
            bridged(|json| json["time"] = "2021-11-12T00:00:60Z".into()),
            "time: \"2021-11-12T00:00:60Z\" is not an RFC 3339",
        ),
        (
            bridged(|json| json["account"] = "a\0b".into()),
            "awsaccount: \"a\\u{0}b\" is not text without control",
        ),
        ("{".to_owned(), "json: is malformed: EOF"),
        ("7".to_owned(), "id: is missing"),
        ("\"\u{e9}\"".to_owned(), "id: is missing"),
    ] {
        let why = why(Origin::EventBridge, &body);
        assert!(why.starts_with(said), "{body}: {why}");
    }
    let why = events(Origin::S3, &HeaderMap::new(), &Bytes::from_static(b"\xff"), None).unwrap_err();
    assert_eq!(why.to_string(), "json: is not UTF-8");
    let leap = one(Origin::EventBridge, &bridged(|json| json["time"] = "2016-12-31T23:59:60Z".into()));
    assert_eq!(leap.time(), Some("2016-12-31T23:59:60Z"));
}

fn s3_record(key: &str, elements: &Json) -> Json {
    json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-west-2", "eventTime": "1970-01-01T00:00:00.000Z",
        "eventName": "ObjectCreated:Put", "responseElements": elements,
        "s3": {"bucket": {"name": "b"}, "object": {"key": key, "sequencer": "0055AED6DCD90281E5"}},
    })
}

#[test]
fn each_record_of_s3_is_an_event_by_the_adapter() {
    let request = json!({"x-amz-request-id": "C3D1", "x-amz-id-2": "FMy/="});
    let records = [
        s3_record("red+flower.jpg", &request),
        s3_record("k", &Json::Null),
        json!({"eventSource": "aws:s3"}),
    ];
    let items = read(Origin::S3, &json!({"Records": records}).to_string()).unwrap();
    let event = items[0].as_ref().unwrap();
    assert_eq!((event.id(), event.source()), ("C3D1.FMy/=", "aws:s3.us-west-2.b"));
    assert_eq!((event.ty(), event.subject()), ("com.amazonaws.s3.ObjectCreated:Put", Some("red+flower.jpg")));
    assert_eq!(serde_json::from_slice::<Json>(event.data().unwrap()).unwrap(), records[0]);
    assert_eq!(items[1].as_ref().unwrap().id(), "k.0055AED6DCD90281E5");
    let malformed = items[2].as_ref().unwrap_err();
    assert_eq!(
        (&malformed.raw[..], &*malformed.why),
        (&br#"{"eventSource":"aws:s3"}"#[..], "awsRegion: is missing; every record of S3 has it")
    );
}

#[test]
fn keys_that_one_request_deletes_from_s3_are_events_of_their_own() {
    let request = json!({"x-amz-request-id": "C3D1", "x-amz-id-2": "FMy/="});
    let records = ["a", "b"].map(|key| {
        let mut record = s3_record(key, &request);
        record["eventName"] = "s3:ObjectRemoved:Delete".into();
        record
    });
    let items = read(Origin::S3, &json!({"Records": records}).to_string()).unwrap();
    let ids: Vec<_> = items.iter().map(|item| item.as_ref().unwrap().id()).collect();
    assert_eq!(ids, ["C3D1.FMy/=.a", "C3D1.FMy/=.b"]);
}

#[test]
fn the_message_that_tries_a_notification_is_an_event() {
    let test = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2014-10-13T15:57:02.089Z","Bucket":"b","RequestId":"R","HostId":"H"}"#;
    let event = one(Origin::S3, test);
    assert_eq!((event.id(), event.source(), event.ty()), ("R.H", "aws:s3.b", "com.amazonaws.s3.TestEvent"));
}

const NOTIFICATION: &str = r#"{
  "Type" : "Notification", "MessageId" : "22b80b92", "TopicArn" : "arn:aws:sns:us-west-2:123456789012:MyTopic",
  "Subject" : "My First Message", "Message" : "Hello world!", "Timestamp" : "2012-05-02T00:54:06.655Z", "Signature" : "E"}"#;
const SUBSCRIPTION: &str = "arn:aws:sns:us-west-2:123456789012:MyTopic:c9135db0";

#[test]
fn a_message_of_sns_is_an_event_by_the_adapter() {
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-sns-subscription-arn", HeaderValue::from_static(SUBSCRIPTION));
    let posted = events(Origin::Sns, &headers, &Bytes::from(NOTIFICATION), None).unwrap().remove(0).unwrap();
    assert_eq!((posted.id(), posted.source()), ("22b80b92", SUBSCRIPTION));
    assert_eq!((posted.ty(), posted.subject()), ("com.amazonaws.sns.Notification", Some("My First Message")));
    assert_eq!(posted.data().unwrap(), NOTIFICATION);
    let record = format!(
        r#"{{"Records":[{{"EventSource":"aws:sns","EventSubscriptionArn":"{SUBSCRIPTION}","Sns":{NOTIFICATION}}}]}}"#
    );
    assert_eq!(one(Origin::Sns, &record), posted);
    assert_eq!(one(Origin::Lambda, &record), posted);
    assert_eq!(one(Origin::Sns, NOTIFICATION).source(), "arn:aws:sns:us-west-2:123456789012:MyTopic");
}

#[test]
fn a_message_of_raw_delivery_is_its_body() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("rawdelivery", "true"),
        ("message-id", "7"),
        ("topic-arn", "arn:aws:sns:r:1:t"),
        ("message-type", "Notification"),
    ] {
        headers.insert(
            http::HeaderName::try_from(format!("x-amz-sns-{name}")).unwrap(),
            HeaderValue::from_static(value),
        );
    }
    let read = |body: &'static [u8], headers: &HeaderMap| {
        events(Origin::Sns, headers, &Bytes::from_static(body), None)
            .unwrap()
            .remove(0)
            .map_err(|malformed| malformed.why)
    };
    let event = read(b"hi\xff", &headers).unwrap();
    assert_eq!(
        (event.id(), event.source(), event.datacontenttype()),
        ("7", "arn:aws:sns:r:1:t", Some("text/plain"))
    );
    assert_eq!(&event.data().unwrap()[..], b"hi\xff");
    let own = read(br#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#, &headers).unwrap();
    assert_eq!(own.ty(), "t");
    headers.remove("x-amz-sns-message-id");
    assert_eq!(
        read(b"x", &headers).unwrap_err(),
        "x-amz-sns-message-id: is missing; every message of SNS by raw delivery has it"
    );
}

fn queued(body: &str) -> Event {
    let message = json!({
        "messageId": "m", "body": body, "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:r:1:q",
        "attributes": {"SentTimestamp": "1520621625029", "MessageGroupId": "g"},
    });
    one(Origin::Sqs, &json!({"Records": [message]}).to_string())
}

#[test]
fn a_body_of_sqs_is_another_services_event_or_its_own() {
    let own = queued("plain\ntext");
    assert_eq!((own.id(), own.source(), own.ty()), ("m", "arn:aws:sqs:r:1:q", "com.amazonaws.sqs.message"));
    assert_eq!((own.time(), own.datacontenttype()), (Some("2018-03-09T18:53:45.029Z"), Some("text/plain")));
    assert_eq!(
        (&own.data().unwrap()[..], told(&own, "partitionkey").as_deref()),
        (&b"plain\ntext"[..], Some("g"))
    );
    assert_eq!(queued("[1]").datacontenttype(), Some("application/json"));
    assert_eq!(queued(&bridged(|_| ())).ty(), "Object Created");
    assert_eq!(queued(NOTIFICATION).ty(), "com.amazonaws.sns.Notification");
    let record = s3_record("k", &Json::Null);
    assert_eq!(queued(&json!({"Records": [record]}).to_string()).subject(), Some("k"));
    assert_eq!(queued(&json!({"Records": [record, record]}).to_string()).ty(), "com.amazonaws.sqs.message");
    let cloud = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","partitionkey":"mine"}"#;
    assert_eq!(told(&queued(cloud), "partitionkey").as_deref(), Some("mine"));
}

#[test]
fn the_trace_of_who_sent_a_message_of_sqs_is_where_its_event_began() {
    const ROOT: &str = "Root=1-58406520-a006649127e371903a2de979";
    let began = |header: &str, body: &str| {
        let attributes = json!({"AWSTraceHeader": header});
        let message =
            json!({"messageId": "m", "body": body, "eventSource": "aws:sqs", "attributes": attributes});
        told(&one(Origin::Sqs, &json!({"Records": [message]}).to_string()), "traceparent")
    };
    let whole = began(&format!("{ROOT};Parent=4c721bf33e3caf8f;Sampled=1"), "hi");
    assert_eq!(whole.as_deref(), Some("00-58406520a006649127e371903a2de979-4c721bf33e3caf8f-01"));
    let unsampled = began(&format!("Lineage=a:0; Parent=4c721bf33e3caf8f; {ROOT}"), "hi");
    assert_eq!(unsampled.as_deref(), Some("00-58406520a006649127e371903a2de979-4c721bf33e3caf8f-00"));
    let own = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","traceparent":"mine"}"#;
    assert_eq!(began(&format!("{ROOT};Parent=4c721bf33e3caf8f"), own).as_deref(), Some("mine"));
    let nowhere = [
        ROOT.to_owned(),
        format!("{ROOT};Parent=0000000000000000"),
        format!("{ROOT};Parent=4C721BF33E3CAF8F"),
        "Root=1-00000000-000000000000000000000000;Parent=4c721bf33e3caf8f".to_owned(),
        "Root=1-58406520a006649127e371903a2de979;Parent=4c721bf33e3caf8f".to_owned(),
        "Root=1-é;Parent=4c721bf33e3caf8f".to_owned(),
        "Self=1".to_owned(),
    ];
    for header in nowhere {
        assert_eq!(began(&header, "hi"), None, "{header}");
    }
}

#[test]
fn the_api_of_sqs_hands_out_messages_without_their_queue() {
    let body = r#"{"Messages":[{"MessageId":"1","Body":"{}"},{"MessageId":"2"}]}"#;
    let items = events(Origin::Sqs, &HeaderMap::new(), &Bytes::from(body), Some("/queues/orders")).unwrap();
    assert_eq!(items[0].as_ref().unwrap().source(), "/queues/orders");
    assert_eq!(items[1].as_ref().unwrap_err().why, "body: is missing; every message of SQS has it");
}

#[test]
fn a_record_of_kafka_is_what_the_source_makes_of_it() {
    let record = |headers: &Json| {
        let record = json!({"topic": "t", "partition": 0, "offset": 15, "timestamp": 1_545_084_650_987_u64, "key": "aw==", "value": "SGk=", "headers": headers});
        json!({"eventSource": "aws:kafka", "records": {"t-0": [record]}}).to_string()
    };
    let plain = one(Origin::Lambda, &record(&json!([])));
    assert_eq!((plain.id(), plain.source(), plain.ty()), ("t/0/15", "/kafka/t", "org.apache.kafka.record"));
    assert_eq!(
        (&plain.data().unwrap()[..], told(&plain, "partitionkey").as_deref()),
        (&b"Hi"[..], Some("k"))
    );
    let headers = [("ce_specversion", "1.0"), ("ce_id", "1"), ("ce_source", "/é"), ("ce_type", "t")];
    let signed = |text: &str| text.bytes().map(|b| i8::from_ne_bytes([b])).collect::<Vec<_>>();
    let headers: Vec<_> = headers.iter().map(|(name, text)| json!({*name: signed(text)})).collect();
    assert!(why(Origin::Lambda, &record(&json!(headers))).starts_with("source: \"/é\" is not a URI"));
    let mut headers = headers;
    headers[2] = json!({"ce_source": signed("/s")});
    assert_eq!(one(Origin::Lambda, &record(&json!(headers))).ty(), "t");
}

#[test]
fn an_alarm_and_a_record_of_a_log_are_events_by_what_tells_them_apart() {
    let alarm = r#"{"source":"aws.cloudwatch","alarmArn":"arn:aws:cloudwatch:us-east-1:1:alarm:cpu","accountId":"1",
        "time":"2023-08-04T12:36:15.490+0000","region":"us-east-1",
        "alarmData":{"alarmName":"cpu","state":{"value":"ALARM","timestamp":"2023-08-04T12:36:15.490+0000"}}}"#;
    let event = one(Origin::Lambda, alarm);
    assert_eq!(event.id(), "arn:aws:cloudwatch:us-east-1:1:alarm:cpu/2023-08-04T12:36:15.490+0000");
    assert_eq!((event.ty(), event.subject()), ("com.amazonaws.cloudwatch.alarm.ALARM", Some("cpu")));
    assert_eq!(event.time(), Some("2023-08-04T12:36:15.490+00:00"));
    assert_eq!(event.data().unwrap(), alarm);
    let message = r#"{"eventSource":"aws:rmq","eventSourceArn":"arn:aws:mq:r:1:b","rmqMessagesByQueue":{"q::/":[
        {"basicProperties":{"messageId":"7"},"data":"e30="},{"basicProperties":{"messageId":null}}]}}"#;
    let items = read(Origin::Lambda, message).unwrap();
    assert_eq!((items[0].as_ref().unwrap().id(), items[1].is_err()), ("7", true));
}

#[test]
fn what_is_no_event_is_refused_by_its_name() {
    for (body, said) in [
        (
            r#"{"httpMethod":"GET","headers":{},"requestContext":{}}"#,
            "lambda: is a request of API Gateway, which waits",
        ),
        (r#"{"statusCode":200}"#, "lambda: is a function's answer to a request"),
        ("{}", "lambda: is nothing that a trigger of AWS Lambda is known to send"),
        (
            r#"{"Records":[{"eventSource":"aws:new"}]}"#,
            "eventSource: \"aws:new\" is not a service whose records",
        ),
        (r#"{"Records":[7]}"#, "eventSource: is missing; every record has it"),
    ] {
        assert!(why(Origin::Lambda, body).starts_with(said), "{}", why(Origin::Lambda, body));
    }
}

#[test]
fn a_megabyte_of_nesting_costs_no_stack() {
    let deep = "[".repeat(1 << 20) + &"]".repeat(1 << 20);
    for origin in ALL {
        why(origin, &deep);
        let _ = read(origin, &format!(r#"{{"Records":{deep},"detail":{deep},"body":{deep}}}"#));
    }
    let body = bridged(|_| ()).replace(r#"{"version":"0"}"#, &deep);
    assert_eq!(one(Origin::EventBridge, &body).data().unwrap().len(), deep.len());
}

proptest! {
    #[test]
    fn whatever_the_bytes_nothing_panics(origin in 0..ALL.len(), body: Vec<u8>) {
        let _ = events(ALL[origin], &HeaderMap::new(), &body.into(), None);
    }

    #[test]
    fn an_event_can_be_written_and_read_and_its_data_is_a_part_of_what_came(
        id: String, source: String, ty: String, time: String, resource: String, text: String,
    ) {
        let body = json!({
            "id": id, "source": source, "detail-type": ty, "time": time, "resources": [resource], "detail": {"a": text},
        })
        .to_string();
        for item in read(Origin::EventBridge, &body).unwrap() {
            match item {
                Ok(event) => {
                    prop_assert!(body.contains(std::str::from_utf8(event.data().unwrap()).unwrap()));
                    prop_assert_eq!(json::decode(json::encode(&event)).unwrap(), event);
                }
                Err(malformed) => prop_assert!(!malformed.why.contains('\n')),
            }
        }
    }
}
