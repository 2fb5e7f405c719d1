//! Attributes that every event of one delivery gets: checked once, and then copied as they are.

use super::{Attributes, COUNT_MAX, Entry, Kind};
use crate::event::{Event, Invalid, Value};

/// What a delivery says of each event that it brings, as attributes with texts. See [`Event::postmark`].
#[derive(Debug, Clone)]
pub struct Postmark {
    /// An event of which only what stands behind the required attributes is of interest.
    checked: Attributes,
    /// Where that begins in the text.
    from: usize,
}

impl Postmark {
    /// These names with their texts.
    ///
    /// # Errors
    /// When one of them could not be set on an event, or is there twice.
    pub fn new<'a>(attributes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Postmark, Invalid> {
        let Event { attributes: mut checked, .. } = Event::new("-", "-", "-")?;
        let from = checked.text.len();
        for (name, text) in attributes {
            checked.push(name, Kind::String, text)?;
        }
        Ok(Postmark { checked, from })
    }

    fn entries(&self) -> &[Entry] {
        &self.checked.entries[super::REQUIRED..]
    }

    fn text(&self) -> &str {
        &self.checked.text[self.from..]
    }

    fn has(&self, name: &str) -> bool {
        self.entries().iter().any(|entry| self.checked.name(entry) == name)
    }
}

impl Event {
    /// Sets the attributes of `postmark` that the event does not have; what would be more than 256 is left out.
    pub fn postmark(&mut self, postmark: &Postmark) {
        if self.attributes.append(postmark) {
            return;
        }
        for attribute in postmark.checked.iter().skip(super::REQUIRED) {
            if self.get(attribute.name).is_none() {
                let _ = self.set(attribute.name, Value::String(attribute.text)); // it is good, so there is no room
            }
        }
    }
}

impl Attributes {
    /// Appends all of them where that is allowed: none is there yet, and there is room.
    fn append(&mut self, postmark: &Postmark) -> bool {
        let (entries, text) = (postmark.entries(), postmark.text());
        let has_room = self.entries.len() + entries.len() <= COUNT_MAX
            && u32::try_from(self.text.len() + text.len()).is_ok();
        let is_there = |entry: &Entry| postmark.has(self.name(entry));
        if !has_room || self.entries.iter().skip(super::REQUIRED).any(is_there) {
            return false;
        }
        let Ok(start) = u32::try_from(self.text.len()) else { return false };
        let Ok(from) = u32::try_from(postmark.from) else { return false };
        self.text.reserve_exact(text.len());
        self.text.push_str(text);
        self.entries
            .extend(entries.iter().map(|entry| Entry { start: entry.start - from + start, ..*entry }));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::events;
    use proptest::prelude::*;

    fn marked(event: &Event, postmark: &[(&str, &str)]) -> Event {
        let mut event = event.clone();
        event.postmark(&Postmark::new(postmark.iter().copied()).unwrap());
        event
    }

    #[test]
    fn what_an_event_has_already_stays() {
        let mut event = Event::new("1", "/s", "t").unwrap();
        event.set("b", Value::Integer(7)).unwrap();
        let event = marked(&event, &[("a", "x"), ("b", "y"), ("c", ""), ("subject", "z")]);
        let texts = ["a", "b", "c", "subject"].map(|name| event.get(name).unwrap());
        assert_eq!(texts, [Value::String("x"), Value::Integer(7), Value::String(""), Value::String("z")]);
    }

    #[test]
    fn what_could_not_be_set_is_refused_before_there_is_an_event() {
        for bad in [
            &[("A", "x")][..],
            &[("a", "\n")],
            &[("a", "x"), ("a", "y")],
            &[("data", "x")],
            &[("subject", "")],
        ] {
            assert!(Postmark::new(bad.iter().copied()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn no_event_gets_more_attributes_than_it_may_have() {
        let mut event = Event::new("1", "/s", "t").unwrap();
        for n in 0..COUNT_MAX - 4 {
            event.set(&format!("x{n}"), Value::Boolean(true)).unwrap();
        }
        let event = marked(&event, &[("a", "x"), ("b", "y")]);
        assert_eq!((event.get("a"), event.get("b")), (Some(Value::String("x")), None));
    }

    proptest! {
        #[test]
        fn it_is_as_if_each_were_set(event in events(), a in "[a-z]{1,3}", b in "[0-9]{1,3}", text in "[ -~]{1,9}") {
            let postmark = [(&*a, &*text), (&*b, "b")];
            let mut expected = event.clone();
            for (name, text) in postmark {
                if expected.get(name).is_none() {
                    let _ = expected.set(name, Value::String(text));
                }
            }
            prop_assume!(Postmark::new(postmark).is_ok());
            let marked = marked(&event, &postmark);
            prop_assert_eq!(marked.attributes().collect::<Vec<_>>(), expected.attributes().collect::<Vec<_>>());
            prop_assert_eq!(marked.id(), expected.id());
        }
    }
}
