//! A path that a service of AWS sends to, and how it is answered.
//!
//! EventBridge and SNS try again what is answered 429 or 5xx, and give up at once what is answered otherwise than 2xx; so
//! what can never be an event is kept as a dead letter, and nothing that may pass is answered as if it were for good.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode, Uri, request::Parts};
use outrigger_core::{
    Error, Event, Inbound, Inbox, Outcome, Refused, Result, Settlement,
    event::json,
    inbound::{self, empty},
};

use crate::decode::{self, Member, Origin};

/// A path.
#[derive(Debug, Clone)]
pub struct Push {
    /// Who sends to it.
    pub origin: Origin,
    /// The source of messages of SQS that do not name their queue.
    pub queue: Option<String>,
    /// The most events in one request.
    pub batch_events_max: usize,
    /// What becomes of a topic of SNS that asks whether its messages are wanted.
    pub subscriptions: Subscriptions,
}

/// Which subscriptions of SNS are confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subscriptions {
    /// None. The log says which topic asked; once it is named here, SNS is to ask again.
    Refuse,
    /// Those of these topics, by ARN, by a GET of the URL after the answer. It must be that of SNS itself: https, of a host
    /// `sns.<region>.amazonaws.com` (or `.cn`), without a port or a name in it.
    Follow(Vec<String>),
}

const CONFIRMATION: &str = "com.amazonaws.sns.SubscriptionConfirmation";
const GOODBYE: &str = "com.amazonaws.sns.UnsubscribeConfirmation";

impl Inbound for Push {
    /// # Errors
    /// Status 413 when it has more events than allowed. Whatever else is wrong with it is malformed, and kept.
    fn decode(&self, parts: &Parts, body: Bytes) -> Result<Inbox> {
        let mut items = match decode::events(self.origin, &parts.headers, &body, self.queue.as_deref()) {
            Ok(items) => items,
            Err(why) => vec![Err(decode::malformed(&body, &why))],
        };
        if items.len() > self.batch_events_max {
            let detail = format!("the request has more than {} events", self.batch_events_max);
            return Err(Error::status(413, None, detail));
        }
        if let [Ok(event)] = &items[..]
            && let Some(answer) = self.about_subscription(event)
        {
            return Ok(answer);
        }
        if items.len() > 1 {
            items.iter_mut().for_each(own);
        }
        Ok(Inbox::Events { items, batch: true, hop: Vec::new() })
    }

    fn answer(&self, outcome: &Outcome) -> Response<Bytes> {
        match outcome {
            Outcome::Accepted { .. } => empty(StatusCode::OK),
            Outcome::Settled { settlements, .. } => {
                let is_done = |settlement: &Settlement| matches!(settlement, Settlement::Ack(_));
                if settlements.iter().all(is_done) {
                    return empty(StatusCode::OK);
                }
                let wait = Some(Duration::from_secs(1));
                inbound::refusal_to_come_again(&Error::status(
                    503,
                    wait,
                    "not every event of it is done; send it again",
                ))
            }
            Outcome::Unavailable(error) => inbound::refusal_to_come_again(error),
        }
    }

    fn refused(&self) -> Refused {
        Refused::Drops
    }
}

impl Push {
    /// What SNS asks or tells of a subscription: no event.
    fn about_subscription(&self, event: &Event) -> Option<Inbox> {
        if self.origin != Origin::Sns || !matches!(event.ty(), CONFIRMATION | GOODBYE) {
            return None;
        }
        let topic = event.text("awstopicarn").unwrap_or_default().into_owned();
        let answer = || empty(StatusCode::OK);
        if event.ty() == GOODBYE {
            tracing::info!(topic, "a subscription of SNS was deleted; it sends no more");
            return Some(Inbox::Answer(answer()));
        }
        let refused = |why: &str| {
            tracing::warn!(topic, why, "a subscription of SNS is not confirmed");
            Some(Inbox::Answer(answer()))
        };
        let Subscriptions::Follow(topics) = &self.subscriptions else {
            return refused("ingress.origins.topics names none");
        };
        if !topics.contains(&topic) {
            return refused("ingress.origins.topics does not name its topic");
        }
        match event.data().and_then(|data| confirming_url(data)) {
            Some(url) => Some(Inbox::Confirm { answer: answer(), url }),
            None => refused("its SubscribeURL is none of SNS"),
        }
    }
}

