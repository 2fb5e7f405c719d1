//! Every public payload becomes the events that its golden file says, with its bytes as they are.

use std::{
    fmt::Write as _,
    fs::File,
    io::{BufRead as _, BufReader},
};

use flate2::read::GzDecoder;
use outrigger_core::{Event, event::json};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::{here, is_current, normalize};

/// A payload of the public data.
#[derive(Deserialize)]
struct Payload {
    file: String,
    body: Box<RawValue>,
}

/// How a payload is handed to the command.
struct Call {
    from: &'static str,
    input: String,
}

fn payloads(test: &str, name: &str) -> Option<Vec<Payload>> {
    let path = outrigger_testkit::shared(test, &format!("data/events/{name}.jsonl.gz"))?;
    let lines = BufReader::new(GzDecoder::new(File::open(path).unwrap())).lines();
    Some(lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect())
}

/// Compares what the calls come to with the golden file of this name.
fn compare(name: &str, payloads: &[Payload], call: impl Fn(&Payload) -> Call) {
    let mut golden = String::new();
    for payload in payloads {
        let Call { from, input } = call(payload);
        let more: &[&str] =
            if from == "pubsub-push" { &["--topic", "projects/my-project/topics/my-topic"] } else { &[] };
        let lines = normalize(&[&["--from", from], more].concat(), &input);
        let events: Vec<_> = lines.iter().map(|line| summary(line, payload)).collect();
        assert!(!events.is_empty(), "{}", payload.file);
        writeln!(
            golden,
            r#"{{"file":{},"from":"{from}","is":[{}]}}"#,
            Value::from(&*payload.file),
            events.join(",")
        )
        .unwrap();
    }
    is_current(&here(&format!("golden/{name}.jsonl")), &golden);
}

