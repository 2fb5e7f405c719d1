//! A payload in JSON.

use super::BASE64;
use base64::Engine as _;
use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

#[expect(clippy::ref_option, reason = "serde calls it so")]
pub(crate) fn serialize<S: Serializer>(data: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    match data {
        Some(data) => serializer.serialize_some(&BASE64.encode(data)),
        None => serializer.serialize_none(),
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| BASE64.decode(text).map_err(D::Error::custom)).transpose()
}
