//! What a trigger of AWS Lambda invokes a function with: told apart by its members, as it does not say what it is.
//!
//! Records, events of EventBridge, records of Kafka, messages of Amazon MQ and changes of DocumentDB become events, and so
//! does each of [`SHAPES`]. What only asks a function for an answer (a request of API Gateway, a hook of Cognito) is no
//! event, and is refused by its name; so are answers of functions, and what has nothing by which one of it could be told
//! from the next.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use outrigger_core::{Event, Invalid, Value, event::kafka};
use serde::Deserialize;

use super::{
    Member, eventbridge, malformed,
    part::{Part, set, since_1970, timestamp},
    records,
};

/// A document that is one event.
struct Shape {
    /// The members by which it is known.
    has: &'static [&'static [&'static str]],
    /// The members whose texts are its id, joined by `/`.
    id: &'static [&'static [&'static str]],
    /// The member that is its source, or else the text.
    source: Result<&'static [&'static str], &'static str>,
    /// The type, and the member whose text follows it.
    ty: (&'static str, Option<&'static [&'static str]>),
    subject: Option<&'static [&'static str]>,
    time: Option<&'static [&'static str]>,
}

/// The documents that are one event, by AWS's documentation of each service's trigger.
const SHAPES: &[Shape] = &[
    // CloudTrail: a record of its log.
    Shape {
        has: &[&["eventVersion"], &["eventSource"], &["eventName"], &["eventID"]],
        id: &[&["eventID"]],
        source: Ok(&["eventSource"]),
        ty: ("com.amazonaws.cloudtrail.", Some(&["eventName"])),
        subject: None,
        time: Some(&["eventTime"]),
    },
    // CloudWatch: an action of an alarm.
    Shape {
        has: &[&["alarmArn"], &["alarmData", "state"]],
        id: &[&["alarmArn"], &["alarmData", "state", "timestamp"]],
        source: Ok(&["alarmArn"]),
        ty: ("com.amazonaws.cloudwatch.alarm.", Some(&["alarmData", "state", "value"])),
        subject: Some(&["alarmData", "alarmName"]),
        time: Some(&["time"]),
    },
    Shape {
        has: &[&["CodePipeline.job"]],
        id: &[&["CodePipeline.job", "id"]],
        source: Err("aws:codepipeline"),
        ty: ("com.amazonaws.codepipeline.job", None),
        subject: Some(&["CodePipeline.job", "accountId"]),
        time: None,
    },
    Shape {
        has: &[&["DeploymentId"], &["LifecycleEventHookExecutionId"]],
        id: &[&["LifecycleEventHookExecutionId"]],
        source: Err("aws:codedeploy"),
        ty: ("com.amazonaws.codedeploy.LifecycleEventHook", None),
        subject: Some(&["DeploymentId"]),
        time: None,
    },
    // CloudFormation: a custom resource, which is answered later and elsewhere.
    Shape {
        has: &[&["RequestType"], &["RequestId"], &["StackId"], &["ResourceType"]],
        id: &[&["RequestId"]],
        source: Ok(&["StackId"]),
        ty: ("com.amazonaws.cloudformation.CustomResource.", Some(&["RequestType"])),
        subject: Some(&["LogicalResourceId"]),
        time: None,
    },
    // Secrets Manager: a step of a rotation.
    Shape {
        has: &[&["Step"], &["SecretId"], &["ClientRequestToken"]],
        id: &[&["ClientRequestToken"], &["Step"]],
        source: Ok(&["SecretId"]),
        ty: ("com.amazonaws.secretsmanager.", Some(&["Step"])),
        subject: None,
        time: None,
    },
    Shape {
        has: &[&["deviceEvent", "buttonClicked"], &["deviceInfo", "deviceId"]],
        id: &[&["deviceInfo", "deviceId"], &["deviceEvent", "buttonClicked", "reportedTime"]],
        source: Err("aws:iot1click"),
        ty: ("com.amazonaws.iot1click.", Some(&["deviceEvent", "buttonClicked", "clickType"])),
        subject: Some(&["deviceInfo", "deviceId"]),
        time: Some(&["deviceEvent", "buttonClicked", "reportedTime"]),
    },
    // AWS Config: a rule of one's own, which tells its result by the token.
    Shape {
        has: &[&["invokingEvent"], &["configRuleArn"], &["resultToken"]],
        id: &[&["resultToken"]],
        source: Ok(&["configRuleArn"]),
        ty: ("com.amazonaws.config.RuleEvaluation", None),
        subject: Some(&["configRuleName"]),
        time: None,
    },
];

/// What is no event: the members by which it is known, and what it is.
const OTHERS: &[(&[&[&str]], &str)] = &[
    (&[&["methodArn"]], "is a request of an authorizer of API Gateway, which waits for an answer"),
    (&[&["routeArn"]], "is a request of an authorizer of API Gateway, which waits for an answer"),
    (&[&["requestContext", "elb"]], "is a request of a load balancer, which waits for an answer"),
    (
        &[&["requestContext", "queryString"]],
        "is a request of an authorizer of AppSync, which waits for an answer",
    ),
    (
        &[&["requestContext", "queryString"], &["authorizationToken"]],
        "is a request of AppSync, which waits for an answer",
    ),
    (&[&["authorizationToken"]], "is a request of an authorizer of AppSync, which waits for an answer"),
    (&[&["requestContext"]], "is a request of API Gateway, which waits for an answer"),
    (&[&["httpMethod"], &["headers"]], "is a request of API Gateway, which waits for an answer"),
    (&[&["triggerSource"], &["userPoolId"]], "is a hook of Cognito, which waits for an answer"),
    (&[&["datasetName"], &["identityPoolId"]], "is a hook of Cognito, which waits for an answer"),
    (&[&["xAmzRequestId"]], "is a request of S3 Object Lambda, which waits for an answer"),
    (&[&["messageVersion"], &["agent"]], "is a request of an agent of Bedrock, which waits for an answer"),
    (&[&["currentIntent"], &["bot"]], "is a request of Lex, which waits for an answer"),
    (&[&["Details", "ContactData"]], "is a request of Amazon Connect, which waits for an answer"),
    (&[&["connection-id"], &["endpoint-id"]], "is a request of Client VPN, which waits for an answer"),
    (&[&["protocolData"]], "is a request of an authorizer of AWS IoT, which waits for an answer"),
    (
        &[&["invocationId"], &["deliveryStreamArn"]],
        "is a request of Firehose to transform records, which waits for an answer",
    ),
    (&[&["operation"], &["payload"]], "is a request of AppSync, which waits for an answer"),
    (&[&["info"], &["arguments"]], "is a request of AppSync, which waits for an answer"),
    (&[&["awslogs", "data"]], "is packed by CloudWatch Logs, so that nothing tells one from the next"),
    (
        &[&["serialNumber"], &["clickType"]],
        "is a click of an IoT button, of which nothing tells one from the next",
    ),
    (&[&["statusCode"]], "is a function's answer to a request"),
    (&[&["policyDocument"]], "is a function's answer to an authorizer"),
    (&[&["policyDocuments"]], "is a function's answer to an authorizer"),
    (&[&["isAuthorized"]], "is a function's answer to an authorizer"),
    (&[&["dialogAction"]], "is a function's answer to Lex"),
    (&[&["batchItemFailures"]], "is a function's answer to a batch"),
    (&[&["PhysicalResourceId"]], "is a function's answer to CloudFormation"),
    (&[&["records"]], "is a function's answer to Firehose"),
    (&[&["accountId"], &["cognitoIdentityId"]], "is who somebody is, a part of a request of AppSync"),
    (&[&["sub"], &["issuer"]], "is who somebody is, a part of a request of AppSync"),
];

/// Reads the events of an invocation.
///
/// # Errors
/// When it is none that is known, with what it is instead where that is known.
pub(super) fn events(whole: &Part) -> Result<Vec<Member>, Invalid> {
    if whole.is_list() {
        return Ok(each(&whole.list()?, records::event));
    }
    if let Some(records) = whole.part(&["Records"]).filter(Part::is_list) {
        return Ok(each(&records.list()?, records::event));
    }
    let one = |event: Result<Event, Invalid>| Ok(vec![event.map_err(|why| malformed(whole.bytes(), &why))]);
    if eventbridge::is(whole) {
        return one(eventbridge::event(whole));
    }
    match whole.text(&["eventSource"]).as_deref() {
        Some("aws:kafka" | "SelfManagedKafka") => {
            let records = whole.part(&["records"]).filter(Part::is_object);
            let records = records.map_or(Ok(Vec::new()), |lists| lists.lists_within())?;
            return Ok(each(&records, kafka_record));
        }
        Some("aws:mq") => return Ok(each(&list(whole, "messages")?, |message| activemq(whole, message))),
        Some("aws:rmq") => {
            let queues = whole.part(&["rmqMessagesByQueue"]).filter(Part::is_object);
            let messages = queues.map_or(Ok(Vec::new()), |lists| lists.lists_within())?;
            return Ok(each(&messages, |message| rabbitmq(whole, message)));
        }
        Some("aws:docdb") => return Ok(each(&list(whole, "events")?, |change| documentdb(whole, change))),
        Some("aws:dynamodb") => return one(records::event(whole)),
        _ => {}
    }
    // One look at the whole, however many shapes are tried.
    let members = whole.members();
    let fits = |has: &[&[&str]]| has.iter().all(|path| members.has(path));
    if let Some(shape) = SHAPES.iter().find(|shape| fits(shape.has)) {
        return one(shape.event(whole));
    }
    let other = OTHERS.iter().find(|(has, _)| fits(has)).map(|(_, what)| *what);
    Err(Invalid::says("lambda", other.unwrap_or("is nothing that a trigger of AWS Lambda is known to send")))
}

fn each(parts: &[Part], decode: impl Fn(&Part) -> Result<Event, Invalid>) -> Vec<Member> {
    parts.iter().map(|part| decode(part).map_err(|why| malformed(part.bytes(), &why))).collect()
}

fn list(whole: &Part, name: &str) -> Result<Vec<Part>, Invalid> {
    whole.part(&[name]).filter(Part::is_list).map_or(Ok(Vec::new()), |list| list.list())
}

impl Shape {
    fn event(&self, whole: &Part) -> Result<Event, Invalid> {
        let every = "every event of its kind";
        let parts = self.id.iter().map(|path| whole.needed(path, every)).collect::<Result<Vec<_>, _>>()?;
        let source = match self.source {
            Ok(path) => whole.needed(path, every)?,
            Err(text) => text.into(),
        };
        let what = self.ty.1.map(|path| whole.needed(path, every)).transpose()?.unwrap_or_default();
        let mut event = whole.event(&parts.join("/"), &source, &[self.ty.0, &what].concat())?;
        set(&mut event, "subject", self.subject.and_then(|path| whole.text(path)))?;
        set(&mut event, "time", self.time.and_then(|path| whole.text(path)).map(timestamp))?;
        Ok(event)
    }
}

/// A record of Kafka, which is the event that the Kafka source makes of it: a `CloudEvent`, or the same few attributes.
fn kafka_record(part: &Part) -> Result<Event, Invalid> {
    let every = "every record of Kafka";
    let bytes = |name: &str| part.text(&[name]).map(|text| unpacked(name, &text)).transpose();
    let (key, value) = (bytes("key")?, bytes("value")?);
    let headers = part.part(&["headers"]).map(|part| headers(&part)).transpose()?.unwrap_or_default();
    let headers = headers.iter().map(|(name, value)| (&**name, Some(&value[..])));
    if let Some(event) = kafka::read(headers, value.as_deref())? {
        return Ok(event);
    }
    let topic = part.needed(&["topic"], every)?;
    let (partition, offset) = (part.needed(&["partition"], every)?, part.needed(&["offset"], every)?);
    let id = format!("{topic}/{partition}/{offset}");
    let mut event = Event::new(&id, &format!("/kafka/{topic}"), "org.apache.kafka.record")?;
    set(&mut event, "time", part.text(&["timestamp"]).map(|ms| since_1970(&ms, 1000)).transpose()?)?;
    let key = key.as_deref().and_then(|key| str::from_utf8(key).ok()).filter(|key| !key.is_empty());
    set(&mut event, "partitionkey", key.filter(|key| !key.contains(char::is_control)))?;
    event.set_data(value.map(Bytes::from));
    Ok(event)
}

/// A list of objects, each a name with the numbers of its bytes.
fn headers(part: &Part) -> Result<Vec<(String, Vec<u8>)>, Invalid> {
    let wrong = |_| Invalid::says("headers", "is no list of names with bytes");
    let list: Vec<BTreeMap<String, Bytesful>> = serde_json::from_slice(part.bytes()).map_err(wrong)?;
    Ok(list.into_iter().flatten().map(|(name, Bytesful(bytes))| (name, bytes)).collect())
}

/// Bytes, of which AWS writes some as if they had a sign.
struct Bytesful(Vec<u8>);

impl<'de> Deserialize<'de> for Bytesful {
    fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let numbers = Vec::<i16>::deserialize(json)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a byte, with or without a sign"
        )]
        Ok(Self(numbers.into_iter().map(|number| number as u8).collect()))
    }
}

