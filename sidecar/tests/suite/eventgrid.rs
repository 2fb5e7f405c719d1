//! Event Grid: a topic of a namespace and a queue subscription to it, pulled from the fake.

use std::time::Duration;

use futures_util::future::BoxFuture;
use outrigger_testkit::{
    Outgoing, Producer, Proxy, Trouble,
    eventgrid::{self, QueueSettings},
    suite::{Adapter, Capabilities, Declared, Reconnect, Sidecar, Source, Way},
};
use tempfile::NamedTempFile;

outrigger_testkit::suite!(EventGrid, crate::shipped());

/// How many seconds of the fake's pass in one: locks last at least a minute there.
const SPEED: u32 = 20;

/// A lock of a minute, by our clock.
const LEASE: Duration = Duration::from_secs(3);

pub(crate) struct EventGrid {
    grid: eventgrid::EventGrid,
    topic: String,
    subscription: String,
    proxy: Option<Proxy>,
    producer: Producer,
    /// The file with the access key.
    key: NamedTempFile,
}

impl Adapter for EventGrid {
    const CAPABILITIES: Capabilities = Capabilities {
        source: "eventgrid",
        // `ingress.eventgrid.tell_every`, and the way there
        settles_within: Duration::from_millis(50),
        ahead: 0,
        order: Declared::Lacks("Event Grid keeps none"),
        duplicates: Declared::Has(()),
        lease: Declared::Has(LEASE),
        reconnect: Declared::Has(Reconnect {
            troubles: &[Trouble::Close, Trouble::Reset, Trouble::Swallow],
            repeats: true,
        }),
    };

    async fn place(name: &str, way: Way) -> Option<Self> {
        Some(Self::on(name, "s", way))
    }
}

impl EventGrid {
    /// A namespace with this topic, and a subscription of which nothing was taken.
    pub(crate) fn on(topic: &str, subscription: &str, way: Way) -> Self {
        let grid = eventgrid::EventGrid::fast(SPEED);
        grid.fake().put_queue(topic, subscription, QueueSettings::default());
        let key = NamedTempFile::new().expect("a temporary file");
        std::fs::write(&key, eventgrid::EventGrid::KEY).expect("a temporary file can be written");
        let producer =
            Producer::new(&format!("{}/topics/{topic}:publish?api-version=2024-06-01", grid.url()));
        let authorization = format!("SharedAccessKey {}", eventgrid::EventGrid::KEY);
        let producer = producer.with_header("authorization", &authorization);
        let proxy = (way == Way::Proxied).then(|| Proxy::start(grid.fake().addr()));
        let [topic, subscription] = [topic, subscription].map(str::to_owned);
        Self { grid, topic, subscription, proxy, producer, key }
    }

    /// Where the namespace is.
    pub(crate) fn url(&self) -> &str {
        self.grid.url()
    }

    fn left(&self) -> (usize, usize) {
        self.grid.fake().grid().look(|state| state.topics[&self.topic][&self.subscription].left())
    }
}

impl Source for EventGrid {
    fn settings(&self) -> Vec<(String, String)> {
        let address = self.proxy.as_ref().map_or(self.grid.fake().addr(), Proxy::addr);
        let settings = [
            ("eventgrid.endpoint", format!("\"http://{address}\"")),
            ("eventgrid.key_file", self.key.path().display().to_string()),
            ("ingress.eventgrid.topic", self.topic.clone()),
            ("ingress.eventgrid.subscription", self.subscription.clone()),
            ("ingress.eventgrid.lock", format!("{}s", LEASE.as_secs())),
            // A request that gets no answer fails after a second, one for events after eleven.
            ("eventgrid.timeout", "1s".to_owned()),
            ("ingress.eventgrid.wait", "10s".to_owned()),
            ("ingress.eventgrid.backoff.initial", "20ms".to_owned()),
            ("ingress.eventgrid.backoff.max", "500ms".to_owned()),
        ];
        settings.map(|(path, value)| (path.to_owned(), value)).into()
    }

    /// As one batch of JSON, in which the data stands as it was given.
    fn publish<'a>(&'a self, events: &'a [Outgoing]) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let answer = self.producer.send_batch(events).await?;
            match answer.status().as_u16() {
                200 => Ok(()),
                status => Err(format!("{status}: {:?}", answer.body())),
            }
        })
    }

    /// What waits in the queue or is locked.
    fn unsettled<'a>(&'a self, _: &'a Sidecar) -> BoxFuture<'a, Result<usize, String>> {
        let (waiting, locked) = self.left();
        Box::pin(std::future::ready(Ok(waiting + locked)))
    }

    fn handed_out(&self) -> BoxFuture<'_, Option<usize>> {
        let (_, locked) = self.left();
        Box::pin(std::future::ready(Some(locked)))
    }

    fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }
}