/// The attributes by which an event is known, or the reason why there is none. Its data must be a part of the payload.
fn summary(line: &str, payload: &Payload) -> String {
    if let Some(raw) = json::member(line, &["error"]) {
        return format!(r#"{{"error":{raw}}}"#);
    }
    let event = json::decode(line.to_owned().into()).unwrap_or_else(|why| panic!("{line}: {why}"));
    unchanged(&event, payload);
    let text = |text: Option<&str>| text.map_or(Value::Null, Value::from);
    format!(
        r#"{{"id":{},"source":{},"type":{},"subject":{},"time":{}}}"#,
        text(Some(event.id())),
        text(Some(event.source())),
        text(Some(event.ty())),
        text(event.subject()),
        text(event.time()),
    )
}

fn unchanged(event: &Event, payload: &Payload) {
    let data = std::str::from_utf8(event.data().unwrap()).unwrap();
    let is_there = payload.body.get().contains(data);
    // A body of SQS and a value of Kafka stand in it as text that is written in another way.
    let is_written = || payload.body.get().contains(Value::from(data).to_string().trim_matches('"'));
    let is_encoded = || {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        payload.body.get().contains(&STANDARD.encode(data))
    };
    let is_googles = event.ty() == "google.cloud.pubsub.topic.v1.messagePublished";
    assert!(is_there || is_written() || is_encoded() || is_googles, "{}: {data}", payload.file);
}

#[test]
fn every_webhook_of_github_becomes_the_event_of_its_golden_line() {
    let test = "every_webhook_of_github_becomes_the_event_of_its_golden_line";
    let Some(payloads) = payloads(test, "github-webhooks") else { return };
    assert_eq!(payloads.len(), 273);
    compare("github-webhooks", &payloads, |Payload { file, body }| {
        // The folder is the event's name; the file stands for the delivery, which no payload names.
        let (event, _) = file.split_once('/').unwrap();
        let headers = serde_json::json!({"X-GitHub-Event": event, "X-GitHub-Delivery": file});
        Call { from: "github", input: format!(r#"{{"headers":{headers},"body":{body}}}"#) }
    });
}

/// The origin of AWS that a payload is of: its own where it has one, else a trigger of Lambda.
fn service(file: &str, body: &str) -> &'static str {
    let has = |part: &str| file.contains(part);
    if json::member(body, &["detail-type"]).is_some() {
        "eventbridge"
    } else if has("s3-event") && !has("ses") {
        "s3"
    } else if (has("sns-event") || has("sns-payload")) && !has("ses") {
        "sns"
    } else if has("sqs-event") || has("sqs-api") {
        "sqs"
    } else {
        "lambda"
    }
}

#[test]
fn every_payload_of_aws_becomes_the_events_of_its_golden_line() {
    let test = "every_payload_of_aws_becomes_the_events_of_its_golden_line";
    let Some(payloads) = payloads(test, "aws-lambda") else { return };
    assert_eq!(payloads.len(), 145);
    let call =
        |Payload { file, body }: &Payload| Call { from: service(file, body.get()), input: body.to_string() };
    compare("aws-lambda", &payloads, call);
    // A function that is invoked with it gets the same.
    for Payload { file, body } in payloads.iter().filter(|it| !it.file.contains("sqs-api")) {
        let own = normalize(&["--from", service(file, body.get())], body.get());
        assert_eq!(normalize(&["--from", "lambda"], body.get()), own, "{file}");
    }
}

/// How Eventarc names what a payload of Google is: its folder, the type, and how source, subject and time follow from it.
type Named = (&'static str, &'static str, fn(&Value) -> (String, Option<String>, Option<String>));

const GOOGLE: &[Named] = &[
    ("cloud/audit/v1", "google.cloud.audit.log.v1.written", |log| {
        let project = text(log, "/resource/labels/project_id");
        let service = text(log, "/protoPayload/serviceName");
        let resource = log.pointer("/protoPayload/resourceName").and_then(Value::as_str);
        (
            format!("//cloudaudit.googleapis.com/projects/{project}/logs/{}", last(&text(log, "/logName"))),
            resource.map(|resource| format!("{service}/{resource}")),
            at(log, "/timestamp"),
        )
    }),
    ("cloud/cloudbuild/v1", "google.cloud.cloudbuild.build.v1.statusChanged", |build| {
        let project = build.pointer("/projectId").and_then(Value::as_str).unwrap_or("-");
        (
            format!("//cloudbuild.googleapis.com/projects/{}/builds", plain(project)),
            None,
            at(build, "/createTime"),
        )
    }),
    ("cloud/firestore/v1", "google.cloud.firestore.document.v1.written", |change| {
        let name = text(change, "/value/name");
        let (database, document) = name.split_once("/documents/").unwrap();
        (
            format!("//firestore.googleapis.com/{database}"),
            Some(format!("documents/{document}")),
            at(change, "/value/updateTime"),
        )
    }),
    ("cloud/scheduler/v1", "google.cloud.scheduler.job.v1.executed", |_| {
        ("//cloudscheduler.googleapis.com/projects/-/locations/-/jobs/-".to_owned(), None, None)
    }),
    ("cloud/storage/v1", "google.cloud.storage.object.v1.finalized", |object| {
        let (bucket, name) = (text(object, "/bucket"), text(object, "/name"));
        (
            format!("//storage.googleapis.com/projects/_/buckets/{bucket}"),
            Some(format!("objects/{name}")),
            at(object, "/updated"),
        )
    }),
    ("firebase/analytics/v1", "google.firebase.analytics.log.v1.written", |log| {
        let app = text(log, "/userDim/appInfo/appId");
        (format!("//firebaseanalytics.googleapis.com/projects/-/apps/{app}"), None, None)
    }),
    ("firebase/auth/v1", "google.firebase.auth.user.v1.created", |user| {
        let subject = format!("users/{}", text(user, "/uid"));
        (
            "//firebaseauth.googleapis.com/projects/-".to_owned(),
            Some(subject),
            at(user, "/metadata/createTime"),
        )
    }),
    ("firebase/database/v1", "google.firebase.database.ref.v1.written", |_| {
        ("//firebasedatabase.googleapis.com/projects/_/locations/-/instances/-".to_owned(), None, None)
    }),
    ("firebase/firebasealerts/v1", "google.firebase.firebasealerts.alerts.v1.published", |alert| {
        ("//firebasealerts.googleapis.com/projects/-".to_owned(), None, at(alert, "/createTime"))
    }),
    ("firebase/remoteconfig/v1", "google.firebase.remoteconfig.remoteConfig.v1.updated", |config| {
        ("//firebaseremoteconfig.googleapis.com/projects/-".to_owned(), None, at(config, "/updateTime"))
    }),
    ("firebase/testlab/v1", "google.firebase.testlab.testMatrix.v1.completed", |matrix| {
        let subject = format!("testMatrices/{}", text(matrix, "/testMatrixId"));
        ("//firebasetestlab.googleapis.com/projects/-".to_owned(), Some(subject), at(matrix, "/createTime"))
    }),
];

fn text(json: &Value, pointer: &str) -> String {
    let found = json.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("{pointer}: {json}")).to_owned()
}

fn at(json: &Value, pointer: &str) -> Option<String> {
    json.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

fn last(path: &str) -> &str {
    path.rsplit(['/', '%']).next().unwrap_or(path).trim_start_matches("2F")
}

fn plain(text: &str) -> String {
    text.replace(' ', "-")
}

/// Google's samples are the data of its own `CloudEvents`: what Pub/Sub pushes comes in its envelope, the rest by Eventarc,
/// in the binary mode, with attributes as its documentation names them.
#[test]
fn every_payload_of_google_becomes_the_event_of_its_golden_line() {
    let test = "every_payload_of_google_becomes_the_event_of_its_golden_line";
    let Some(payloads) = payloads(test, "google") else { return };
    assert_eq!(payloads.len(), 19);
    compare("google", &payloads, |Payload { file, body }| {
        if file.contains("cloud/pubsub/") {
            return Call { from: "pubsub-push", input: body.to_string() };
        }
        let (_, ty, follow) = GOOGLE.iter().find(|(folder, ..)| file.contains(folder)).unwrap();
        let (source, subject, time) = follow(&serde_json::from_str(body.get()).unwrap());
        let mut headers = serde_json::json!({
            "ce-specversion": "1.0", "ce-id": file, "ce-source": source, "ce-type": ty, "content-type": "application/json",
        });
        for (name, text) in [("ce-subject", subject), ("ce-time", time)] {
            if let Some(text) = text {
                headers[name] = text.replace('%', "%25").replace(' ', "%20").into();
            }
        }
        Call { from: "http", input: format!(r#"{{"headers":{headers},"body":{body}}}"#) }
    });
}
