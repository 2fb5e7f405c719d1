//! What belongs to the hop by which an event came, and must outlive it: kept in an attribute of the event while it waits
//! on disk, and taken out of it before anybody sees it.

use super::{Event, Value};

/// The attribute.
pub const ATTRIBUTE: &str = "outriggerhop";
/// Beside the headers of a hop that brought several events: how many.
pub const BATCH: &str = "outrigger_batch";

/// Keeps `headers` in the event, and nothing that somebody else wrote there. Where they find no room, they are left out.
pub fn keep(event: &mut Event, headers: &[(String, String)]) {
    let mut text = String::new();
    for part in headers.iter().flat_map(|(name, value)| [name, value]) {
        text.push_str(&part.len().to_string());
        text.push(':');
        text.push_str(part);
    }
    event.remove(ATTRIBUTE);
    if !text.is_empty() {
        let _ = event.set(ATTRIBUTE, Value::String(&text));
    }
}

/// Takes them out of it again. What is not as [`keep`] wrote it ends them.
pub fn take(event: &mut Event) -> Vec<(String, String)> {
    let Some(text) = event.text(ATTRIBUTE) else { return Vec::new() };
    let (mut rest, mut headers) = (&*text, Vec::new());
    while let Some((name, after)) = part(rest) {
        let Some((value, after)) = part(after) else { break };
        headers.push((name.to_owned(), value.to_owned()));
        rest = after;
    }
    event.remove(ATTRIBUTE);
    headers
}

fn part(text: &str) -> Option<(&str, &str)> {
    let (len, rest) = text.split_once(':')?;
    rest.split_at_checked(len.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_kept_is_taken_out_and_nothing_is_left(headers in proptest::collection::vec(("[ -~]{0,9}", "[ -~]{0,20}"), 0..4)) {
            let plain = Event::new("1", "/s", "t").unwrap();
            let mut event = plain.clone();
            keep(&mut event, &headers);
            prop_assert_eq!(take(&mut event), headers);
            prop_assert_eq!(event, plain);
        }

        #[test]
        fn what_somebody_else_wrote_does_no_harm(text in "[ -~]{1,40}") {
            let mut event = Event::new("1", "/s", "t").unwrap();
            event.set(ATTRIBUTE, Value::String(&text)).unwrap();
            let mut kept = event.clone();
            keep(&mut kept, &[]);
            prop_assert!(kept.text(ATTRIBUTE).is_none());
            let _ = take(&mut event);
            prop_assert!(event.text(ATTRIBUTE).is_none());
        }
    }
}
