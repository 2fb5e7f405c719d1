//! What a Kafka source is made of, with the properties that librdkafka is given for it.

use crate::{Cluster, cluster, decode::Plain, login::Login};
use outrigger_core::Result;
use rdkafka::ClientConfig;
use std::{sync::Arc, time::Duration};

/// How the group shares partitions out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebalance {
    /// The classic protocol; members keep what stays theirs (`cooperative-sticky`).
    Cooperative,
    /// The classic protocol; every change takes everything from everybody (`range`, `roundrobin`).
    Eager,
    /// The protocol of KIP-848: the broker decides. It needs Kafka 4.0 or later.
    Consumer,
}

/// Where a partition begins that the group has no commit of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// With the oldest record.
    Earliest,
    /// With what comes from now on. A partition that is added to a topic while it is read begins with its oldest
    /// record.
    Latest,
    /// With the first record of that time or later, in Unix milliseconds.
    Time(i64),
    /// With this offset of every partition, or the oldest record after it.
    Offset(i64),
}

/// What runs one at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// The records of one key; of those without one, the events that share the first of these attributes that
    /// they have.
    Key(Vec<String>),
    /// The records of one partition.
    Partition,
    /// Nothing: all run as they come.
    None,
}

/// A source.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its name in metrics, keys and dead letters.
    pub name: Arc<str>,
    /// The cluster.
    pub cluster: Cluster,
    /// Topics by name, or by pattern where they begin with `^`.
    pub topics: Vec<String>,
    /// The consumer group.
    pub group: String,
    /// The name of this member where membership is static: a restart within the session moves no partition.
    pub instance: Option<String>,
    /// How the group shares partitions out.
    pub rebalance: Rebalance,
    /// Where a partition begins that the group has no commit of.
    pub start: StartAt,
    /// What becomes of records that are no `CloudEvents`.
    pub plain: Plain,
    /// What runs one at a time.
    pub order: Order,
    /// How often what settled is committed.
    pub commit_every: Duration,
    /// The most bytes of a commit's metadata; the broker's `offset.metadata.max.bytes`.
    pub metadata_bytes_max: usize,
    /// The most records of one partition in hand, where there are several and its oldest one holds it up (a key
    /// that is parked or backs off); three times as many while it flows.
    pub partition_events_max: usize,
    /// A larger record becomes a dead letter.
    pub record_bytes_max: usize,
    /// The most bytes that are fetched ahead.
    pub prefetch_bytes_max: usize,
    /// How long what runs may take when its partition is given up.
    pub revoke_timeout: Duration,
    /// How long a full window is waited for before fetching is paused.
    pub pause_after: Duration,
    /// How long nothing may come in although there are records, before the client is made anew.
    pub stalled_after: Duration,
    /// How long the last commit of a drain may take.
    pub leave_timeout: Duration,
    /// How often the ends of the partitions are asked for: the freshness of the lag.
    pub stats_every: Duration,
    /// When a seek that seems to have been lost is sent again.
    pub seek_again: Duration,
    /// The headers that are kept beside the event, such as `traceparent`: in small letters, as they are sent.
    pub hop: &'static [&'static str],
}

impl Config {
    /// The source of these topics for this group, everything else by default.
    #[must_use]
    pub fn new(cluster: Cluster, group: &str, topics: &[&str]) -> Self {
        Self {
            name: "kafka".into(),
            cluster,
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            group: group.to_owned(),
            instance: None,
            rebalance: Rebalance::Cooperative,
            start: StartAt::Earliest,
            plain: Plain::default(),
            order: Order::Key(vec!["partitionkey".to_owned()]),
            commit_every: Duration::from_millis(100),
            metadata_bytes_max: 4096,
            partition_events_max: 256,
            record_bytes_max: 4 << 20,
            prefetch_bytes_max: 2 << 20,
            revoke_timeout: Duration::from_secs(5),
            pause_after: Duration::from_millis(200),
            stalled_after: Duration::from_mins(1),
            leave_timeout: Duration::from_secs(5),
            stats_every: Duration::from_secs(5),
            seek_again: Duration::from_secs(5),
            hop: &[],
        }
    }

    /// Whether librdkafka takes all of it together. Connects to nobody.
    ///
    /// # Errors
    /// `Invalid` with the setting and librdkafka's own words.
    pub fn check(&self) -> Result<()> {
        let login = self.cluster.read_login()?;
        cluster::check::<rdkafka::consumer::BaseConsumer>(self.properties(self.cluster.client(&login)))
    }

    /// The properties of a consumer of the group, and who it says that it is.
    ///
    /// # Errors
    /// `Storage` or `Unreachable` while there is no password or token.
    pub(crate) fn consumer(&self) -> Result<(ClientConfig, Arc<Login>)> {
        let login = self.cluster.login()?;
        Ok((self.properties(self.cluster.client(&login)), login))
    }

    fn properties(&self, client: ClientConfig) -> ClientConfig {
        let mut config = client;
        let given = |name: &str| self.cluster.properties.contains_key(name);
        config.set("group.id", &self.group);
        match self.rebalance {
            Rebalance::Cooperative => config.set("partition.assignment.strategy", "cooperative-sticky"),
            Rebalance::Eager => config.set("partition.assignment.strategy", "range,roundrobin"),
            Rebalance::Consumer => config.set("group.protocol", "consumer"),
        };
        if let Some(instance) = &self.instance {
            config.set("group.instance.id", instance);
        }
        // Commits are ours, after the outcome; where to begin is asked for each partition by itself.
        config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        config.set("auto.offset.reset", "earliest").set("enable.partition.eof", "false");
        config.set("allow.auto.create.topics", "false");
        config.set("statistics.interval.ms", self.stats_every.as_millis().to_string());
        let prefetch = self.prefetch_bytes_max;
        for (name, value) in [
            ("queued.max.messages.kbytes", (prefetch / 1024).max(1).to_string()),
            // The default limit by number would starve small records or hold too many of them.
            ("queued.min.messages", "100000".to_owned()),
            ("fetch.message.max.bytes", (prefetch / 8).clamp(64 << 10, 1 << 20).to_string()),
            // Without it a full queue stops fetching for a second, and throughput drops to a tenth.
            ("fetch.queue.backoff.ms", "10".to_owned()),
            ("fetch.wait.max.ms", "100".to_owned()),
            ("check.crcs", "true".to_owned()),
            ("isolation.level", "read_committed".to_owned()),
            ("topic.metadata.refresh.interval.ms", "30000".to_owned()),
        ] {
            if !given(name) {
                config.set(name, value);
            }
        }
        config
    }
}
