//! What one request holds. Pure.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use outrigger_core::{
    Error, Event, Invalid, Malformed, Result,
    event::{
        Format, Postmark,
        http::{self as binary, Mode},
        json,
    },
};
use serde::{
    Deserialize, Deserializer as _,
    de::{SeqAccess, Visitor},
};
use serde_json::{Deserializer, value::RawValue};

use crate::schema;

const EVENT_TYPE: &str = "aeg-event-type";
const VALIDATION: &str = "Microsoft.EventGrid.SubscriptionValidationEvent";
const DELETION: &str = "Microsoft.EventGrid.SubscriptionDeletedEvent";

/// What Azure tells about a delivery: headers, and the attributes that keep them.
const TOLD: [(&str, &str); 6] = [
    (EVENT_TYPE, "aegeventtype"),
    ("aeg-subscription-name", "aegsubscriptionname"),
    ("aeg-delivery-count", "aegdeliverycount"),
    ("aeg-data-version", "aegdataversion"),
    ("aeg-metadata-version", "aegmetadataversion"),
    ("aeg-output-event-id", "aegoutputeventid"),
];

/// What a request holds.
#[derive(Debug)]
pub(super) enum Read {
    /// Events, and what should have been some.
    Events(Vec<Result<Event, Malformed>>),
    /// Azure asks whether a subscription is wanted.
    Validation {
        /// What is answered.
        code: Option<String>,
        /// What is followed instead.
        url: Option<String>,
    },
    /// Azure tells that this subscription is gone.
    Deletion(String),
}

/// Reads a request.
///
/// # Errors
/// Status 413 when it has more than `events_max` members. Whatever else is wrong with it is malformed, and kept.
pub(super) fn request(headers: &HeaderMap, body: &Bytes, events_max: usize) -> Result<Read> {
    let members = match members(headers, body, events_max) {
        Ok(members) => members,
        Err(Unread::TooMany) => {
            let detail = format!("the batch has more than {events_max} events");
            return Err(Error::status(413, None, detail));
        }
        Err(Unread::Malformed(why)) => vec![Err((body.clone(), why))],
    };
    if let [Ok(event)] = &members[..]
        && let Some(about) = about_subscription(headers, event)
    {
        return Ok(about);
    }
    let told = told(headers);
    let several = members.len() > 1;
    let items = members.into_iter().map(|member| match member {
        Ok(event) => Ok(kept(event, told.as_ref(), several)),
        Err((raw, why)) => Err(malformed(headers, &raw, &why)),
    });
    Ok(Read::Events(items.collect()))
}

type Member = Result<Event, (Bytes, Invalid)>;

/// Why there are no members.
enum Unread {
    TooMany,
    Malformed(Invalid),
}

fn members(headers: &HeaderMap, body: &Bytes, events_max: usize) -> Result<Vec<Member>, Unread> {
    let is_list = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let one = |event: Result<Event, Invalid>| vec![event.map_err(|why| (body.clone(), why))];
    let mode = binary::mode(headers).map_err(Unread::Malformed)?;
    match mode {
        Mode::Binary if headers.contains_key("ce-specversion") => {
            Ok(one(binary::decode(headers, body.clone())))
        }
        Mode::Binary if is_list => {
            let members = raw_members(body, events_max)?;
            Ok(members.into_iter().map(|raw| schema::decode(&raw).map_err(|why| (raw, why))).collect())
        }
        Mode::Binary => Ok(one(schema::decode(body))),
        // Event Grid calls a batch structured.
        Mode::Structured(Format::Json) | Mode::Batch(Format::Json) if is_list => {
            let members = json::decode_batch(body.clone()).map_err(Unread::Malformed)?;
            if members.len() > events_max { Err(Unread::TooMany) } else { Ok(members) }
        }
        Mode::Structured(Format::Json) | Mode::Batch(Format::Json) => Ok(one(json::decode(body.clone()))),
        // It never sends these.
        Mode::Structured(Format::Protobuf) => Ok(one(Format::Protobuf.decode(body.clone()))),
        Mode::Batch(Format::Protobuf) => {
            let members = Format::Protobuf.decode_batch(body.clone()).map_err(Unread::Malformed)?;
            if members.len() > events_max { Err(Unread::TooMany) } else { Ok(members) }
        }
    }
}

