//! From a document to its events, each origin by its adapter.

use bytes::Bytes;
use fastrand::Rng;
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE, request::Parts};
use outrigger_core::{Event, Inbound, Inbox, Malformed, event::json};
use serde_json::value::RawValue;
use std::sync::Arc;

use super::record;
use crate::{
    cli::{NormalizeArgs, Origin},
    config::Service,
    ingress::plain::Ids,
    registry::normalize::{self as adapters, Messages, Records},
};

/// An event, or why there is none.
pub(super) type Item = Result<Event, String>;

/// Hands documents to an adapter.
pub(super) struct Reader {
    kind: Kind,
    /// Of documents that are no requests themselves.
    headers: HeaderMap,
}

enum Kind {
    Kafka {
        read: Records,
        topic: Option<String>,
        next: std::cell::Cell<i64>,
    },
    Pubsub {
        read: Messages,
        subscription: Option<String>,
    },
    /// What comes by HTTP.
    Pushed {
        inbound: Arc<dyn Inbound>,
        lists: Lists,
    },
}

/// What a document is that is a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lists {
    /// One request, which the adapter reads.
    Whole,
    /// The same of Event Grid, which also answers with events where a namespace is asked for them.
    WholeOrAnswer,
    /// A request each.
    Each,
}

impl Reader {
    /// # Errors
    /// When a flag does not fit, in one line.
    pub(super) fn new(args: &NormalizeArgs) -> Result<Self, String> {
        fits(args)?;
        let mut headers = HeaderMap::new();
        for header in &args.headers {
            let (name, value) =
                header.split_once(':').ok_or_else(|| format!("--header {header:?}: it is NAME:VALUE"))?;
            let (name, value) = record::header(name.trim(), value.trim().as_bytes())?;
            headers.append(name, value);
        }
        Ok(Self { kind: kind(args).map_err(|error| error.message().to_owned())?, headers })
    }

    /// The events of a document.
    ///
    /// # Errors
    /// Why nothing of it can be told apart.
    pub(super) fn events(&self, document: &Bytes) -> Result<Vec<Item>, String> {
        match &self.kind {
            Kind::Kafka { read, topic, next } => {
                let members = record::members(document)?.into_iter();
                Ok(members
                    .map(|member| {
                        let offset = next.replace(next.get() + 1);
                        told(read(&record::kafka(&member, topic.as_deref(), offset)?))
                    })
                    .collect())
            }
            Kind::Pubsub { read, subscription } => {
                let members = record::members(document)?.into_iter();
                Ok(members
                    .map(|member| {
                        let (message, named) = record::pubsub(&member)?;
                        let named = named.as_ref().or(subscription.as_ref());
                        let named =
                            named.ok_or("the message names no subscription; add it, or --subscription")?;
                        told(read(message, named))
                    })
                    .collect())
            }
            Kind::Pushed { lists: Lists::WholeOrAnswer, inbound } => {
                match adapters::eventgrid_answer(document) {
                    Some(items) => Ok(items.into_iter().map(told).collect()),
                    None => self.pushed(&**inbound, document),
                }
            }
            Kind::Pushed { inbound, lists: Lists::Whole } => self.pushed(&**inbound, document),
            Kind::Pushed { inbound, lists: Lists::Each } => {
                let members = record::members(document)?;
                let each = members.iter().map(|member| self.pushed(&**inbound, member));
                Ok(each.flat_map(|read| read.unwrap_or_else(|why| vec![Err(why)])).collect())
            }
        }
    }

    fn pushed(&self, inbound: &dyn Inbound, document: &Bytes) -> Result<Vec<Item>, String> {
        let (headers, body) = match record::request(document)? {
            Some(request) => (request.headers, request.body),
            None => (self.headers.clone(), document.clone()),
        };
        match inbound.decode(&parts(headers, &body), body) {
            Ok(Inbox::Events { items, .. }) => Ok(items.into_iter().map(told).collect()),
            Ok(Inbox::Answer(_) | Inbox::Confirm { .. }) => {
                Err("it asks or tells about a subscription, and is answered: no event".to_owned())
            }
            Err(error) => Err(error.message().to_owned()),
        }
    }
}

