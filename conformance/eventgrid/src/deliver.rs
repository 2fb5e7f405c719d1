//! One webhook subscription at work: its handshake, and then what is due.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use serde_json::{Value, json, value::RawValue};
use tokio::task::JoinSet;

use crate::{
    clock::Moment,
    event::Schema,
    grid::Grid,
    push::{Batch, Push, PushSettings, Standing},
    retry::{Outcome, TIMEOUT},
    topic::resource_id,
    webhooks::{Webhooks, due, uuid},
};

/// Who asks a webhook for leave (CloudEvents' web hooks, 4.1).
const ORIGIN: &str = "eventgrid.azure.net";
/// How long a validation URL can be fetched.
const MANUAL: Duration = Duration::from_mins(5);
/// How often a webhook that does not answer the handshake is asked, and how long after.
const ASKS: u32 = 3;
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// Requests to one webhook at once.
const AT_ONCE: usize = 16;
/// Of a webhook's answer so much is read.
const ANSWER_MAX: usize = 64 << 10;

/// A subscription, as its task knows it. The code tells it from a later one of the same name.
#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    pub(crate) hooks: Webhooks,
    pub(crate) topic: String,
    pub(crate) name: String,
    pub(crate) code: String,
    pub(crate) settings: PushSettings,
    pub(crate) schema: Schema,
}

impl Subscription {
    /// Makes the handshake, and delivers until the subscription is gone.
    pub(crate) async fn run(self) {
        let standing = self.handshake().await;
        self.push(|push| {
            // Whoever has fetched the URL meanwhile has validated it.
            if push.standing == Standing::Validating {
                push.standing = standing;
            }
        });
        self.hooks.grid.change(|_| {});
        let mut attempts = JoinSet::new();
        loop {
            let mut changes = self.hooks.grid.changes();
            let now = self.hooks.grid.clock.now();
            let Some((batch, due)) = self.push(|push| next(push, now, attempts.len())) else { return };
            if let Some(batch) = batch {
                let subscription = self.clone();
                attempts.spawn(async move { subscription.attempt(batch).await });
                continue;
            }
            tokio::select! {
                _ = changes.changed() => {}
                Some(_) = attempts.join_next() => {}
                // What was due may have ended a handshake, which somebody waits to hear of.
                () = sleep_until(&self.hooks.grid, due) => self.hooks.grid.change(|_| {}),
            }
        }
    }

    /// Works on this subscription, if it is still there.
    fn push<T>(&self, work: impl FnOnce(&mut Push) -> T) -> Option<T> {
        self.hooks.grid.note(|state| {
            let push = state.custom.get_mut(&self.topic)?.subscriptions.get_mut(&self.name)?;
            (push.code == self.code).then(|| work(push))
        })
    }

    async fn attempt(&self, batch: Batch) {
        let Batch { id, events, earlier } = batch;
        let batched = self.settings.max_events_per_batch > 1;
        let (content_type, body) = match self.schema {
            Schema::EventGridSchema => {
                let grid: Vec<&RawValue> = events.iter().map(|event| &*event.raw).collect();
                ("application/json; charset=utf-8", to_json(&grid))
            }
            Schema::CloudEventSchemaV1_0 => {
                let cloud: Vec<Box<RawValue>> = events.iter().map(|event| cloud_json(event)).collect();
                match cloud.as_slice() {
                    [one] if !batched => ("application/cloudevents+json; charset=utf-8", to_json(one)),
                    several => ("application/cloudevents-batch+json; charset=utf-8", to_json(&several)),
                }
            }
        };
        let mut request = self.request(Method::POST, "Notification", content_type, body);
        let headers = request.headers_mut();
        headers.insert("aeg-delivery-count", HeaderValue::from(earlier));
        headers.insert("aeg-output-event-id", text(&uuid()));
        if self.schema == Schema::EventGridSchema {
            let version = events.first().and_then(|event| event.text("dataVersion")).unwrap_or_default();
            headers.insert("aeg-data-version", text(version));
        }
        let outcome =
            self.send(request).await.map_or_else(|outcome| outcome, |(status, _, _)| Outcome::Status(status));
        let now = self.hooks.grid.clock.now();
        self.push(|push| push.ended(id, outcome, now));
        self.hooks.grid.change(|_| {});
    }

