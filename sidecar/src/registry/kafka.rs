//! Kafka behind the sidecar's own traits.

use super::{
    Feed, Home, Series, Wish, secret,
    tokens::{self, PasswordFile},
};
use crate::config::{self, Config};
use fastrand::Rng;
use outrigger_core::{BoxFuture, Error, Kind, Result, Source};
use outrigger_kafka::{
    Ask, Cluster, Kafka, KafkaSink, Mode, Order, PartitionStatus, Rebalance, Sasl, SinkConfig, StartAt,
    Status, Tls, decode::Plain,
};
use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What a cluster is wanted for.
pub(super) enum Purpose {
    /// To be checked: nobody is asked for a token.
    Look,
    /// To be entered. Where tokens are needed, instances ask for them a little apart.
    Connect(Rng),
}

/// The cluster as the adapter takes it, checked; secrets are read here for the first time.
pub(super) fn cluster(
    kafka: &config::Kafka,
    outgoing: &config::Outgoing,
    purpose: Purpose,
) -> Result<Cluster> {
    let file = |file: &Option<PathBuf>| file.as_ref().map(|file| file.display().to_string());
    let cluster = Cluster {
        brokers: kafka.brokers.clone(),
        client_id: kafka.client_id.clone(),
        tls: kafka.tls.as_ref().map(|tls| Tls {
            ca: file(&tls.ca),
            certificate: file(&tls.certificate),
            key: file(&tls.key),
        }),
        sasl: kafka.sasl.as_ref().map(|named| sasl(named, outgoing, purpose)).transpose()?,
        properties: kafka.properties.clone(),
    };
    cluster.check()?;
    Ok(cluster)
}

fn sasl(sasl: &config::Sasl, outgoing: &config::Outgoing, purpose: Purpose) -> Result<Sasl> {
    match sasl {
        config::Sasl::Password { mechanism, username, password_file } => Ok(Sasl::Password {
            mechanism,
            username: username.clone().unwrap_or_default(),
            password: Arc::new(PasswordFile(password_file.clone().unwrap_or_default())),
        }),
        config::Sasl::Token { client_secret_file, .. } => {
            secret::read(
                "kafka.sasl.client_secret_file",
                client_secret_file.as_deref().unwrap_or(Path::new("")),
            )?;
            match purpose {
                Purpose::Look => tokens::check(sasl, outgoing).map(Sasl::Token),
                Purpose::Connect(jitter) => tokens::keep(sasl, outgoing, jitter).map(Sasl::Token),
            }
        }
    }
}

/// The source, where topics are named.
pub(super) fn source(config: &Config, cluster: &Cluster) -> Result<Option<Arc<dyn Feed>>> {
    if config.ingress.kafka.as_ref().is_none_or(|ingress| ingress.topics.is_empty()) {
        return Ok(None);
    }
    let settings = settings(config, cluster)?;
    settings.check()?;
    Ok(Some(Arc::new(KafkaFeed(Kafka::new(settings)))))
}

/// How records are read: as the source is configured, else by default, which serves a replay.
pub(super) fn settings(config: &Config, cluster: &Cluster) -> Result<outrigger_kafka::Config> {
    let Some(ingress) = &config.ingress.kafka else {
        let order = Order::Key(config.delivery.key.clone());
        return Ok(outrigger_kafka::Config {
            order,
            ..outrigger_kafka::Config::new(cluster.clone(), "", &[])
        });
    };
    let content_type = ingress.content_type.as_deref();
    let plain = Plain::new(&ingress.source, &ingress.ty, content_type, ingress.schema_registry);
    let plain = plain.map_err(|why| Error::new(Kind::Invalid, format!("ingress.kafka: {why}")))?;
    let group = ingress.group.clone().unwrap_or_default();
    Ok(outrigger_kafka::Config {
        topics: ingress.topics.clone(),
        instance: ingress.instance.clone(),
        rebalance: match ingress.rebalance {
            config::Rebalance::Cooperative => Rebalance::Cooperative,
            config::Rebalance::Eager => Rebalance::Eager,
            config::Rebalance::Consumer => Rebalance::Consumer,
        },
        start: start_at(ingress.start),
        plain,
        order: match ingress.order {
            config::Order::Key => Order::Key(config.delivery.key.clone()),
            config::Order::Partition => Order::Partition,
            config::Order::None => Order::None,
        },
        commit_every: ingress.commit_every,
        metadata_bytes_max: ingress.metadata_bytes_max,
        partition_events_max: ingress.partition_events_max,
        record_bytes_max: ingress.record_bytes_max,
        prefetch_bytes_max: ingress.prefetch_bytes_max,
        revoke_timeout: ingress.revoke_timeout,
        pause_after: ingress.pause_after,
        stalled_after: ingress.stalled_after,
        stats_every: ingress.stats_every,
        leave_timeout: ingress.leave_timeout,
        hop: super::hop(config),
        ..outrigger_kafka::Config::new(cluster.clone(), &group, &[])
    })
}

/// A topic that is written: its name in readiness, the topic, and how.
pub(super) type Written<'a> = (Cow<'static, str>, &'a str, config::Mode);