/// The URL that confirms, if it is one of SNS itself: anybody else could have us ask for anything.
fn confirming_url(data: &[u8]) -> Option<Uri> {
    let raw = json::member(str::from_utf8(data).ok()?, &["SubscribeURL"])?;
    let url: Uri = json::text(raw)?.parse().ok()?;
    let authority = url.authority()?.as_str();
    let region = authority.strip_prefix("sns.")?;
    let region =
        region.strip_suffix(".amazonaws.com").or_else(|| region.strip_suffix(".amazonaws.com.cn"))?;
    let is_region = !region.is_empty()
        && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    (url.scheme_str() == Some("https") && is_region).then_some(url)
}

/// With a payload of its own: a slice would keep the whole request in memory until its last event is done.
fn own(item: &mut Member) {
    if let Ok(event) = item {
        event.own_data();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_core::Kind;

    const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:orders";

    fn push(subscriptions: Subscriptions) -> Push {
        Push { origin: Origin::Sns, queue: None, batch_events_max: 2, subscriptions }
    }

    fn asked(push: &Push, body: String) -> Result<Inbox> {
        let (parts, ()) = http::Request::post("/").body(()).unwrap().into_parts();
        push.decode(&parts, body.into())
    }

    fn confirmation(url: &str) -> String {
        format!(
            r#"{{"Type":"SubscriptionConfirmation","MessageId":"1","TopicArn":"{TOPIC}","Message":"m","SubscribeURL":"{url}"}}"#
        )
    }

    const GOOD: &str = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t";

    #[test]
    fn a_subscription_is_confirmed_for_named_topics_alone() {
        let follow = |topic: &str| push(Subscriptions::Follow(vec![topic.to_owned()]));
        let confirmed = |push: &Push| match asked(push, confirmation(GOOD)).unwrap() {
            Inbox::Confirm { answer, url } => {
                assert_eq!((answer.status().as_u16(), url.to_string()), (200, GOOD.to_owned()));
                true
            }
            Inbox::Answer(answer) => {
                assert_eq!(answer.status(), 200);
                false
            }
            other @ Inbox::Events { .. } => panic!("{other:?}"),
        };
        assert!(confirmed(&follow(TOPIC)));
        assert!(!confirmed(&follow("arn:aws:sns:eu-west-1:123456789012:others")));
        assert!(!confirmed(&push(Subscriptions::Refuse)));
    }

    #[test]
    fn only_a_url_of_sns_itself_is_followed() {
        let follow = push(Subscriptions::Follow(vec![TOPIC.to_owned()]));
        for url in [
            "http://sns.eu-west-1.amazonaws.com/",
            "https://sns.eu-west-1.amazonaws.com.example.com/",
            "https://sns.eu-west-1.amazonaws.com@169.254.169.254/",
            "https://sns.eu-west-1.amazonaws.com:8443/",
            "https://sns..amazonaws.com/",
            "https://sns.a.b.amazonaws.com/",
            "https://169.254.169.254/latest/meta-data/",
            "/relative",
        ] {
            let read = asked(&follow, confirmation(url)).unwrap();
            assert!(matches!(read, Inbox::Answer(_)), "{url}: {read:?}");
        }
    }

    #[test]
    fn what_is_no_message_is_kept_and_too_many_are_refused() {
        let follow = push(Subscriptions::Refuse);
        match asked(&follow, "{".to_owned()).unwrap() {
            Inbox::Events { items, batch: true, .. } => {
                assert_eq!(&items[0].as_ref().unwrap_err().raw[..], b"{");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(asked(&follow, "[1,2,3]".to_owned()).unwrap_err().told().0, 413);
    }

    #[test]
    fn nothing_that_may_pass_is_answered_as_if_it_were_for_good() {
        let push = push(Subscriptions::Refuse);
        for status in [400, 401, 403, 404] {
            let answer = push.answer(&Outcome::Unavailable(Error::status(status, None, "no")));
            assert_eq!(answer.status(), 503, "{status}");
        }
        assert_eq!(push.answer(&Outcome::Unavailable(Error::new(Kind::Overloaded, "full"))).status(), 429);
        assert_eq!(push.answer(&Outcome::Accepted { events: 1, dead: 1 }).status(), 200);
        let settled = |settlements| Outcome::Settled { settlements, dead: 0 };
        assert_eq!(push.answer(&settled(vec![Settlement::Ack(None)])).status(), 200);
        assert_eq!(push.answer(&settled(vec![Settlement::Release { after: None }])).status(), 503);
    }
}
