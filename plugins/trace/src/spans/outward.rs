//! Where events go out to, as the spans of attempts and replies tell it. Made once, from what the configuration says.

use super::attributes::text;
use crate::config::{Outward, Whereto};
use http::Uri;
use opentelemetry::{InstrumentationScope, KeyValue, trace::SpanKind};
use outrigger_core::TargetId;
use std::{borrow::Cow, sync::Arc};

/// What all spans of a process have in common.
#[derive(Debug)]
pub struct Drawing {
    pub(super) scope: InstrumentationScope,
    pub(super) chars_max: usize,
    targets: Vec<(Arc<str>, Towards)>,
    nameless: Towards,
    pub(super) replies: Towards,
}

/// How spans tell of one place.
#[derive(Debug)]
pub(super) struct Towards {
    pub(super) name: Cow<'static, str>,
    pub(super) kind: SpanKind,
    pub(super) attributes: Vec<KeyValue>,
}

/// The attribute of a whole URL.
const FULL: &str = "url.full";
/// What an attempt by HTTP is called.
const POST: &str = "POST";

impl Drawing {
    /// Spans of `scope`, an attribute's text of at most `chars_max` characters.
    #[must_use]
    pub fn new(scope: InstrumentationScope, chars_max: usize, outward: &Outward) -> Self {
        let targets = outward.targets.iter().map(|(name, place)| (name.clone(), towards(Some(place))));
        let replies = match &outward.replies {
            Some(place @ Whereto::Topic { .. }) => towards(Some(place)),
            place => {
                let replies = Whereto::Topic { system: None, name: "replies".to_owned() };
                let mut towards = towards(Some(&replies));
                if let Some(Whereto::Url(url)) = place {
                    towards.attributes.extend(of_url(url));
                }
                towards
            }
        };
        Self { scope, chars_max, targets: targets.collect(), nameless: towards(None), replies }
    }

    /// Of a target that the configuration does not place, no more than that it takes events by POST.
    pub(super) fn towards(&self, target: Option<&TargetId>) -> &Towards {
        let known = target.and_then(|target| self.targets.iter().find(|(name, _)| *name == target.0));
        known.map_or(&self.nameless, |(_, towards)| towards)
    }
}

/// A topic is sent to, anything else is asked by HTTP.
fn towards(place: Option<&Whereto>) -> Towards {
    let (name, kind, attributes) = match place {
        Some(Whereto::Topic { system, name }) => {
            let mut attributes = vec![
                KeyValue::new("messaging.operation.type", "send"),
                KeyValue::new("messaging.operation.name", "send"),
                text("messaging.destination.name", name),
            ];
            attributes.extend(system.map(|system| KeyValue::new("messaging.system", system)));
            (["send ", name].concat().into(), SpanKind::Producer, attributes)
        }
        place => {
            let mut attributes = vec![KeyValue::new("http.request.method", POST)];
            if let Some(Whereto::Url(url)) = place {
                attributes.extend(of_url(url));
            }
            (POST.into(), SpanKind::Client, attributes)
        }
    };
    Towards { name, kind, attributes }
}

/// Without a query and a name before the host: either may hold a secret.
fn of_url(url: &Uri) -> Vec<KeyValue> {
    let (Some(scheme), Some(host)) = (url.scheme_str(), url.host()) else { return Vec::new() };
    let port = url.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    let told = url.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    vec![
        text(FULL, &format!("{scheme}://{host}{told}{}", url.path())),
        text("server.address", host.trim_start_matches('[').trim_end_matches(']')),
        KeyValue::new("server.port", i64::from(port)),
    ]
}

/// What is told of a place of which another path is asked.
pub(super) fn of_path(to: &[KeyValue], path: &str) -> Vec<KeyValue> {
    let place = to.iter().find(|attribute| attribute.key.as_str() == FULL);
    let place = place.and_then(|full| full.value.as_str().parse::<Uri>().ok());
    let Some((place, authority)) = place.as_ref().and_then(|place| Some((place, place.authority()?))) else {
        return Vec::new();
    };
    let scheme = place.scheme_str().unwrap_or("http");
    let mut attributes = of_url(place);
    attributes[0] = text(FULL, &format!("{scheme}://{authority}{path}"));
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_url_nothing_is_told_that_may_be_secret() {
        for (url, full, address, port) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/", "127.0.0.1", 8080),
            ("https://user:s3cret@f.example/a/b?code=s3cret", "https://f.example/a/b", "f.example", 443),
            ("http://[::1]:9/x", "http://[::1]:9/x", "::1", 9),
        ] {
            let told = of_url(&url.parse().unwrap());
            let expected =
                [text("url.full", full), text("server.address", address), KeyValue::new("server.port", port)];
            assert_eq!(told, expected, "{url}");
        }
        assert_eq!(of_url(&"/path".parse().unwrap()), []);
        let told = of_path(&of_url(&"http://[::1]:9/x".parse().unwrap()), "/other");
        assert_eq!(told[..2], [text(FULL, "http://[::1]:9/other"), text("server.address", "::1")]);
        assert_eq!(of_path(&[], "/other"), []);
    }
}
