//! Records of a Lambda trigger: each says by its `eventSource` whose it is.
//!
//! | `eventSource` | id | source | type | subject | time |
//! |---|---|---|---|---|---|
//! | `aws:s3`, `aws:sns`, `aws:sqs` | as each service's own origin has it | | | | |
//! | `aws:dynamodb` | `eventID` | the stream's ARN, else `aws:dynamodb.<region>.<table>` | `com.amazonaws.dynamodb.<eventName>` | | when the change was made |
//! | `aws:kinesis` | `eventID` | the stream's ARN | `com.amazonaws.kinesis.record` | | when the record arrived |
//! | `aws:codecommit` | `eventId` | the repository's ARN | `com.amazonaws.codecommit.<eventName>` | the trigger's name | `eventTime` |
//! | `aws:ses` | the mail's `messageId` | `aws:ses` | `com.amazonaws.ses.Received` | | when the mail was received |
//!
//! The data is the record. The partition key of a record of Kinesis, within which it is in order, is the `partitionkey`.

use http::HeaderMap;
use outrigger_core::{Event, Invalid};

use super::{
    part::{Part, set, since_1970, timestamp},
    s3, sns, sqs,
};

/// Reads one.
///
/// # Errors
/// When it is none that is known, something is missing that each of its kind has, or an attribute breaks a rule of the
/// specification.
pub(super) fn event(part: &Part) -> Result<Event, Invalid> {
    let from = part.text(&["eventSource"]).or_else(|| part.text(&["EventSource"]));
    let from = from.ok_or_else(|| Invalid::says("eventSource", "is missing; every record has it"))?;
    match &*from {
        "aws:sns" => sns::event(part, &HeaderMap::new()),
        "aws:sqs" => sqs::event(part, None),
        "aws:dynamodb" => dynamodb(part),
        "aws:kinesis" => kinesis(part),
        "aws:codecommit" => codecommit(part),
        "aws:ses" => ses(part),
        s3 if s3.ends_with(":s3") => s3::event(part),
        other => Err(Invalid::new("eventSource", other, "a service whose records are events here")),
    }
}

fn dynamodb(part: &Part) -> Result<Event, Invalid> {
    let every = "every record of DynamoDB";
    let id = part.needed(&["eventID"], every)?;
    let name = part.needed(&["eventName"], every)?;
    let source = if let Some(arn) = part.text(&["eventSourceARN"]) {
        arn.into_owned()
    } else {
        let (region, table) = (part.needed(&["awsRegion"], every)?, part.needed(&["tableName"], every)?);
        format!("aws:dynamodb.{region}.{table}")
    };
    let mut event = part.event(&id, &source, &format!("com.amazonaws.dynamodb.{name}"))?;
    let changed = part.text(&["dynamodb", "ApproximateCreationDateTime"]);
    set(&mut event, "time", changed.map(|seconds| since_1970(&seconds, 1)).transpose()?)?;
    Ok(event)
}

fn kinesis(part: &Part) -> Result<Event, Invalid> {
    let every = "every record of Kinesis";
    let (id, source) = (part.needed(&["eventID"], every)?, part.needed(&["eventSourceARN"], every)?);
    let mut event = part.event(&id, &source, "com.amazonaws.kinesis.record")?;
    let arrived = part.text(&["kinesis", "approximateArrivalTimestamp"]);
    set(&mut event, "time", arrived.map(|seconds| since_1970(&seconds, 1)).transpose()?)?;
    set(&mut event, "partitionkey", part.text(&["kinesis", "partitionKey"]))?;
    Ok(event)
}

fn codecommit(part: &Part) -> Result<Event, Invalid> {
    let every = "every record of CodeCommit";
    let (id, source) = (part.needed(&["eventId"], every)?, part.needed(&["eventSourceARN"], every)?);
    let ty = format!("com.amazonaws.codecommit.{}", part.needed(&["eventName"], every)?);
    let mut event = part.event(&id, &source, &ty)?;
    set(&mut event, "subject", part.text(&["eventTriggerName"]))?;
    set(&mut event, "time", part.text(&["eventTime"]).map(timestamp))?;
    Ok(event)
}

fn ses(part: &Part) -> Result<Event, Invalid> {
    let id = part.needed(&["ses", "mail", "messageId"], "every record of SES")?;
    let mut event = part.event(&id, "aws:ses", "com.amazonaws.ses.Received")?;
    set(&mut event, "time", part.text(&["ses", "mail", "timestamp"]).map(timestamp))?;
    Ok(event)
}
