//! Events of Amazon EventBridge, by the facts of their envelope: `id`, `source`, `detail-type` and `time` are the event's
//! own, and `detail` is its data.
//!
//! The rest of the envelope stays as extensions: `awsaccount`, `awsregion`, `awsresources` (a JSON array of ARNs, as many as
//! fit into 2,048 bytes; how many do not is `awsresourcesleftout`) and `awsreplayname` of an event that an archive replays.
//! `version` is always 0 and is dropped. The data is `detail` and not the whole, because that is what the sender put in:
//! AWS adds everything else.

use std::fmt::Write as _;

use outrigger_core::{Event, Invalid};

use super::part::{Part, set, timestamp};

/// A header of HTTP is a place for some of them, not for all that an event may have.
const RESOURCES_BYTES_MAX: usize = 2048;
const EVERY: &str = "every event of EventBridge";

/// Whether it has what no other document has.
pub(super) fn is(part: &Part) -> bool {
    part.is_object() && part.has(&["detail-type"])
}

/// Reads one.
///
/// # Errors
/// When something is missing that every event has, or an attribute breaks a rule of the specification.
pub(super) fn event(part: &Part) -> Result<Event, Invalid> {
    let id = part.needed(&["id"], EVERY)?;
    let source = part.needed(&["source"], EVERY)?;
    let ty = part.needed(&["detail-type"], EVERY)?;
    let missing = || Invalid::says("detail", &format!("is missing; {EVERY} has it"));
    let detail = part.part(&["detail"]).ok_or_else(missing)?;
    let mut event = detail.event(&id, &source, &ty)?;
    set(&mut event, "time", part.text(&["time"]).map(timestamp))?;
    set(&mut event, "awsaccount", part.text(&["account"]))?;
    set(&mut event, "awsregion", part.text(&["region"]))?;
    if let Some(list) = part.part(&["resources"]).filter(Part::is_list) {
        resources(&mut event, &list)?;
    }
    set(&mut event, "awsreplayname", part.text(&["replay-name"]))?;
    Ok(event)
}

fn resources(event: &mut Event, list: &Part) -> Result<(), Invalid> {
    let (mut json, mut left_out) = (String::new(), 0);
    for resource in list.list()? {
        // As text, not as it stands: what no attribute may have is escaped.
        let text = resource.text(&[]).unwrap_or_default().into_owned();
        let mut one = String::with_capacity(text.len() + 3);
        one.push(if json.is_empty() { '[' } else { ',' });
        one.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => one.extend(['\\', c]),
                ' '..='~' => one.push(c),
                c => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                    let _ = write!(one, "\\u{unit:04x}"); // a String takes everything
                }),
            }
        }
        one.push('"');
        if json.len() + one.len() < RESOURCES_BYTES_MAX {
            json.push_str(&one);
        } else {
            left_out += 1;
        }
    }
    if !json.is_empty() {
        json.push(']');
        set(event, "awsresources", Some(json))?;
    }
    if left_out > 0 { event.set("awsresourcesleftout", left_out.into()) } else { Ok(()) }
}
