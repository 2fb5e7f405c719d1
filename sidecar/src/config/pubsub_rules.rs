//! What the settings of Pub/Sub need beside one another.

use super::{checked::Storage, rules::Rules, units::duration_text};

/// Checks those that could be read. What makes a name a name, and a file credentials, the adapter says.
pub(super) fn check(rules: &mut Rules<'_>) {
    let (pubsub, file) = (&rules.config.pubsub, "pubsub.credentials_file");
    if pubsub.credentials_file.is_some() && pubsub.is_local() && rules.are_read(&[file, "pubsub.endpoint"]) {
        rules.wrong(
            file,
            "credentials for an endpoint without TLS, or for PUBSUB_EMULATOR_HOST",
            "none, or an endpoint that begins with https://",
        );
    }
    one_home(rules);
    let Some(source) = &rules.config.ingress.pubsub else { return };
    let (lease, lease_max) = ("ingress.pubsub.lease", "ingress.pubsub.lease_max");
    if source.lease > source.lease_max && rules.are_read(&[lease, lease_max]) {
        let most = duration_text(source.lease_max);
        let found = format!("{lease} {}", duration_text(source.lease));
        rules.wrong(rules.given([lease, lease_max]), found, format!("at most {lease_max}, which is {most}"));
    }
    let journal = &rules.config.journal;
    let homeless = journal.storage == Storage::Ephemeral && !journal.accept_loss;
    let dead = &rules.config.dead_letters;
    let (topic, has_home) =
        ("dead_letters.pubsub_topic", dead.pubsub_topic.is_some() || dead.kafka_topic.is_some());
    if homeless && !has_home && rules.are_read(&["journal", "dead_letters"]) {
        rules.wrong(
            topic,
            "no place for dead letters that outlives the pod",
            "a topic for them; or journal.storage: durable where the file outlives the pod; or journal.ephemeral: \
             accept-loss",
        );
    }
}

/// Replies, and dead letters, go to one place.
fn one_home(rules: &mut Rules<'_>) {
    let (replies, dead) = (&rules.config.replies, &rules.config.dead_letters);
    let both = [
        ("replies", replies.kafka_topic.is_some() && replies.pubsub_topic.is_some()),
        ("dead_letters", dead.kafka_topic.is_some() && dead.pubsub_topic.is_some()),
    ];
    for (section, is_both) in both {
        let topics = ["kafka_topic", "pubsub_topic"].map(|topic| format!("{section}.{topic}"));
        if is_both && rules.are_read(&[&topics[0], &topics[1]]) {
            rules.wrong(&topics[1], format!("a topic beside {}", topics[0]), "one of both");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Problems, Purpose, env::Nothing, read};

    fn look(text: &str) -> Result<Config, Problems> {
        read(&Nothing, "f", text, &[], Purpose::Look)
    }

    /// What is wrong, without the place in the file.
    fn messages(text: &str) -> Vec<String> {
        let problems =
            look(text).err().map(|problems| problems.lines().collect::<Vec<_>>()).unwrap_or_default();
        problems.iter().map(|line| line.split_once(": ").unwrap().1.to_owned()).collect()
    }

    #[test]
    fn a_subscription_needs_a_place_for_dead_letters_that_outlives_the_pod() {
        let ephemeral = "journal: {storage: ephemeral}\ningress: {pubsub: {subscription: orders}}\n";
        let found = messages(ephemeral);
        assert!(found.len() == 1 && found[0].starts_with("dead_letters.pubsub_topic: "), "{found:?}");
        for home in ["pubsub_topic: dead", "kafka_topic: dead}\nkafka: {brokers: \"a:1\""] {
            assert_eq!(messages(&format!("{ephemeral}dead_letters: {{{home}}}\n")), [""; 0]);
        }
    }

    #[test]
    fn credentials_are_not_sent_without_tls_nor_to_two_places() {
        let text = "pubsub: {endpoint: \"http://a:1\", credentials_file: /f}\n\
                    kafka: {brokers: \"a:1\"}\n\
                    replies: {kafka_topic: a, pubsub_topic: b}\n";
        let found = messages(text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("pubsub.credentials_file: "), "{found:?}");
        assert!(found[1].starts_with("replies.pubsub_topic: "), "{found:?}");
        assert_eq!(messages("pubsub: {endpoint: \"https://a:1\", credentials_file: /f}\n"), [""; 0]);
    }

    #[test]
    fn a_lease_is_not_longer_than_the_longest() {
        let text = "ingress: {pubsub: {subscription: [a, b], lease: 2m, lease_max: 1m}}\n";
        let found = messages(text);
        assert_eq!(
            found,
            ["ingress.pubsub.lease: found ingress.pubsub.lease 2m, expected at most \
                            ingress.pubsub.lease_max, which is 1m"]
        );
    }
}