fn unpacked(name: &str, text: &str) -> Result<Vec<u8>, Invalid> {
    STANDARD.decode(text).map_err(|error| Invalid::says(name, &format!("is not in base64: {error}")))
}

const MQ_MESSAGE: &str = "com.amazonaws.mq.message";

fn activemq(whole: &Part, message: &Part) -> Result<Event, Invalid> {
    let source = whole.needed(&["eventSourceArn"], "every batch of Amazon MQ")?;
    let id = message.needed(&["messageID"], "every message of ActiveMQ")?;
    let mut event = message.event(&id, &source, MQ_MESSAGE)?;
    set(&mut event, "subject", message.text(&["destination", "physicalName"]))?;
    set(&mut event, "time", message.text(&["timestamp"]).map(|ms| since_1970(&ms, 1000)).transpose()?)?;
    Ok(event)
}

/// Its own time is text in a form that only people read, so it is left out.
fn rabbitmq(whole: &Part, message: &Part) -> Result<Event, Invalid> {
    let source = whole.needed(&["eventSourceArn"], "every batch of Amazon MQ")?;
    let missing = || {
        Invalid::says(
            "messageId",
            "is missing, so nothing tells this message from the next; have its sender set it",
        )
    };
    let id = message.text(&["basicProperties", "messageId"]).ok_or_else(missing)?;
    message.event(&id, &source, MQ_MESSAGE)
}

fn documentdb(whole: &Part, change: &Part) -> Result<Event, Invalid> {
    let every = "every change of DocumentDB";
    let id = change.needed(&["event", "_id", "_data"], every)?;
    let source = whole.needed(&["eventSourceArn"], every)?;
    let ty = format!("com.amazonaws.docdb.{}", change.needed(&["event", "operationType"], every)?);
    let mut event = change.event(&id, &source, &ty)?;
    let of = |name: &str| change.text(&["event", "ns", name]);
    if let Some(database) = of("db") {
        let subject =
            of("coll").map_or_else(|| database.to_string(), |collection| format!("{database}/{collection}"));
        event.set("subject", Value::String(&subject))?;
    }
    let changed = change.text(&["event", "clusterTime", "$timestamp", "t"]);
    set(&mut event, "time", changed.map(|seconds| since_1970(&seconds, 1)).transpose()?)?;
    Ok(event)
}
