//! How filters see an event: its attributes as values of CESQL. The data is nothing that they can ask for.

use std::borrow::Cow;

use outrigger_cesql::{Attributes, Value};
use outrigger_core::{Event, event};

/// An event, as an expression of CESQL or a filter of the Subscriptions API sees it.
#[derive(Debug, Clone, Copy)]
pub struct Attributed<'e>(pub &'e Event);

impl Attributes for Attributed<'_> {
    fn attribute(&self, name: &str) -> Option<Value<'_>> {
        Some(match self.0.get(name)? {
            event::Value::Boolean(truth) => Value::Boolean(truth),
            event::Value::Integer(number) => Value::Integer(number),
            event::Value::String(text)
            | event::Value::Binary(text)
            | event::Value::Uri(text)
            | event::Value::UriRef(text)
            | event::Value::Timestamp(text) => Value::String(Cow::Borrowed(text)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_cesql::Expression;

    #[test]
    fn every_attribute_is_seen_with_its_type() {
        let mut event = Event::new("1", "/shop", "order").unwrap();
        event.set("paid", true.into()).unwrap();
        event.set("priority", 5.into()).unwrap();
        event.set("time", "2026-01-31T12:00:00+02:00".into()).unwrap();
        let value = |text| Expression::parse(text).unwrap().evaluate(&Attributed(&event)).value;
        assert_eq!(value("paid"), true.into());
        assert_eq!(value("priority"), 5.into());
        assert_eq!(value("time"), "2026-01-31T12:00:00+02:00".into());
        assert_eq!(value("CONCAT_WS(' ', specversion, id, source, type)"), "1.0 1 /shop order".into());
        assert_eq!(value("EXISTS subject"), false.into());
    }
}
