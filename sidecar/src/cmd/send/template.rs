//! How the events that `outrigger send` makes are described: the attributes given on the command line, and
//! what stands in for those that are not.

use bytes::Bytes;
use outrigger_core::{Event, Invalid, Value};

use crate::cli::AttributeArgs;

const TYPE_DEFAULT: &str = "outrigger.send";
const SOURCE_DEFAULT: &str = "/outrigger/send";

/// The attributes of the events to come.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    args: AttributeArgs,
    others: Vec<(String, String)>,
    /// Makes ids of this run differ from those of any other.
    nonce: u64,
}

impl Template {
    /// A template; that it makes valid events is checked here, before anything is sent.
    ///
    /// # Errors
    /// What is wrong with the arguments, for the person who wrote them.
    pub(crate) fn new(args: &AttributeArgs, nonce: u64) -> Result<Self, String> {
        let mut others = Vec::new();
        for attribute in &args.attributes {
            let (name, value) = attribute.split_once('=').ok_or_else(|| {
                format!("--attr {attribute:?}: expected NAME=VALUE, such as --attr tenant=acme")
            })?;
            others.push((name.to_owned(), value.to_owned()));
        }
        let template = Self { args: args.clone(), others, nonce };
        template.event_of(Bytes::new(), 0).map_err(|invalid| invalid.to_string())?;
        Ok(template)
    }

    /// The event number `number` (from 0) of this data.
    ///
    /// # Errors
    /// None that [`Template::new`] has not already told.
    pub(crate) fn event_of(&self, data: Bytes, number: u64) -> Result<Event, Invalid> {
        let id = self.id(number).unwrap_or_else(|| format!("{:016x}-{number}", self.nonce));
        let source = self.args.source.as_deref().unwrap_or(SOURCE_DEFAULT);
        let ty = self.args.ty.as_deref().unwrap_or(TYPE_DEFAULT);
        let content_type = self.args.content_type.as_deref().unwrap_or_else(|| content_type_of(&data));
        let mut event = Event::new(&id, source, ty)?.with_data(content_type, data)?;
        self.set_given(&mut event)?;
        Ok(event)
    }

    /// An event that was read, as number `number` of all and in repetition `pass` (both from 0) of the input:
    /// with the given attributes in place of its own, and an id of its own in each repetition.
    ///
    /// # Errors
    /// When an attribute of the event and a given one do not go together.
    pub(crate) fn describe(&self, mut event: Event, number: u64, pass: u64) -> Result<Event, Invalid> {
        let repeated = || (pass > 0).then(|| format!("{}-{}", event.id(), pass + 1));
        let id = self.id(number).or_else(repeated);
        let given = [
            ("id", id.as_deref()),
            ("source", self.args.source.as_deref()),
            ("type", self.args.ty.as_deref()),
            ("datacontenttype", self.args.content_type.as_deref()),
        ];
        for (name, value) in given {
            if let Some(value) = value {
                event.set(name, Value::String(value))?;
            }
        }
        self.set_given(&mut event)?;
        Ok(event)
    }

    fn id(&self, number: u64) -> Option<String> {
        let id = self.args.id.as_ref()?;
        Some(if number == 0 { id.clone() } else { format!("{id}-{}", number + 1) })
    }

    fn set_given(&self, event: &mut Event) -> Result<(), Invalid> {
        let named = [("subject", &self.args.subject), ("partitionkey", &self.args.key)];
        let named = named.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        let others = self.others.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in named.chain(others) {
            event.set(name, Value::String(value))?;
        }
        Ok(())
    }
}

fn content_type_of(data: &[u8]) -> &'static str {
    if serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok() {
        "application/json"
    } else if std::str::from_utf8(data).is_ok() {
        "text/plain; charset=utf-8"
    } else {
        "application/octet-stream"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(args: &AttributeArgs) -> Template {
        Template::new(args, 0xabc).unwrap()
    }

    #[test]
    fn ids_differ_and_a_given_one_is_numbered() {
        let own = template(&AttributeArgs::default());
        assert_eq!(own.event_of(Bytes::new(), 7).unwrap().id(), "0000000000000abc-7");
        let given = template(&AttributeArgs { id: Some("a".to_owned()), ..AttributeArgs::default() });
        let ids = [0, 1, 2].map(|number| given.event_of(Bytes::new(), number).unwrap().id().to_owned());
        assert_eq!(ids, ["a", "a-2", "a-3"]);
    }

    #[test]
    fn a_read_event_keeps_what_is_not_given_and_gets_a_new_id_when_it_is_repeated() {
        let template = template(&AttributeArgs { key: Some("k".to_owned()), ..AttributeArgs::default() });
        let event = Event::new("1", "/s", "t").unwrap();
        let first = template.describe(event.clone(), 0, 0).unwrap();
        let again = template.describe(event, 1, 1).unwrap();
        assert_eq!((first.id(), first.ty(), first.text("partitionkey").as_deref()), ("1", "t", Some("k")));
        assert_eq!(again.id(), "1-2");
    }

    #[test]
    fn data_gets_the_type_that_it_looks_like() {
        for (data, expected) in [
            (&b"{\"a\": 1}"[..], "application/json"),
            (b"42", "application/json"),
            (b"hello", "text/plain; charset=utf-8"),
            (b"", "text/plain; charset=utf-8"),
            (b"\xff\xfe", "application/octet-stream"),
        ] {
            assert_eq!(content_type_of(data), expected, "{data:?}");
        }
    }

    #[test]
    fn wrong_attributes_are_told_before_anything_is_sent() {
        let wrong = |attribute: &str| {
            let args = AttributeArgs { attributes: vec![attribute.to_owned()], ..AttributeArgs::default() };
            Template::new(&args, 0).unwrap_err()
        };
        assert_eq!(wrong("tenant"), r#"--attr "tenant": expected NAME=VALUE, such as --attr tenant=acme"#);
        assert!(wrong("Tenant=a").contains("Tenant"), "{}", wrong("Tenant=a"));
        assert!(wrong("time=yesterday").contains("time"), "{}", wrong("time=yesterday"));
    }
}