    async fn handshake(&self) -> Standing {
        let mut answered = Err(Outcome::TimedOut);
        let clock = &self.hooks.grid.clock;
        let mut again = clock.now();
        for _ in 0..ASKS {
            clock.sleep_until(again).await;
            let request = match self.schema {
                Schema::EventGridSchema => self.validation_event(),
                Schema::CloudEventSchemaV1_0 => self.validation_options(),
            };
            answered = self.send(request).await;
            if !matches!(answered, Err(Outcome::TimedOut)) {
                break;
            }
            again = clock.now().plus(ASK_AGAIN);
            self.push(|push| push.unanswered += 1);
            self.hooks.grid.change(|_| {});
        }
        let standing = match answered {
            Err(outcome) => Standing::Failed(format!("The webhook was not reached: {outcome:?}.")),
            Ok((status, headers, body)) => match self.schema {
                Schema::EventGridSchema => event_answer(status, &body, &self.code),
                Schema::CloudEventSchemaV1_0 => options_answer(status, &headers),
            },
        };
        match standing {
            Standing::AwaitingManualAction(_) => {
                Standing::AwaitingManualAction(self.hooks.grid.clock.now().plus(MANUAL))
            }
            other => other,
        }
    }

    fn validation_event(&self) -> Request<Full<Bytes>> {
        let event = json!([{
            "id": uuid(),
            "topic": resource_id(&self.topic),
            "subject": "",
            "data": {"validationCode": self.code, "validationUrl": self.validation_url()},
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
            "eventTime": self.hooks.grid.clock.now(),
            "metadataVersion": "1",
            "dataVersion": "2",
        }]);
        let mut request = self.request(
            Method::POST,
            "SubscriptionValidation",
            "application/json; charset=utf-8",
            to_json(&event),
        );
        request.headers_mut().insert("aeg-data-version", HeaderValue::from_static("2"));
        request.headers_mut().insert("aeg-delivery-count", HeaderValue::from_static("0"));
        request
    }

    fn validation_options(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::default());
        *request.method_mut() = Method::OPTIONS;
        *request.uri_mut() = self.settings.endpoint.parse().unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert("webhook-request-origin", HeaderValue::from_static(ORIGIN));
        headers.insert("webhook-request-callback", text(&self.validation_url()));
        self.own_headers(&mut request);
        request
    }

    fn validation_url(&self) -> String {
        let (base, name, code) = (&self.hooks.base, self.name.to_lowercase(), &self.code);
        let at = self.hooks.grid.clock.now();
        format!("{base}/eventsubscriptions/{name}/validate?id={code}&t={at}&apiVersion=2020-10-15-preview")
    }

    /// Tells the webhook that it will hear no more.
    pub(crate) async fn say_gone(&self) {
        let kind = "Microsoft.EventGrid.SubscriptionDeletedEvent";
        let at = self.hooks.grid.clock.now();
        let subscription = format!("{}/eventSubscriptions/{}", resource_id(&self.topic), self.name);
        let data = json!({"eventSubscriptionId": subscription});
        let (content_type, body) = match self.schema {
            Schema::EventGridSchema => (
                "application/json; charset=utf-8",
                json!([{"id": uuid(), "topic": resource_id(&self.topic), "subject": "", "data": data,
                        "eventType": kind, "eventTime": at, "metadataVersion": "1", "dataVersion": "1"}]),
            ),
            Schema::CloudEventSchemaV1_0 => (
                "application/cloudevents+json; charset=utf-8",
                json!({"specversion": "1.0", "id": uuid(), "source": resource_id(&self.topic), "type": kind,
                       "time": at, "data": data}),
            ),
        };
        // The service does not care for the answer.
        let _ =
            self.send(self.request(Method::POST, "SubscriptionDeletion", content_type, to_json(&body))).await;
    }

    fn request(
        &self,
        method: Method,
        event_type: &'static str,
        content_type: &'static str,
        body: Bytes,
    ) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.settings.endpoint.parse().unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert("aeg-event-type", HeaderValue::from_static(event_type));
        headers.insert("aeg-subscription-name", text(&self.name.to_uppercase()));
        headers.insert("aeg-metadata-version", HeaderValue::from_static("1"));
        self.own_headers(&mut request);
        request
    }

    fn own_headers(&self, request: &mut Request<Full<Bytes>>) {
        for (name, value) in &self.settings.headers {
            if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
                request.headers_mut().insert(name, text(value));
            }
        }
        if let Some(token) = &self.settings.bearer {
            request.headers_mut().insert(header::AUTHORIZATION, text(&format!("Bearer {token}")));
        }
    }

    /// Sends it, and waits as long as the service does.
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<(u16, http::HeaderMap, Bytes), Outcome> {
        let exchange = async {
            let answer = self.hooks.client.request(request).await.map_err(|_| Outcome::SocketError)?;
            let (parts, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_MAX).collect().await.map_err(|_| Outcome::SocketError)?;
            Ok((parts.status.as_u16(), parts.headers, body.to_bytes()))
        };
        let clock = &self.hooks.grid.clock;
        tokio::select! {
            answered = exchange => answered,
            () = clock.sleep_until(clock.now().plus(TIMEOUT)) => Err(Outcome::TimedOut),
        }
    }
}

