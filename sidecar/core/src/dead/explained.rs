//! A dead letter as an event: for homes that take events and nothing else.

use super::DeadLetter;
use crate::{Event, Invalid, Malformed, Value};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

/// The type of a dead letter that could not be read as an event.
pub const MALFORMED_TYPE: &str = "outrigger.malformed";
/// The most bytes of one attribute that is added.
const ATTRIBUTE_BYTES_MAX: usize = 4096;

/// A dead letter as an event: the one that was given up, or one of type [`MALFORMED_TYPE`] whose data is what came
/// instead, byte for byte.
///
/// What is added: `outriggercode` (one of [`Code`](crate::Code)), `outriggerreason` (one line for people),
/// `outriggerstatus` (the function's last, if it answered), `outriggertarget` (the one that failed it, where there are
/// several), `outriggerattempts`, `outriggersource`, `outriggerposition` (where the source has one), `outriggerfirstms` and
/// `outriggerlastms` (Unix milliseconds).
///
/// # Errors
/// Where the event has no room for more attributes.
pub fn as_event(letter: &DeadLetter) -> Result<Event, Invalid> {
    let mut event = match &letter.item {
        Ok(event) => event.clone(),
        Err(malformed) => as_it_came(malformed, letter)?,
    };
    if let Some(key) = letter.key.as_ref().filter(|_| event.text("partitionkey").is_none()) {
        add(&mut event, "partitionkey", &key.name())?;
    }
    add(&mut event, "outriggercode", letter.reason.code.name())?;
    add(&mut event, "outriggerreason", &letter.reason.detail)?;
    if let Some(status) = letter.reason.status {
        add(&mut event, "outriggerstatus", &status.to_string())?;
    }
    if let Some(target) = &letter.target {
        add(&mut event, "outriggertarget", target)?;
    }
    add(&mut event, "outriggerattempts", &letter.attempts.to_string())?;
    add(&mut event, "outriggersource", &letter.origin.source)?;
    add(&mut event, "outriggerposition", &letter.origin.position.to_string())?;
    add(&mut event, "outriggerfirstms", &letter.first_ms.to_string())?;
    add(&mut event, "outriggerlastms", &letter.last_ms.to_string())?;
    Ok(event)
}

/// The id is the same for the same bytes received at the same time: a second copy after a crash is known by it.
fn as_it_came(malformed: &Malformed, letter: &DeadLetter) -> Result<Event, Invalid> {
    let mut hasher = DefaultHasher::new();
    malformed.raw.hash(&mut hasher);
    let id = format!("{}-{:016x}", letter.first_ms, hasher.finish());
    let event = Event::new(&id, &format!("/outrigger/{}", letter.origin.source), MALFORMED_TYPE)?;
    let mut event = event.with_data("application/octet-stream", malformed.raw.clone())?;
    if let Some(key) = &malformed.key {
        add(&mut event, "outriggerkeybase64", &STANDARD.encode(key))?;
    }
    if !malformed.headers.is_empty() {
        let headers: BTreeMap<_, _> = malformed
            .headers
            .iter()
            .map(|(name, value)| (name, String::from_utf8_lossy(value).into_owned()))
            .collect();
        add(&mut event, "outriggerheaders", &serde_json::to_string(&headers).unwrap_or_default())?;
    }
    Ok(event)
}

/// Adds an attribute, without what no attribute may hold; an empty one is left out.
fn add(event: &mut Event, name: &str, text: &str) -> Result<(), Invalid> {
    let mut text: String = text.chars().map(|c| if is_bad(c) { ' ' } else { c }).collect();
    while text.len() > ATTRIBUTE_BYTES_MAX {
        text.pop();
    }
    if text.is_empty() { Ok(()) } else { event.set(name, Value::String(&text)) }
}

/// Control characters and noncharacters (CloudEvents 1.0, "Type system").
fn is_bad(c: char) -> bool {
    let code = u32::from(c);
    c.is_control() || (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}
