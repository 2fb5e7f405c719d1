//! Events with awkward values, and what it means that one arrived equal.

#![allow(unreachable_pub, reason = "nothing here is an interface")]

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// One event.
#[derive(Debug, Clone, Default)]
pub struct Case {
    /// By which the table of defects names it.
    pub name: &'static str,
    pub subject: Option<&'static str>,
    pub time: Option<&'static str>,
    pub schema: Option<&'static str>,
    pub content_type: Option<&'static str>,
    /// Name, type (`text`, `flag`, `count`, `bytes`, `uri`, `uriref`, `time`) and canonical text.
    pub extensions: Vec<(&'static str, &'static str, &'static str)>,
    pub data: Option<Vec<u8>>,
}

const TIME: Option<&str> = Some("2018-04-05T17:31:00Z");

/// All cases. Where another thing is not the point, an event has a time and data: some SDKs add what is not there.
pub fn all() -> Vec<Case> {
    let json = |name, data: &str| Case {
        name,
        time: TIME,
        content_type: Some("application/json"),
        data: Some(data.as_bytes().to_vec()),
        ..Case::default()
    };
    let plain = |name| json(name, r#"{"a":1}"#);
    let data = |name, content_type, data: &[u8]| Case {
        content_type: Some(content_type),
        data: Some(data.to_vec()),
        ..plain(name)
    };
    vec![
        plain("plain"),
        Case { subject: Some("Euro € 😀 Zürich"), ..plain("unicode") },
        Case { subject: Some("100%41 %20 %"), ..plain("percent") },
        Case { subject: Some(r#"say "so" \ and 'so'"#), ..plain("quotes") },
        Case { time: Some("2018-04-05T17:31:00.123456+02:00"), ..plain("offset") },
        Case { time: None, ..plain("no-time") },
        Case { schema: Some("https://example.com/schema?v=1#a"), ..plain("schema") },
        Case { data: None, content_type: None, ..plain("no-data") },
        data("empty-data", "text/plain", b""),
        data("text", "text/plain", "Zeile 1\nÄ \"2\"".as_bytes()),
        data("xml", "application/xml", b"<a b=\"c\">&amp;</a>"),
        data("binary-data", "application/octet-stream", &(0..=u8::MAX).collect::<Vec<_>>()),
        Case {
            schema: Some("https://type.googleapis.com/google.protobuf.StringValue"),
            ..data("message", "application/protobuf", b"\x0a\x01x")
        },
        json("json-scalar", "42"),
        json("json-array", r#"[1,"zwei",null,{"d":[true]}]"#),
        json("json-text", r#""a \"text\"""#),
        json("large-number", r#"{"n":12345678901234567890}"#),
        Case {
            extensions: vec![("texts", "text", "a b"), ("empty", "text", "")],
            ..plain("text-extensions")
        },
        Case { extensions: vec![("yes", "flag", "true"), ("no", "flag", "false")], ..plain("flags") },
        Case {
            extensions: vec![("least", "count", "-2147483648"), ("zero", "count", "0")],
            ..plain("counts")
        },
        Case { extensions: vec![("bin", "bytes", "AP8="), ("nothing", "bytes", "")], ..plain("bytes") },
        Case {
            extensions: vec![("link", "uri", "https://example.com/a?b=c"), ("ref", "uriref", "../a#b")],
            ..plain("uris")
        },
        Case { extensions: vec![("when", "time", "2018-04-05T17:31:00.5+02:00")], ..plain("time-extension") },
        Case { extensions: vec![("partitionkey", "text", "key-€")], ..plain("key") },
    ]
}

impl Case {
    /// The id of this case in a mode.
    pub fn id(&self, mode: &str) -> String {
        format!("{}.{mode}", self.name)
    }

    /// As the programs are told it.
    pub fn described(&self, mode: &str) -> Value {
        let extensions: Map<String, Value> = self
            .extensions
            .iter()
            .map(|(name, kind, value)| ((*name).to_owned(), json!({"Kind": kind, "Value": value})))
            .collect();
        json!({
            "ID": self.id(mode), "Source": "/sdk/test", "Type": "sdk.test", "Subject": self.subject.unwrap_or(""),
            "Time": self.time.unwrap_or(""), "DataContentType": self.content_type.unwrap_or(""),
            "DataSchema": self.schema.unwrap_or(""), "Extensions": extensions,
            "data_base64": self.data.as_ref().map(|data| BASE64_STANDARD.encode(data)),
        })
    }

    /// As an event in JSON, written here by hand.
    pub fn json(&self, mode: &str) -> String {
        let mut event = Map::new();
        for (name, value) in self.attributes(mode) {
            let kind =
                self.extensions.iter().find(|(extension, ..)| *extension == name).map(|(_, kind, _)| *kind);
            let value = match kind {
                Some("flag") => json!(value == "true"),
                Some("count") => json!(value.parse::<i64>().unwrap()),
                _ => json!(value),
            };
            event.insert(name, value);
        }
        if let Some(data) = &self.data {
            event.insert("data_base64".to_owned(), BASE64_STANDARD.encode(data).into());
        }
        Value::Object(event).to_string()
    }

    /// Every attribute that it has, as its canonical text.
    pub fn attributes(&self, mode: &str) -> BTreeMap<String, String> {
        let fixed = [
            ("specversion", Some("1.0")),
            ("source", Some("/sdk/test")),
            ("type", Some("sdk.test")),
            ("subject", self.subject),
            ("time", self.time),
            ("datacontenttype", self.content_type),
            ("dataschema", self.schema),
        ];
        let extensions = self.extensions.iter().map(|(name, _, value)| (*name, Some(*value)));
        let all = fixed.into_iter().chain(extensions);
        let mut all: BTreeMap<_, _> =
            all.filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
        all.insert("id".to_owned(), self.id(mode));
        all
    }

    /// What is different about what came; nothing, when it is equal.
    ///
    /// Times are equal that are the same moment, and JSON that has the same values: both are written anew on the way.
    pub fn difference(
        &self,
        mode: &str,
        attributes: &BTreeMap<String, String>,
        data: Option<&[u8]>,
    ) -> Result<(), String> {
        let expected = self.attributes(mode);
        for (name, value) in &expected {
            match attributes.get(name) {
                None => return Err(format!("{name} is gone")),
                Some(came) if came != value && !is_same_moment(came, value) => {
                    return Err(format!("{name} is {came:?} and not {value:?}"));
                }
                Some(_) => {}
            }
        }
        if let Some(more) = attributes.keys().find(|name| !expected.contains_key(*name)) {
            return Err(format!("{more} is new"));
        }
        let same = match (&self.data, data) {
            (Some(data), Some(came)) => data == came || (self.is_json() && is_same_json(data, came)),
            // Most bindings cannot tell no data from empty data.
            (None, came) => came.is_none_or(<[u8]>::is_empty),
            (Some(data), None) => data.is_empty(),
        };
        let shown = data.map(String::from_utf8_lossy);
        if same { Ok(()) } else { Err(format!("the data is {shown:?}")) }
    }

    fn is_json(&self) -> bool {
        self.content_type == Some("application/json")
    }
}

fn is_same_moment(a: &str, b: &str) -> bool {
    let read = |text| OffsetDateTime::parse(text, &Rfc3339).ok();
    read(a).is_some() && read(a) == read(b)
}

fn is_same_json(a: &[u8], b: &[u8]) -> bool {
    let read = |bytes| serde_json::from_slice::<Value>(bytes).ok();
    read(a).is_some() && read(a) == read(b)
}
