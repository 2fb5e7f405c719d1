//! From events to Protobuf.

use base64::{
    Engine, alphabet,
    engine::general_purpose::{GeneralPurpose, PAD},
};
use smallvec::SmallVec;

use super::{
    Event, MESSAGE, TYPE_URL, field, time,
    wire::{bytes_len, put_bytes, put_head, put_number, varint_len},
};
use crate::event::{SPECVERSION, attrs::Attribute, media, value::Kind};

/// Base64 as an attribute may have it, whatever the bits say that no byte needs.
pub(super) const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, PAD.with_decode_allow_trailing_bits(true));
/// Room for heads and names around the texts of a usual event.
const BYTES_AROUND: usize = 96;

pub(super) fn event(event: &Event, out: &mut Vec<u8>) {
    let data = event.data.as_deref().map(|data| Data::of(event, data));
    out.reserve(BYTES_AROUND + event.attributes.heap() + event.data.as_ref().map_or(0, bytes::Bytes::len));
    put_bytes(field::ID, event.id().as_bytes(), out);
    put_bytes(field::SOURCE, event.source().as_bytes(), out);
    put_bytes(field::SPEC_VERSION, SPECVERSION.as_bytes(), out);
    put_bytes(field::TYPE, event.ty().as_bytes(), out);
    for attribute in event.attributes.iter() {
        // What has a field of its own: these, and the type URL where only the data says it.
        let has_field = match (attribute.name, &data) {
            ("id" | "source" | "type", _) => true,
            (TYPE_URL, Some(Data::Message { type_url, .. })) => {
                *type_url == attribute.text && event.dataschema() != Some(attribute.text)
            }
            _ => false,
        };
        if !has_field {
            put_attribute(&attribute, out);
        }
    }
    match data {
        None => {}
        Some(Data::Bytes(data)) => put_bytes(field::BINARY_DATA, data, out),
        Some(Data::Message { type_url, value }) => {
            put_head(field::PROTO_DATA, bytes_len(type_url.len()) + bytes_len(value.len()), out);
            put_bytes(field::TYPE_NAME, type_url.as_bytes(), out);
            put_bytes(field::VALUE, value, out);
        }
    }
}

/// Writes an event as a member of a batch.
pub(super) fn member(one: &Event, out: &mut Vec<u8>) {
    let mut message = Vec::new();
    event(one, &mut message);
    put_bytes(field::EVENTS, &message, out);
}

/// How the payload is written.
enum Data<'a> {
    Bytes(&'a [u8]),
    Message { type_url: &'a str, value: &'a [u8] },
}

impl<'a> Data<'a> {
    /// Text is written as bytes as well, which every reader gives back as they are: some write text anew by its type.
    fn of(event: &'a Event, data: &'a [u8]) -> Data<'a> {
        let is_message = |text| media::split(text).0.eq_ignore_ascii_case(MESSAGE);
        let schema = event.dataschema().filter(|_| event.datacontenttype().is_some_and(is_message));
        let Some(schema) = schema else { return Data::Bytes(data) };
        let other = event.attributes.text(TYPE_URL).filter(|type_url| !type_url.is_empty());
        Data::Message { type_url: other.unwrap_or(schema), value: data }
    }
}

fn put_attribute(attribute: &Attribute<'_>, out: &mut Vec<u8>) {
    let text = attribute.text;
    let mut value: SmallVec<[u8; 64]> = SmallVec::new();
    let (kind, length) = match attribute.kind {
        Kind::Boolean => {
            return put_entry_number(attribute.name, field::BOOLEAN, u64::from(text == "true"), out);
        }
        Kind::Integer => {
            let number = i64::from(text.parse::<i32>().unwrap_or_default());
            return put_entry_number(attribute.name, field::INTEGER, number.cast_unsigned(), out);
        }
        Kind::String => (field::STRING, text.len()),
        Kind::Uri => (field::URI, text.len()),
        Kind::UriRef => (field::URI_REF, text.len()),
        Kind::Binary => match BASE64.decode(text) {
            Ok(bytes) => {
                value.extend_from_slice(&bytes);
                (field::BYTES, value.len())
            }
            Err(_) => (field::STRING, text.len()), // stored by a version that took more for base64
        },
        Kind::Timestamp => match time::moment(text) {
            None => (field::STRING, text.len()),
            Some((seconds, nanos)) => {
                let mut message = Vec::with_capacity(17);
                put_number(field::SECONDS, seconds.cast_unsigned(), &mut message);
                if nanos > 0 {
                    put_number(field::NANOS, u64::from(nanos), &mut message);
                }
                value.extend_from_slice(&message);
                (field::TIMESTAMP, value.len())
            }
        },
    };
    let is_made = matches!(kind, field::BYTES | field::TIMESTAMP);
    put_entry_head(attribute.name, bytes_len(length), out);
    put_bytes(kind, if is_made { &value } else { text.as_bytes() }, out);
}

fn put_entry_number(name: &str, kind: u32, number: u64, out: &mut Vec<u8>) {
    put_entry_head(name, 1 + varint_len(number), out);
    put_number(kind, number, out);
}

/// What stands before a value of `length` bytes in the map of attributes.
fn put_entry_head(name: &str, length: usize, out: &mut Vec<u8>) {
    put_head(field::ATTRIBUTES, bytes_len(name.len()) + bytes_len(length), out);
    put_bytes(field::KEY, name.as_bytes(), out);
    put_head(field::VALUE, length, out);
}