/// The members of a JSON array, each as its bytes.
fn raw_members(body: &Bytes, events_max: usize) -> Result<Vec<Bytes>, Unread> {
    struct Members<'m, 'a>(&'m mut Vec<&'a RawValue>, usize);
    impl<'a> Visitor<'a> for Members<'_, 'a> {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of events")
        }

        fn visit_seq<S: SeqAccess<'a>>(self, mut json: S) -> Result<bool, S::Error> {
            while let Some(member) = json.next_element()? {
                if self.0.len() == self.1 {
                    while json.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                    return Ok(false);
                }
                self.0.push(member);
            }
            Ok(true)
        }
    }
    let mut members = Vec::new();
    let mut json = Deserializer::from_slice(body);
    let all =
        json.deserialize_seq(Members(&mut members, events_max)).and_then(|all| json.end().map(|()| all));
    match all {
        Ok(true) => Ok(members.into_iter().map(|raw| body.slice_ref(raw.get().as_bytes())).collect()),
        Ok(false) => Err(Unread::TooMany),
        Err(error) => Err(Unread::Malformed(Invalid::says("batch", &format!("is malformed: {error}")))),
    }
}

/// What an event tells about its subscription, unless it says that it is an event like any other.
fn about_subscription(headers: &HeaderMap, event: &Event) -> Option<Read> {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    struct About {
        validation_code: Option<String>,
        validation_url: Option<String>,
        event_subscription_id: Option<String>,
    }
    let kind = headers.get(EVENT_TYPE).map(HeaderValue::as_bytes);
    if kind.is_some_and(|kind| kind.eq_ignore_ascii_case(b"Notification")) {
        return None;
    }
    let about =
        || -> About { event.data().and_then(|data| serde_json::from_slice(data).ok()).unwrap_or_default() };
    match event.ty() {
        VALIDATION => {
            let About { validation_code: code, validation_url: url, .. } = about();
            Some(Read::Validation { code, url })
        }
        DELETION => {
            Some(Read::Deletion(about().event_subscription_id.unwrap_or_else(|| event.source().to_owned())))
        }
        _ => None,
    }
}

/// What every event of the request is told about its delivery.
fn told(headers: &HeaderMap) -> Option<Postmark> {
    let of = |(header, attribute): &(&'static str, &'static str)| {
        let value = headers.get(*header)?.to_str().ok()?;
        Some((*attribute, value)).filter(|_| !value.is_empty())
    };
    // A header's printable text is always a String, and no name is there twice.
    Postmark::new(TOLD.iter().filter_map(of)).ok()
}

/// The event with what was told about its delivery, and with a payload of its own: a slice would keep the whole batch in
/// memory until its last member is done.
fn kept(mut event: Event, told: Option<&Postmark>, several: bool) -> Event {
    if let Some(told) = told {
        event.postmark(told);
    }
    if several {
        event.own_data();
    }
    event
}

/// With the headers that explain it, never credentials.
fn malformed(headers: &HeaderMap, raw: &Bytes, why: &Invalid) -> Malformed {
    let explains = |name: &str| {
        name == CONTENT_TYPE.as_str() || name.starts_with("ce-") || TOLD.iter().any(|(told, _)| *told == name)
    };
    let headers = headers.iter().filter(|(name, _)| explains(name.as_str()));
    let headers =
        headers.map(|(name, value)| (name.as_str().to_owned(), Bytes::copy_from_slice(value.as_bytes())));
    Malformed {
        raw: Bytes::copy_from_slice(raw),
        headers: headers.collect(),
        key: None,
        why: why.to_string(),
    }
}
