//! What the settings of Kafka need beside one another.

use super::{
    checked::Storage,
    kafka::{Kafka, Sasl},
    rules::Rules,
};

const BROKERS: &str = "kafka.brokers";

/// Checks those that could be read.
pub(super) fn check(rules: &mut Rules<'_>) {
    for (topic, wanted) in [
        ("ingress.kafka.topics", rules.config.ingress.kafka.is_some()),
        ("replies.kafka_topic", rules.config.replies.kafka_topic.is_some()),
        ("dead_letters.kafka_topic", rules.config.dead_letters.kafka_topic.is_some()),
    ] {
        if wanted && rules.config.kafka.is_none() && rules.are_read(&[BROKERS]) {
            rules.wrong(BROKERS, "no broker", format!("host:port of a broker, as {topic} is given"));
            return;
        }
    }
    if let Some(kafka) = rules.config.kafka.clone() {
        security(rules, &kafka);
    }
    source(rules);
}

fn source(rules: &mut Rules<'_>) {
    let Some(source) = &rules.config.ingress.kafka else { return };
    let no_group = source.group.is_none();
    if no_group && rules.are_read(&["ingress.kafka.group"]) {
        rules.wrong("ingress.kafka.group", "no group", "a name of this consumer's own");
    }
    let journal = &rules.config.journal;
    let homeless = journal.storage == Storage::Ephemeral && !journal.accept_loss;
    let topic = "dead_letters.kafka_topic";
    if homeless && rules.config.dead_letters.kafka_topic.is_none() && rules.are_read(&["journal", topic]) {
        rules.wrong(
            topic,
            "no place for dead letters that outlives the pod",
            "a topic for them; or journal.storage: durable where the file outlives the pod; or journal.ephemeral: \
             accept-loss",
        );
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
