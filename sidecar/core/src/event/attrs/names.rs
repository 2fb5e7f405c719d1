//! The names of attributes that have a number.

use crate::event::value::Kind;

/// Names that need not be spelled out: those that the specification defines, then those that a source puts on all of its
/// events. Their places stand in stored records, in four bits: only append.
pub(super) const KNOWN: [&str; 14] = [
    "",
    "id",
    "source",
    "type",
    "datacontenttype",
    "dataschema",
    "subject",
    "time",
    "aegeventtype",
    "aegsubscriptionname",
    "aegdeliverycount",
    "aegdataversion",
    "aegmetadataversion",
    "aegoutputeventid",
];
/// The last place of those that the specification defines.
pub(super) const DEFINED: u8 = TIME;
// Their places, by name.
pub(in crate::event) const ID: u8 = 1;
pub(in crate::event) const SOURCE: u8 = 2;
pub(in crate::event) const TYPE: u8 = 3;
pub(in crate::event) const DATACONTENTTYPE: u8 = 4;
pub(in crate::event) const DATASCHEMA: u8 = 5;
pub(in crate::event) const SUBJECT: u8 = 6;
pub(in crate::event) const TIME: u8 = 7;

/// The place of a name, or 0.
pub(super) fn known(name: &str) -> u8 {
    match name {
        "id" => ID,
        "source" => SOURCE,
        "type" => TYPE,
        "datacontenttype" => DATACONTENTTYPE,
        "dataschema" => DATASCHEMA,
        "subject" => SUBJECT,
        "time" => TIME,
        "aegeventtype" => 8,
        "aegsubscriptionname" => 9,
        "aegdeliverycount" => 10,
        "aegdataversion" => 11,
        "aegmetadataversion" => 12,
        "aegoutputeventid" => 13,
        _ => 0,
    }
}

/// The type that the specification gives a known attribute.
pub(super) fn kind_of(known: u8) -> Option<Kind> {
    match known {
        ID | TYPE | DATACONTENTTYPE | SUBJECT => Some(Kind::String),
        SOURCE => Some(Kind::UriRef),
        DATASCHEMA => Some(Kind::Uri),
        TIME => Some(Kind::Timestamp),
        _ => None,
    }
}
