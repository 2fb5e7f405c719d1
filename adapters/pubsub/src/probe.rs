//! What is asked of a subscription of which nothing came for a while: whether it can be reached at all.
//!
//! Google's client opens a stream that broke again and again without a word, so an outage would look like a quiet
//! subscription. The question is `GetSubscription`, for which a subscriber may lack the right: then the answer is a
//! refusal, and Pub/Sub was reached all the same.

use crate::{Link, status::SubscriptionStatus, trouble};
use google_cloud_gax::{error::rpc::Code, retry_policy::NeverRetry};
use google_cloud_pubsub::client::SubscriptionAdmin;
use outrigger_core::{Error, Kind, Result};
use std::time::Duration;

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Asks.
pub(crate) struct Probe(SubscriptionAdmin);

/// What was learnt.
pub(crate) enum Heard {
    /// It can be reached, and this is what it says of itself.
    Of(Box<dyn FnOnce(&mut SubscriptionStatus) + Send>),
    /// It can be reached, and we may not ask more.
    Reached,
}

impl Probe {
    pub(crate) async fn new(link: &Link) -> Result<Self> {
        let mut builder = SubscriptionAdmin::builder()
            .with_credentials(link.credentials()?)
            .with_retry_policy(NeverRetry)
            .with_attempt_timeout(ANSWER_MAX);
        if let Some(endpoint) = &link.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let built = builder.build().await;
        built.map(Self).map_err(|error| {
            Error::new(Kind::Invalid, format!("pubsub: a client: {}", trouble::chain(&error)))
        })
    }

    /// Asks after a subscription. Cancel safe.
    ///
    /// # Errors
    /// Why it cannot be read: it is missing, or cannot be reached, or there is no token to ask with.
    pub(crate) async fn ask(&self, subscription: &str) -> Result<Heard> {
        let asked = self.0.get_subscription().set_subscription(subscription).send().await;
        match asked {
            Ok(found) => Ok(Heard::Of(Box::new(move |status| {
                status.is_exactly_once = Some(found.enable_exactly_once_delivery);
                status.is_ordered = Some(found.enable_message_ordering);
                status.delivery_attempts_max = found.dead_letter_policy.map(|it| it.max_delivery_attempts);
            }))),
            Err(error) => {
                let denied = error.status().is_some_and(|status| status.code == Code::PermissionDenied)
                    || error.http_status_code() == Some(403);
                if denied {
                    return Ok(Heard::Reached);
                }
                Err(trouble::error(&error, &format!("asking after {subscription}")))
            }
        }
    }
}
