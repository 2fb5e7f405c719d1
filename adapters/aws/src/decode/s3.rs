//! Notifications of Amazon S3, by the adapter of the CloudEvents project (`adapters/aws-s3.md`).
//!
//! The data is the record; the subject is the object's key, encoded as S3 writes it. The id is that of the request. One
//! request may delete many keys, which are as many events: the id of such an event has the key behind the request's,
//! which the adapter has not, as two events of one source and id would be one to whoever looks for duplicates. A record
//! without a request (an expiry) has its key and `sequencer` as its id. The message by which S3 tries a new notification
//! is an event of type `com.amazonaws.s3.TestEvent`.

use outrigger_core::{Event, Invalid};

use super::part::{Part, set, timestamp};

const EVERY: &str = "every record of S3";
const PREFIX: &str = "com.amazonaws.s3.";
const REMOVED: &str = "ObjectRemoved:";

/// Reads a record.
///
/// # Errors
/// When something is missing that every record has, or an attribute breaks a rule of the specification.
pub(super) fn event(part: &Part) -> Result<Event, Invalid> {
    let from = part.needed(&["eventSource"], EVERY)?;
    let region = part.needed(&["awsRegion"], EVERY)?;
    let bucket = part.needed(&["s3", "bucket", "name"], EVERY)?;
    let name = part.needed(&["eventName"], EVERY)?;
    let key = part.needed(&["s3", "object", "key"], EVERY)?;
    let source = format!("{from}.{region}.{bucket}");
    let name = name.strip_prefix("s3:").unwrap_or(&name); // some stores write it so
    let id = id(part, &key, name.starts_with(REMOVED))?;
    let mut event = part.event(&id, &source, &[PREFIX, name].concat())?;
    set(&mut event, "subject", Some(key))?;
    set(&mut event, "time", part.text(&["eventTime"]).map(timestamp))?;
    Ok(event)
}

fn id(part: &Part, key: &str, is_one_of_many: bool) -> Result<String, Invalid> {
    let own = if is_one_of_many { [".", key].concat() } else { String::new() };
    let of = |name: &str| part.text(&["responseElements", name]);
    match (of("x-amz-request-id"), of("x-amz-id-2")) {
        (Some(request), Some(host)) => Ok(format!("{request}.{host}{own}")),
        (Some(request), None) => Ok(format!("{request}{own}")),
        (None, _) => {
            let sequencer = part.needed(&["s3", "object", "sequencer"], "a record without a request")?;
            Ok(format!("{key}.{sequencer}"))
        }
    }
}

/// Whether it is the message by which S3 tries a notification.
pub(super) fn is_test(part: &Part) -> bool {
    part.text(&["Event"]).is_some_and(|event| event == "s3:TestEvent")
}

/// That as an event.
///
/// # Errors
/// As for a record.
pub(super) fn test(part: &Part) -> Result<Event, Invalid> {
    let every = "the test event of S3";
    let (request, host) = (part.needed(&["RequestId"], every)?, part.needed(&["HostId"], every)?);
    let source = format!("aws:s3.{}", part.needed(&["Bucket"], every)?);
    let mut event = part.event(&format!("{request}.{host}"), &source, &[PREFIX, "TestEvent"].concat())?;
    set(&mut event, "time", part.text(&["Time"]).map(timestamp))?;
    Ok(event)
}
