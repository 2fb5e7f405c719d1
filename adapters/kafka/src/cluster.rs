//! A cluster and how it is entered: what librdkafka is given for it, and what it is not.

use crate::login::{Login, Sasl};
use outrigger_core::{Error, Kind, Result};
use rdkafka::{
    ClientConfig,
    config::FromClientConfig,
    consumer::BaseConsumer,
    error::{KafkaError, KafkaResult},
};
use std::{collections::BTreeMap, fmt, fs::File, sync::Arc};

/// A cluster and how it is entered; shared by source and sink.
#[derive(Clone)]
pub struct Cluster {
    /// `host:port` of at least one broker.
    pub brokers: Vec<String>,
    /// How this client names itself to the brokers.
    pub client_id: String,
    /// Whether connections are encrypted.
    pub tls: Option<Tls>,
    /// How we say who we are.
    pub sasl: Option<Sasl>,
    /// Further properties of librdkafka; see [`Cluster::refused`] for those that are not taken.
    pub properties: BTreeMap<String, String>,
}

/// Encrypted connections. Paths are of PEM files, read when a client is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// The authorities that a broker's certificate may come from; none takes the system's.
    pub ca: Option<String>,
    /// Our certificate, where brokers want one.
    pub certificate: Option<String>,
    /// Its key.
    pub key: Option<String>,
}

/// librdkafka's property of each file, and our setting for it.
const FILES: [(&str, &str); 3] = [
    ("ssl.ca.location", "kafka.tls.ca_file"),
    ("ssl.certificate.location", "kafka.tls.certificate_file"),
    ("ssl.key.location", "kafka.tls.key_file"),
];

/// Properties that belong to us: delivery stands on them.
const OWNED: [&str; 12] = [
    "allow.auto.create.topics",
    "auto.offset.reset",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "enable.partition.eof",
    "offset.store.method",
    "partition.assignment.strategy",
    "statistics.interval.ms",
    "test.mock.num.brokers",
    "transactional.id",
];

/// Properties that have a setting of their own. Whichever went before the other, one of them would be lost.
const SETTINGS: [(&str, &str); 14] = [
    ("bootstrap.servers", "kafka.brokers"),
    ("client.id", "kafka.client_id"),
    ("group.id", "ingress.kafka.group"),
    ("group.instance.id", "ingress.kafka.instance"),
    ("group.protocol", "ingress.kafka.rebalance"),
    ("metadata.broker.list", "kafka.brokers"),
    ("sasl.mechanism", "kafka.sasl.mechanism"),
    ("sasl.mechanisms", "kafka.sasl.mechanism"),
    ("sasl.password", "kafka.sasl.password_file"),
    ("sasl.username", "kafka.sasl.username"),
    ("security.protocol", "kafka.security"),
    ("ssl.ca.location", "kafka.tls.ca_file"),
    ("ssl.certificate.location", "kafka.tls.certificate_file"),
    ("ssl.key.location", "kafka.tls.key_file"),
];

/// How the names of properties begin that only a consumer has.
const CONSUMERS: [&str; 10] = [
    "auto.",
    "check.crcs",
    "fetch.",
    "group.",
    "heartbeat.",
    "isolation.",
    "max.partition.",
    "max.poll.",
    "queued.",
    "session.",
];

impl Cluster {
    /// Why a property is not taken, and what to do instead; `None` where it is. The names that librdkafka does not
    /// know it refuses itself, when [`Cluster::check`] is asked.
    #[must_use]
    pub fn refused(property: &str) -> Option<String> {
        if let Some((_, setting)) = SETTINGS.iter().find(|(name, _)| *name == property) {
            return Some(format!("set {setting} instead"));
        }
        let why = match property {
            "plugin.library.paths" => "it would load code into the process; leave it out",
            _ if OWNED.contains(&property) => "delivery stands on it; leave it out",
            _ if property.ends_with("_cb") => "it is a callback; leave it out",
            _ if property.starts_with("sasl.oauthbearer.") || property.contains("oauthbearer") => {
                "tokens come by kafka.sasl.token_url; leave it out"
            }
            _ => return None,
        };
        Some(why.to_owned())
    }

    /// Whether librdkafka takes all of it: names, values, and what the files hold. Connects to nobody.
    ///
    /// # Errors
    /// `Invalid` with the setting and librdkafka's own words.
    pub fn check(&self) -> Result<()> {
        for property in self.properties.keys() {
            if let Some(why) = Self::refused(property) {
                let message = format!("kafka.properties.{property}: {why}");
                return Err(Error::new(Kind::Invalid, message));
            }
        }
        let files = self.files().into_iter().flatten();
        for ((_, setting), file) in FILES.into_iter().zip(files).filter_map(|(at, file)| Some((at, file?))) {
            let readable = File::open(file).and_then(|file| file.metadata()).and_then(|about| {
                if about.is_dir() { Err(std::io::ErrorKind::IsADirectory.into()) } else { Ok(()) }
            });
            readable.map_err(|why| Error::new(Kind::Invalid, format!("{setting}: {file}: {why}")))?;
        }
        check::<BaseConsumer>(self.client(&*self.read_login()?))
    }