/// What is to be done now, or when to look again.
fn next(push: &mut Push, now: Moment, running: usize) -> (Option<Batch>, Option<Moment>) {
    match push.standing {
        Standing::AwaitingManualAction(until) if until <= now => {
            push.standing = Standing::Failed("The validation URL was not fetched in time.".to_owned());
            (None, Some(now))
        }
        Standing::Active if running < AT_ONCE => {
            let batch = push.take_due(now);
            (batch, push.next_due())
        }
        Standing::Active => (None, None),
        _ => (None, due(push)),
    }
}

/// Only 200 counts, with the code or (for the second way) without it.
fn event_answer(status: u16, body: &Bytes, code: &str) -> Standing {
    if status != 200 {
        return Standing::Failed(format!(
            "The webhook answered the validation with {status}; only 200 is taken."
        ));
    }
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    match answer.get("validationResponse") {
        Some(response) if response == code => Standing::Active,
        Some(_) => Standing::Failed("The webhook answered with another validation code.".to_owned()),
        None => Standing::AwaitingManualAction(Moment::from_ms(0)),
    }
}

/// Leave is given by a header; without it, by a request to the callback (CloudEvents' web hooks, 4.2).
fn options_answer(status: u16, headers: &http::HeaderMap) -> Standing {
    if !(200..300).contains(&status) {
        return Standing::Failed(format!("The webhook answered OPTIONS with {status}."));
    }
    let allowed = headers.get("webhook-allowed-origin").map(|value| value.to_str().unwrap_or_default());
    match allowed {
        Some("*" | ORIGIN) => Standing::Active,
        Some(other) => Standing::Failed(format!("The webhook allows '{other}', not '{ORIGIN}'.")),
        None => Standing::AwaitingManualAction(Moment::from_ms(0)),
    }
}

async fn sleep_until(grid: &Grid, due: Option<Moment>) {
    match due {
        Some(due) => grid.clock.sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// A `CloudEvent` as it was published; an event of the other schema, mapped.
fn cloud_json(event: &crate::event::Event) -> Box<RawValue> {
    match event.schema {
        Schema::CloudEventSchemaV1_0 => event.raw.clone(),
        Schema::EventGridSchema => serde_json::value::to_raw_value(&event.to_cloud()).unwrap_or_default(),
    }
}

fn to_json(value: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or_else(|_| HeaderValue::from_static(""))
}
