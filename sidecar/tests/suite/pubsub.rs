//! Pub/Sub: a topic and an ordered subscription to it, pulled from a server of the test's own. Each of the two servers
//! has what the other lacks, so the suite runs over both.

use std::{net::SocketAddr, time::Duration};

use futures_util::future::BoxFuture;
use outrigger_testkit::{
    Outgoing, Proxy, Trouble,
    pubsub::{self, Message, PROJECT, Server},
    suite::{Adapter, Capabilities, Declared, Reconnect, Sidecar, Source, Way},
};
use serde_json::json;

/// Google's in-memory server: one message of a key in flight, no flow control, no repeat of a key's tail.
pub(crate) mod google {
    outrigger_testkit::suite!(super::Google, crate::shipped());
}

/// The fake, by the published protocol: all messages of a key at once, flow control, a key's tail again.
pub(crate) mod fake {
    outrigger_testkit::suite!(super::Fake, crate::shipped());
}

/// `ingress.pubsub.lease`, the shortest that Pub/Sub has.
const LEASE: Duration = Duration::from_secs(10);

const fn capabilities(source: &'static str, duplicates: Declared<()>) -> Capabilities {
    Capabilities {
        source,
        // Google's client gathers acknowledgements for so long.
        settles_within: Duration::from_millis(200),
        ahead: 0,
        order: Declared::Has(()),
        duplicates,
        lease: Declared::Has(LEASE),
        reconnect: Declared::Has(Reconnect {
            troubles: &[Trouble::Close, Trouble::Reset, Trouble::Swallow],
            repeats: true,
        }),
    }
}

/// A place on Google's server.
pub(crate) struct Google(Place);

/// A place on the fake.
pub(crate) struct Fake(Place);

struct Place {
    server: Server,
    topic: String,
    subscription: String,
    proxy: Option<Proxy>,
}

impl Adapter for Google {
    const CAPABILITIES: Capabilities = capabilities(
        "pubsub (Google's)",
        Declared::Lacks("it has one message of a key in flight, so both copies are never in hand"),
    );

    async fn place(name: &str, way: Way) -> Option<Self> {
        Some(Self(Place::on(pubsub::google(name)?, name, name, way).await))
    }
}

impl Adapter for Fake {
    const CAPABILITIES: Capabilities = capabilities("pubsub (fake)", Declared::Has(()));

    async fn place(name: &str, way: Way) -> Option<Self> {
        Some(Self(Place::on(pubsub::fake(name)?, name, name, way).await))
    }
}

impl Fake {
    /// A new topic, and a subscription to it; `None` after `test` was skipped.
    pub(crate) async fn on(test: &str, topic: &str, subscription: &str) -> Option<Self> {
        Some(Self(Place::on(pubsub::fake(test)?, topic, subscription, Way::Direct).await))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.server.address()
    }
}

impl Source for Google {
    fn settings(&self) -> Vec<(String, String)> {
        self.0.settings()
    }

    fn publish<'a>(&'a self, events: &'a [Outgoing]) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(self.0.publish(events))
    }

    fn unsettled<'a>(&'a self, _: &'a Sidecar) -> BoxFuture<'a, Result<usize, String>> {
        Box::pin(async { Ok(self.0.unsettled().await.0) })
    }

    fn proxy(&self) -> Option<&Proxy> {
        self.0.proxy.as_ref()
    }
}

impl Source for Fake {
    fn settings(&self) -> Vec<(String, String)> {
        self.0.settings()
    }

    fn publish<'a>(&'a self, events: &'a [Outgoing]) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(self.0.publish(events))
    }

    fn unsettled<'a>(&'a self, _: &'a Sidecar) -> BoxFuture<'a, Result<usize, String>> {
        Box::pin(async { Ok(self.0.unsettled().await.0) })
    }

    /// Google's, without flow control, counts what it has sent and nobody has read.
    fn handed_out(&self) -> BoxFuture<'_, Option<usize>> {
        Box::pin(async { Some(self.0.unsettled().await.1) })
    }

    fn proxy(&self) -> Option<&Proxy> {
        self.0.proxy.as_ref()
    }
}

impl Place {
    /// A new topic, and a subscription to it that keeps the order.
    async fn on(server: Server, topic: &str, subscription: &str, way: Way) -> Self {
        server.topic(topic).await;
        server.subscription(subscription, topic, json!({"enableMessageOrdering": true})).await;
        let proxy = (way == Way::Proxied).then(|| Proxy::start(server.address()));
        Self { server, topic: topic.to_owned(), subscription: subscription.to_owned(), proxy }
    }

    fn settings(&self) -> Vec<(String, String)> {
        let address = self.proxy.as_ref().map_or(self.server.address(), Proxy::addr);
        let settings = [
            ("pubsub.project", PROJECT.to_owned()),
            ("pubsub.endpoint", format!("\"http://{address}\"")),
            ("ingress.pubsub.subscription", self.subscription.clone()),
            ("ingress.pubsub.lease", format!("{}s", LEASE.as_secs())),
            ("ingress.pubsub.probe_every", "200ms".to_owned()),
            ("ingress.pubsub.retry_max", "500ms".to_owned()),
        ];
        settings.map(|(path, value)| (path.to_owned(), value)).into()
    }

    /// By Google's client for Go, one ordering key after the other as they come.
    async fn publish(&self, events: &[Outgoing]) -> Result<(), String> {
        let messages: Vec<_> = events.iter().map(Message::binary).collect();
        let ids = self.server.publish(&self.topic, &messages).await;
        if ids.len() == events.len() { Ok(()) } else { Err(format!("{} of {}", ids.len(), events.len())) }
    }

    /// Messages that nobody acknowledged, and those of them that were delivered.
    async fn unsettled(&self) -> (usize, usize) {
        let told = self.server.messages(&self.topic).await;
        let open: Vec<_> = told.iter().filter(|message| message.acks == 0).collect();
        (open.len(), open.iter().filter(|message| message.deliveries > 0).count())
    }
}
