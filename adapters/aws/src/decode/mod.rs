//! From what a service of AWS sends to events. Pure.
//!
//! Where the CloudEvents project has an adapter (S3, SNS), its mapping holds; where it has none, the names follow its
//! example: `com.amazonaws.<service>.<what happened>`. EventBridge has types of its own, and keeps them. The data is a part
//! of what came, byte for byte: nothing is parsed and written again.

mod eventbridge;
mod lambda;
mod part;
mod records;
mod s3;
mod sns;
mod sqs;

use bytes::Bytes;
use http::HeaderMap;
use outrigger_core::{Event, Invalid, Malformed};

use self::part::Part;

/// What sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Amazon EventBridge, by an API destination.
    EventBridge,
    /// Notifications of Amazon S3, or of a store that speaks as it does.
    S3,
    /// Amazon SNS, by a subscription over HTTPS.
    Sns,
    /// Messages of Amazon SQS, by a pipe of EventBridge, or as its API hands them out.
    Sqs,
    /// A trigger of AWS Lambda: what a function would be invoked with.
    Lambda,
}

/// A member of what was sent: an event, or what should have been one.
pub type Member = Result<Event, Malformed>;

/// The most members of one document; more are no batch of any of these services.
pub const MEMBERS_MAX: usize = 65_536;

/// Reads what `origin` sent: its events in their order, and what of them is none. `queue` is the source of messages of SQS
/// that do not name their queue.
///
/// # Errors
/// When the document as a whole is not what `origin` sends, or none of its members can be told apart.
pub fn events(
    origin: Origin,
    headers: &HeaderMap,
    body: &Bytes,
    queue: Option<&str>,
) -> Result<Vec<Member>, Invalid> {
    if origin == Origin::Sns && sns::is_raw(headers) {
        return Ok(vec![sns::raw(headers, body).map_err(|why| malformed(body, &why))]);
    }
    let whole = Part::whole(body)?;
    match origin {
        Origin::EventBridge => members(&whole, "", eventbridge::event),
        Origin::S3 if s3::is_test(&whole) => Ok(vec![s3::test(&whole).map_err(|why| malformed(body, &why))]),
        Origin::S3 => members(&whole, "Records", s3::event),
        Origin::Sns => members(&whole, "Records", |part| sns::event(part, headers)),
        Origin::Sqs => {
            let list = if whole.has(&["Messages"]) { "Messages" } else { "Records" };
            members(&whole, list, |part| sqs::event(part, queue))
        }
        Origin::Lambda => lambda::events(&whole),
    }
}

/// The events of a list that is the document, or is its member of this name; without either the document is the only one.
fn members(
    whole: &Part,
    list: &str,
    decode: impl Fn(&Part) -> Result<Event, Invalid>,
) -> Result<Vec<Member>, Invalid> {
    let list = if whole.is_list() { Some(whole.clone()) } else { whole.part(&[list]).filter(Part::is_list) };
    let parts = match list {
        Some(list) => list.list()?,
        None => vec![whole.clone()],
    };
    Ok(parts.iter().map(|part| decode(part).map_err(|why| malformed(part.bytes(), &why))).collect())
}

/// What was sent and is no event, with the reason why.
pub(crate) fn malformed(raw: &Bytes, why: &Invalid) -> Malformed {
    Malformed { raw: Bytes::copy_from_slice(raw), headers: Vec::new(), key: None, why: why.to_string() }
}

#[cfg(test)]
mod tests;