/// A topic that is written.
pub(super) fn sink(kafka: &config::Kafka, cluster: &Cluster, written: Written<'_>) -> Result<Arc<KafkaSink>> {
    KafkaSink::connect(sink_settings(kafka, cluster, written))
}

/// How a topic is written.
pub(super) fn sink_settings(
    kafka: &config::Kafka,
    cluster: &Cluster,
    (name, topic, mode): Written<'_>,
) -> SinkConfig {
    SinkConfig {
        mode: match mode {
            config::Mode::Binary => Mode::Binary,
            config::Mode::Structured => Mode::Structured,
            config::Mode::Protobuf => Mode::Protobuf,
        },
        compression: kafka.producer.compression,
        buffer_bytes_max: kafka.producer.buffer_bytes_max,
        timeout: kafka.producer.timeout,
        ..SinkConfig::new(cluster.clone(), name, topic)
    }
}

impl Home for KafkaSink {
    fn name(&self) -> &str {
        KafkaSink::name(self)
    }

    fn trouble(&self) -> Option<String> {
        KafkaSink::trouble(self)
    }
}

/// Where reading begins, as the adapter takes it.
pub(super) fn start_at(start: config::Start) -> StartAt {
    match start {
        config::Start::Earliest => StartAt::Earliest,
        config::Start::Latest => StartAt::Latest,
        config::Start::Time(ms) => StartAt::Time(ms),
        config::Start::Offset(offset) => StartAt::Offset(offset),
    }
}

/// A number of one partition: name, help, and how it is read.
type OfPartition = (&'static str, &'static str, fn(&PartitionStatus) -> u64);
/// A number of the whole source.
type OfSource = (&'static str, &'static str, fn(&Status) -> u64);

const PER_PARTITION: [OfPartition; 5] = [
    ("outrigger_kafka_lag_records", "Records from the commit to the end of the partition", |p| p.lag_records),
    ("outrigger_kafka_lag_seconds", "Age of the oldest record that is not settled", |p| p.lag_seconds),
    ("outrigger_kafka_in_flight_records", "Records in lanes and at the function", |p| p.in_flight as u64),
    ("outrigger_kafka_paused", "1 while the partition is not fetched from", |p| {
        u64::from(p.paused.is_some())
    }),
    (
        "outrigger_kafka_commit_age_milliseconds",
        "How long something has been settled that the broker has not taken a commit of",
        |p| p.commit_age_ms,
    ),
];

const COUNTERS: [OfSource; 6] = [
    ("outrigger_kafka_rebalances_total", "Assignments and revocations", |s| s.rebalances),
    (
        "outrigger_kafka_fenced_total",
        "Outcomes that came after their partition was lost; the records are delivered again",
        |s| s.fenced,
    ),
    ("outrigger_kafka_commits_total", "Commits that the broker took", |s| s.commits),
    ("outrigger_kafka_commit_failures_total", "Commits that it did not take", |s| s.commits_failed),
    ("outrigger_kafka_heals_total", "Clients that were made anew", |s| s.heals),
    ("outrigger_kafka_missing_records_total", "Records that retention removed before they were read", |s| {
        s.missing
    }),
];

struct KafkaFeed(Arc<Kafka>);

impl Feed for KafkaFeed {
    fn source(&self) -> Arc<dyn Source> {
        self.0.clone()
    }

    fn trouble(&self) -> Option<String> {
        self.0.trouble()
    }

    fn note(&self) -> String {
        let status = self.0.status();
        let mut paused = status.partitions.iter().filter(|partition| partition.paused.is_some());
        let mut count = format!("{} partitions", status.partitions.len());
        if !status.brokers_down.is_empty() {
            count = format!("{count}, without {}", status.brokers_down.join(", "));
        }
        match paused.next() {
            None => count,
            Some(first) => format!(
                "{count}, {} paused, such as {}/{}: {}",
                paused.count() + 1,
                first.topic,
                first.partition,
                first.paused.as_deref().unwrap_or_default()
            ),
        }
    }

    fn series(&self) -> Vec<Series> {
        let status = self.0.status();
        let per_partition = PER_PARTITION.iter().map(|(name, help, of)| Series {
            name,
            help,
            labels: &["topic", "partition"],
            is_counter: false,
            rows: status
                .partitions
                .iter()
                .map(|partition| {
                    (vec![partition.topic.clone(), partition.partition.to_string()], of(partition))
                })
                .collect(),
        });
        let counters = COUNTERS.iter().map(|(name, help, of)| Series {
            name,
            help,
            labels: &[],
            is_counter: true,
            rows: vec![(Vec::new(), of(&status))],
        });
        per_partition.chain(counters).collect()
    }

    fn status(&self) -> serde_json::Value {
        serde_json::json!(self.0.status())
    }

    fn ask<'a>(
        &'a self,
        wish: Wish,
        topic: &'a str,
        partition: Option<i32>,
    ) -> BoxFuture<'a, Result<Vec<String>>> {
        let ask = match wish {
            Wish::Pause => Ask::Pause,
            Wish::Resume => Ask::Resume,
            Wish::Skip { to } => Ask::Skip { to },
        };
        Box::pin(async move {
            let done = self.0.ask(ask, topic, partition).await?;
            Ok(done.iter().map(ToString::to_string).collect())
        })
    }
}
