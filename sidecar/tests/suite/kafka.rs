//! Kafka: a topic of three partitions and a group on the broker that the tests share.

use std::time::Duration;

use futures_util::future::BoxFuture;
use outrigger_testkit::{
    Outgoing, Proxy, Trouble,
    kafka::{self, Broker, Client, Record, Settings},
    suite::{Adapter, Capabilities, Declared, Reconnect, Sidecar, Source, Way},
};

outrigger_testkit::suite!(Kafka, crate::shipped());

const PARTITIONS: i32 = 3;

/// `max.poll.interval.ms`: how long a member may take between two polls.
const LEASE: Duration = Duration::from_secs(3);

/// Members that die are missed after a second. What gets no answer fails after a second, too.
const PROPERTIES: &str = "{session.timeout.ms: 1000, heartbeat.interval.ms: 100, max.poll.interval.ms: 3000, \
                          socket.timeout.ms: 1000, reconnect.backoff.max.ms: 500}";
/// A member that is missed loses its partitions, and what it settled meanwhile is repeated: it is cut off for less.
const PATIENT: &str = "{session.timeout.ms: 30000, heartbeat.interval.ms: 100, max.poll.interval.ms: 30000, \
                       socket.timeout.ms: 1000, reconnect.backoff.max.ms: 500}";

pub(crate) struct Kafka {
    broker: Broker,
    client: Client,
    topic: String,
    group: String,
    way: Way,
}

impl Adapter for Kafka {
    const CAPABILITIES: Capabilities = Capabilities {
        source: "kafka",
        // `ingress.kafka.commit_every`
        settles_within: Duration::from_millis(100),
        ahead: 0,
        order: Declared::Has(()),
        duplicates: Declared::Has(()),
        lease: Declared::Has(LEASE),
        reconnect: Declared::Has(Reconnect {
            troubles: &[Trouble::Close, Trouble::Reset, Trouble::Swallow],
            repeats: false,
        }),
    };

    async fn place(name: &str, way: Way) -> Option<Self> {
        let broker = match way {
            Way::Direct => kafka::shared(name).await?.clone(),
            Way::Proxied => kafka::broker_with(name, Settings::default().proxied()).await?,
        };
        Some(Self::on(&broker, name, name, way).await)
    }
}

impl Kafka {
    /// A new topic, and a group that has read nothing of it.
    pub(crate) async fn on(broker: &Broker, topic: &str, group: &str, way: Way) -> Self {
        let client = broker.client();
        client.create_topic(topic, PARTITIONS, &[]).await.expect("a new topic");
        Self { broker: broker.clone(), client, topic: topic.to_owned(), group: group.to_owned(), way }
    }
}

impl Source for Kafka {
    fn settings(&self) -> Vec<(String, String)> {
        let (brokers, properties) = match self.way {
            Way::Direct => (self.broker.bootstrap(), PROPERTIES),
            Way::Proxied => (self.broker.proxied(), PATIENT),
        };
        let settings = [
            ("kafka.brokers", brokers.as_str()),
            ("kafka.properties", properties),
            ("ingress.kafka.topics", &self.topic),
            ("ingress.kafka.group", &self.group),
            // A member of a name takes its own place again at once; another waits for the session of the dead one.
            ("ingress.kafka.instance", "one"),
        ];
        settings.map(|(path, value)| (path.to_owned(), value.to_owned())).into()
    }

    fn publish<'a>(&'a self, events: &'a [Outgoing]) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async {
            let records: Vec<_> = events.iter().map(|event| record(&self.topic, event)).collect();
            self.client.produce(records).await.map(drop).map_err(|error| error.to_string())
        })
    }

    /// The group's lag.
    fn unsettled<'a>(&'a self, _: &'a Sidecar) -> BoxFuture<'a, Result<usize, String>> {
        Box::pin(async {
            let told = |error: kafka::KafkaError| error.to_string();
            let committed = self.client.committed(&self.group, &self.topic).await.map_err(told)?;
            let mut lag = 0;
            for partition in 0..PARTITIONS {
                let (first, end) = self.client.offsets(&self.topic, partition).await.map_err(told)?;
                lag += end - committed.get(&partition).map_or(first, |committed| committed.offset);
            }
            usize::try_from(lag).map_err(|_| format!("a lag of {lag}"))
        })
    }

    fn proxy(&self) -> Option<&Proxy> {
        (self.way == Way::Proxied).then(|| self.broker.proxy())
    }
}

/// The record of an event in binary mode (Kafka binding 3.2).
fn record(topic: &str, event: &Outgoing) -> Record {
    let record = Record::new(topic, event.data.clone());
    let named = event.attributes().map(|(name, text)| (format!("ce_{name}"), text));
    let record = named.fold(record, |record, (name, text)| record.header(&name, text));
    let typed =
        event.content_type.iter().fold(record, |record, text| record.header("content-type", text.as_str()));
    event.key.iter().fold(typed, |record, key| record.key(key.as_str()))
}
