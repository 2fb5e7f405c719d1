//! What the settings of Kafka need beside one another.

use super::{
    kafka::{Kafka, Sasl},
    problems::quoted,
    rules::Rules,
};

const BROKERS: &str = "kafka.brokers";

/// Checks those that could be read.
pub(super) fn check(rules: &mut Rules<'_>) {
    for (topic, wanted) in [
        ("ingress.kafka.topics", rules.config.ingress.kafka.is_some()),
        ("replies.kafka_topic", rules.config.replies.kafka_topic.is_some()),
        ("dead_letters.kafka_topic", rules.config.dead_letters.kafka_topic.is_some()),
        ("a kafka_topic of targets", rules.config.kafka_targets().next().is_some()),
    ] {
        if wanted && rules.config.kafka.is_none() && rules.are_read(&[BROKERS]) {
            rules.wrong(BROKERS, "no broker", format!("host:port of a broker, as {topic} is given"));
            return;
        }
    }
    if let Some(kafka) = rules.config.kafka.clone() {
        if rules.says("kafka.preset").as_deref() == Some("event-hubs") {
            event_hubs(rules, &kafka);
        }
        security(rules, &kafka);
        unused(rules, &kafka);
    }
    source(rules);
}

fn source(rules: &mut Rules<'_>) {
    let Some(source) = &rules.config.ingress.kafka else { return };
    let no_group = source.group.is_none();
    if no_group && rules.are_read(&["ingress.kafka.group"]) {
        rules.wrong("ingress.kafka.group", "no group", "a name of this consumer's own");
    }
}

/// What the preset settles is not settled otherwise beside it.
fn event_hubs(rules: &mut Rules<'_>, kafka: &Kafka) {
    let settled: [(&str, &[&str]); 5] = [
        ("kafka.security", &["sasl-tls"]),
        ("kafka.sasl.mechanism", &["PLAIN"]),
        ("kafka.sasl.username", &["$ConnectionString"]),
        ("kafka.producer.compression", &["auto", "none", "gzip"]),
        ("ingress.kafka.rebalance", &["cooperative", "eager"]),
    ];
    for (key, possible) in settled {
        let other = rules.says(key).filter(|said| !possible.contains(&said.as_str()));
        if let Some(other) = other.filter(|_| rules.are_read(&[key])) {
            let expected = format!("{}, as kafka.preset is event-hubs; or no preset", possible.join(" or "));
            rules.wrong(key, quoted(&other), expected);
        }
    }
    let port = |broker: &&String| !broker.ends_with(":9093") && broker.contains(".servicebus.");
    if let Some(broker) = kafka.brokers.iter().find(port).filter(|_| rules.are_read(&[BROKERS])) {
        rules.wrong(BROKERS, quoted(broker), "port 9093, where Event Hubs speaks Kafka");
    }
}

/// A password or a certificate that is given and not used is a mistake that nobody would notice.
fn unused(rules: &mut Rules<'_>, kafka: &Kafka) {
    let password: &[&str] = &["kafka.sasl.username", "kafka.sasl.password_file"];
    let token: &[&str] = &[
        "kafka.sasl.token_url",
        "kafka.sasl.token_ca_file",
        "kafka.sasl.client_id",
        "kafka.sasl.client_secret_file",
        "kafka.sasl.scope",
    ];
    let tls: &[&str] = &["kafka.tls.ca_file", "kafka.tls.certificate_file", "kafka.tls.key_file"];
    let (security, mechanism) = ("kafka.security", "kafka.sasl.mechanism");
    let mut idle: Vec<(&[&str], &str, &str)> = Vec::new();
    match &kafka.sasl {
        None => {
            idle.extend([(password, security, "sasl or sasl-tls"), (token, security, "sasl or sasl-tls")]);
        }
        Some(Sasl::Password { .. }) => idle.push((token, mechanism, "OAUTHBEARER")),
        Some(Sasl::Token { .. }) => {
            idle.push((password, mechanism, "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"));
        }
    }
    if kafka.tls.is_none() {
        idle.push((tls, security, "tls or sasl-tls"));
    }
    for (keys, by, wanted) in idle {
        for key in keys {
            let given = rules.says(key).filter(|text| !matches!(text.as_str(), "none" | "system"));
            if given.is_some() && rules.are_read(&[key, by]) {
                rules.wrong(key, "a value that nothing uses", format!("no value, or {by}: {wanted}"));
            }
        }
    }
}

fn security(rules: &mut Rules<'_>, kafka: &Kafka) {
    if let Some(tls) = &kafka.tls {
        let (certificate, key) = ("kafka.tls.certificate_file", "kafka.tls.key_file");
        let half = match (&tls.certificate, &tls.key) {
            (Some(_), None) => Some((key, "no key")),
            (None, Some(_)) => Some((certificate, "no certificate")),
            _ => None,
        };
        if let Some((missing, found)) = half.filter(|_| rules.are_read(&[certificate, key])) {
            rules.wrong(missing, found, "both files, or neither");
        }
    }
    let missing: Vec<(&str, bool)> = match &kafka.sasl {
        None => return,
        Some(Sasl::Password { username, password_file, .. }) => vec![
            ("kafka.sasl.username", username.is_none()),
            ("kafka.sasl.password_file", password_file.is_none()),
        ],
        Some(Sasl::Token { url, client_id, client_secret_file, .. }) => vec![
            ("kafka.sasl.token_url", url.is_none()),
            ("kafka.sasl.client_id", client_id.is_none()),
            ("kafka.sasl.client_secret_file", client_secret_file.is_none()),
        ],
    };
    for (key, missing) in missing {
        if missing && rules.are_read(&[key]) {
            rules.wrong(
                key,
                "nothing",
                "a value, as kafka.security (or the preset) says that we name ourselves",
            );
        }
    }
}

#[cfg(test)]
mod tests;
