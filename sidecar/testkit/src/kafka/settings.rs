//! What a broker is told: the settings that a test may choose, and the `server.properties` they become.

use std::{
    collections::BTreeMap,
    fmt::Write,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// How a broker differs from the plain one.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub(crate) is_proxied: bool,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) properties: BTreeMap<String, String>,
    /// Further arguments of the tool that formats the data folder.
    pub(crate) format: Vec<String>,
    /// Where its data lies, if not where temporary files do.
    pub(crate) folder: Option<PathBuf>,
}

/// A port that clients may use, beside the plain one.
#[derive(Debug, Clone)]
pub(crate) struct Listener {
    /// In capitals, as Kafka wants its listeners' names.
    pub(crate) name: &'static str,
    pub(crate) protocol: &'static str,
    pub(crate) port: u16,
    /// What clients are told to connect to.
    pub(crate) advertised: u16,
}

impl Settings {
    /// Puts a [`Proxy`](crate::Proxy) before each broker. Clients that come by
    /// [`Broker::proxied`](crate::kafka::Broker::proxied) are told by Kafka itself to connect to the proxies,
    /// so that trouble reaches every connection of theirs and none of the others.
    #[must_use]
    pub fn proxied(mut self) -> Self {
        self.is_proxied = true;
        self
    }

    /// Keeps its data in a folder of its own below `folder`, until the broker is dropped: temporary files may lie
    /// in memory, and a benchmark has more than fits there.
    #[must_use]
    pub fn below(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    pub(crate) fn temporary(&self) -> TempDir {
        let folder = match &self.folder {
            Some(folder) => TempDir::with_prefix_in("kafka-", folder),
            None => TempDir::with_prefix("kafka-"),
        };
        folder.expect("a temporary folder")
    }

    /// Sets one of Kafka's own properties.
    #[must_use]
    pub fn property(mut self, name: &str, value: &str) -> Self {
        self.properties.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// The place of one node among the others.
#[derive(Debug)]
pub(crate) struct Place {
    /// From 1.
    pub(crate) id: u16,
    /// The controller ports of all nodes, by id.
    pub(crate) controllers: Vec<u16>,
    /// The port of the plain listener.
    pub(crate) port: u16,
}

/// The text of `server.properties` for the node at `place` with its data in `data`.
pub(crate) fn properties(place: &Place, settings: &Settings, data: &Path) -> String {
    let plain =
        Listener { name: "PLAINTEXT", protocol: "PLAINTEXT", port: place.port, advertised: place.port };
    let controller_port = place.controllers[usize::from(place.id) - 1];
    let controller =
        Listener { name: "CONTROLLER", protocol: "PLAINTEXT", port: controller_port, advertised: 0 };
    let clients: Vec<&Listener> = std::iter::once(&plain).chain(&settings.listeners).collect();
    let all: Vec<&Listener> = clients.iter().copied().chain([&controller]).collect();
    let voters = (1..).zip(&place.controllers).map(|(id, port)| format!("{id}@127.0.0.1:{port}"));
    let nodes = place.controllers.len();
    let [id, data] = [place.id.to_string(), data.display().to_string()];
    let [replicas, in_sync] = [nodes.min(3).to_string(), if nodes >= 3 { 2 } else { 1 }.to_string()];
    let listed = |listeners: &[&Listener], text: &dyn Fn(&Listener) -> String| {
        listeners.iter().map(|listener| text(listener)).collect::<Vec<_>>().join(",")
    };
    let mut lines: BTreeMap<&str, String> = [
        ("process.roles", "broker,controller"),
        ("node.id", &id),
        ("log.dirs", &data),
        ("controller.listener.names", "CONTROLLER"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        ("auto.create.topics.enable", "false"),
        ("num.partitions", "1"),
        ("default.replication.factor", &replicas),
        ("min.insync.replicas", &in_sync),
        ("offsets.topic.replication.factor", &replicas),
        ("offsets.topic.num.partitions", "4"),
        ("transaction.state.log.replication.factor", &replicas),
        ("transaction.state.log.min.isr", &in_sync),
        ("transaction.state.log.num.partitions", "4"),
        ("share.coordinator.state.topic.replication.factor", &replicas),
        ("share.coordinator.state.topic.min.isr", &in_sync),
        ("share.coordinator.state.topic.num.partitions", "4"),
        ("group.initial.rebalance.delay.ms", "0"),
        // Members may ask to be missed after less than a second, in both protocols of groups.
        ("group.min.session.timeout.ms", "500"),
        ("group.consumer.min.session.timeout.ms", "500"),
        ("group.consumer.session.timeout.ms", "2000"),
        ("group.consumer.min.heartbeat.interval.ms", "100"),
        ("group.consumer.heartbeat.interval.ms", "200"),
        // A dead broker is missed after six seconds instead of nine, so that failover tests are quick. One that is alone
        // misses itself: killed, it is not let in again before.
        ("broker.session.timeout.ms", if nodes == 1 { "2000" } else { "6000" }),
        ("broker.heartbeat.interval.ms", "500"),
        // Compaction and retention happen while a test can wait for them.
        ("log.initial.task.delay.ms", "500"),
        ("log.retention.check.interval.ms", "500"),
        ("log.cleaner.backoff.ms", "200"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into();
    lines.insert("controller.quorum.voters", voters.collect::<Vec<_>>().join(","));
    lines.insert("listeners", listed(&all, &|it| format!("{}://127.0.0.1:{}", it.name, it.port)));
    let advertised = |it: &Listener| format!("{}://127.0.0.1:{}", it.name, it.advertised);
    lines.insert("advertised.listeners", listed(&clients, &advertised));
    lines
        .insert("listener.security.protocol.map", listed(&all, &|it| format!("{}:{}", it.name, it.protocol)));
    lines.extend(settings.properties.iter().map(|(name, value)| (name.as_str(), value.clone())));
    lines.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name}={value}");
        text
    })
}