/// Every flag is of use.
fn fits(args: &NormalizeArgs) -> Result<(), String> {
    use Origin::{Eventbridge, Eventgrid, Github, Http, Kafka, Lambda, Pubsub, PubsubPush, S3, Sns, Sqs};
    let pushed: &[Origin] = &[PubsubPush, Eventgrid, Eventbridge, S3, Sns, Sqs, Lambda, Github, Http];
    let flags: [(&str, bool, &[Origin]); 6] = [
        ("--topic", args.topic.is_some(), &[Kafka, Pubsub, PubsubPush]),
        ("--subscription", args.subscription.is_some(), &[Pubsub]),
        ("--source", args.source.is_some(), &[Kafka, Sqs, Http]),
        ("--type", args.ty.is_some(), &[Kafka, Http]),
        ("--id-header", args.id_header.is_some(), &[Http]),
        ("--header", !args.headers.is_empty(), pushed),
    ];
    let unused = flags.iter().find(|(_, given, origins)| *given && !origins.contains(&args.from));
    match unused {
        Some((flag, ..)) => Err(format!(
            "{flag}: nothing of this origin uses it; `outrigger normalize --help` says which does"
        )),
        None => Ok(()),
    }
}

fn kind(args: &NormalizeArgs) -> outrigger_core::Result<Kind> {
    let whole = |inbound| Kind::Pushed { inbound, lists: Lists::Whole };
    let each = |inbound| Kind::Pushed { inbound, lists: Lists::Each };
    let aws = |service| adapters::aws(service, args.source.clone()).map(whole);
    let invalid = |why: String| outrigger_core::Error::new(outrigger_core::Kind::Invalid, why);
    match args.from {
        Origin::Kafka => Ok(Kind::Kafka {
            read: adapters::kafka(args.source.as_deref(), args.ty.as_deref())?,
            topic: args.topic.clone(),
            next: std::cell::Cell::new(0),
        }),
        Origin::Pubsub => Ok(Kind::Pubsub {
            read: adapters::pubsub(args.topic.clone())?,
            subscription: args.subscription.clone(),
        }),
        Origin::PubsubPush => {
            let topic = args.topic.as_deref().ok_or_else(|| {
                invalid("--topic: what is pushed does not name it: projects/PROJECT/topics/TOPIC".to_owned())
            })?;
            adapters::pubsub_push(topic).map(each)
        }
        Origin::Eventgrid => {
            Ok(Kind::Pushed { inbound: adapters::eventgrid()?, lists: Lists::WholeOrAnswer })
        }
        Origin::Eventbridge => aws(Service::EventBridge),
        Origin::S3 => aws(Service::S3),
        Origin::Sns => aws(Service::Sns),
        Origin::Sqs => aws(Service::Sqs),
        Origin::Lambda => aws(Service::Lambda),
        Origin::Github => Ok(each(adapters::github())),
        Origin::Http => {
            let text = |given: &Option<String>, otherwise: &str| {
                given.clone().unwrap_or_else(|| otherwise.to_owned())
            };
            let (source, ty) = (text(&args.source, "/http"), text(&args.ty, "http.request"));
            Event::new("1", &source, &ty).map_err(|why| invalid(why.to_string()))?;
            let id_header = args.id_header.as_deref().map(str::parse).transpose();
            let id_header = id_header.map_err(|_| invalid("--id-header: the name of a header".to_owned()))?;
            Ok(whole(adapters::http(source, ty, id_header, Ids::new(Rng::new()))))
        }
    }
}

fn told(item: Result<Event, Malformed>) -> Item {
    item.map_err(|malformed| malformed.why)
}

/// The head of a request with these headers; its type is that of what its body is, where they do not say it.
fn parts(mut headers: HeaderMap, body: &Bytes) -> Parts {
    if !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(type_of(body)));
    }
    let mut request = http::Request::new(());
    *request.headers_mut() = headers;
    let (parts, ()) = request.into_parts();
    parts
}

/// What a sender would say of this body: that it is a `CloudEvent`, several, or other JSON.
fn type_of(body: &Bytes) -> &'static str {
    let is_event = |json: &str| json::member(json, &["specversion"]).is_some();
    let Ok(text) = std::str::from_utf8(body) else { return "application/octet-stream" };
    match text.trim_ascii_start().as_bytes().first() {
        Some(b'{') if is_event(text) => json::CONTENT_TYPE,
        Some(b'[') => {
            let members: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
            let is_batch = members.first().is_some_and(|first| is_event(first.get()));
            if is_batch { json::BATCH_CONTENT_TYPE } else { "application/json" }
        }
        _ => "application/json",
    }
}