    /// Who we are, whether or not there is a token yet.
    pub(crate) fn read_login(&self) -> Result<Arc<Login>> {
        Login::read(self.sasl.as_ref())
    }

    /// Who we are, for a client that is to be let in.
    ///
    /// # Errors
    /// `Storage` or `Unreachable` while there is no password or token.
    pub(crate) fn login(&self) -> Result<Arc<Login>> {
        self.read_login()?.proven()
    }

    /// The properties of a producer: librdkafka says of each that is a consumer's that it does nothing there.
    pub(crate) fn client_of_producer(&self, login: &Login) -> ClientConfig {
        let mut config = self.client(login);
        for name in
            self.properties.keys().filter(|name| CONSUMERS.iter().any(|prefix| name.starts_with(prefix)))
        {
            config.remove(name);
        }
        config
    }

    /// The properties of any client of this cluster.
    pub(crate) fn client(&self, login: &Login) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config.set("bootstrap.servers", self.brokers.join(",")).set("client.id", &self.client_id);
        let protocol = match (&self.tls, &self.sasl) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        config.set("security.protocol", protocol);
        for ((name, _), file) in FILES.into_iter().zip(self.files().into_iter().flatten()) {
            if let Some(file) = file {
                config.set(name, file);
            }
        }
        login.set(&mut config);
        config
    }

    /// In the order of [`FILES`].
    fn files(&self) -> Option<[Option<&str>; 3]> {
        let tls = self.tls.as_ref()?;
        Some([tls.ca.as_deref(), tls.certificate.as_deref(), tls.key.as_deref()])
    }
}

impl fmt::Debug for Cluster {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("brokers", &self.brokers).finish_non_exhaustive()
    }
}

/// Whether librdkafka makes a client of these properties. It is one that knows no broker.
pub(crate) fn check<C: FromClientConfig>(mut config: ClientConfig) -> Result<()> {
    config.remove("bootstrap.servers");
    let made: KafkaResult<C> = config.create();
    made.map(drop).map_err(|error| Error::new(Kind::Invalid, told(&error, &config)))
}

/// librdkafka's words, behind the setting that they are about. Values are left out: one may be a secret.
fn told(error: &KafkaError, config: &ClientConfig) -> String {
    match error {
        KafkaError::ClientConfig(_, why, name, _) => format!("kafka.properties.{name}: {}", why.trim()),
        KafkaError::ClientCreation(why) => {
            let why = why.trim();
            let about = FILES.iter().find(|(property, _)| why.contains(property));
            let Some((property, setting)) = about else { return format!("kafka: {why}") };
            let file = config.get(property).unwrap_or_default();
            let what = if why.contains("key values mismatch") {
                "this is not the key of kafka.tls.certificate_file"
            } else {
                "it does not hold what is wanted, as PEM"
            };
            format!("{setting}: {file}: {what} ({why})")
        }
        other => format!("kafka: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn cluster(properties: &[(&str, &str)]) -> Cluster {
        Cluster {
            brokers: vec!["127.0.0.1:1".to_owned()],
            client_id: "outrigger".to_owned(),
            tls: None,
            sasl: None,
            properties: properties.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        }
    }

    #[test]
    fn what_librdkafka_refuses_is_told_in_its_words_behind_the_setting() {
        for (name, value, expected) in [
            ("nonsense", "s3cret", "kafka.properties.nonsense: No such configuration property: \"nonsense\""),
            (
                "fetch.wait.max.ms",
                "soon",
                "kafka.properties.fetch.wait.max.ms: Invalid value for configuration property \"fetch.wait.max.ms\"",
            ),
            ("security.protocol", "ssl", "kafka.properties.security.protocol: set kafka.security instead"),
            (
                "enable.auto.commit",
                "true",
                "kafka.properties.enable.auto.commit: delivery stands on it; leave it out",
            ),
            (
                "sasl.oauthbearer.method",
                "oidc",
                "kafka.properties.sasl.oauthbearer.method: tokens come by kafka.sasl.token_url; leave it out",
            ),
        ] {
            let error = cluster(&[(name, value)]).check().unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.kind(), Kind::Invalid);
        }
        cluster(&[("fetch.wait.max.ms", "50"), ("batch.size", "1000")]).check().unwrap();
    }

    #[test]
    fn a_check_connects_to_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut cluster = cluster(&[]);
        cluster.brokers = vec![listener.local_addr().unwrap().to_string()];
        cluster.check().unwrap();
        crate::Config::new(cluster, "group", &["topic"]).check().unwrap();
        assert!(listener.accept().is_err(), "somebody came");
    }
}
