//! What the settings of Pub/Sub need beside one another.

use super::{rules::Rules, units::duration_text};

/// Checks those that could be read. What makes a name a name, and a file credentials, the adapter says.
pub(super) fn check(rules: &mut Rules<'_>) {
    endpoint(rules);
    let (pubsub, file) = (&rules.config.pubsub, "pubsub.credentials_file");
    if pubsub.credentials_file.is_some() && pubsub.is_local() && rules.are_read(&[file, "pubsub.endpoint"]) {
        rules.wrong(
            file,
            "credentials for an endpoint without TLS, or for PUBSUB_EMULATOR_HOST",
            "none, or an endpoint that begins with https://",
        );
    }
    let Some(source) = &rules.config.ingress.pubsub else { return };
    let (lease, lease_max) = ("ingress.pubsub.lease", "ingress.pubsub.lease_max");
    if source.lease > source.lease_max && rules.are_read(&[lease, lease_max]) {
        let most = duration_text(source.lease_max);
        let found = format!("{lease} {}", duration_text(source.lease));
        rules.wrong(rules.given([lease, lease_max]), found, format!("at most {lease_max}, which is {most}"));
    }
}

fn endpoint(rules: &mut Rules<'_>) {
    const ENDPOINT: &str = "pubsub.endpoint";
    let Some(url) = rules.config.pubsub.endpoint.clone().filter(|_| rules.are_read(&[ENDPOINT])) else {
        return;
    };
    if url.path() != "/" || url.query().is_some() {
        let expected = "an endpoint alone, such as https://europe-west1-pubsub.googleapis.com";
        rules.wrong(ENDPOINT, "a URL with a path or a query", expected);
    }
    rules.plain(
        ENDPOINT,
        &url,
        "; for an emulator on another machine, its host:port in PUBSUB_EMULATOR_HOST",
    );
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
        let text = "pubsub: {endpoint: \"http://[::1]:1\", credentials_file: /f}\n\
                    kafka: {brokers: \"a:1\"}\n\
                    replies: {kafka_topic: a, pubsub_topic: b}\n";
        let found = messages(text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("pubsub.credentials_file: "), "{found:?}");
        assert!(found[1].starts_with("replies.pubsub_topic: "), "{found:?}");
        assert_eq!(messages("pubsub: {endpoint: \"https://a:1\", credentials_file: /f}\n"), [""; 0]);
    }

    #[test]
    fn an_endpoint_is_a_place_alone_and_http_stays_on_this_machine() {
        let of = |url: &str| messages(&format!("pubsub: {{endpoint: \"{url}\"}}\n"));
        for good in
            ["http://localhost:1", "http://127.0.0.1:1/", "https://europe-west1-pubsub.googleapis.com"]
        {
            assert_eq!(of(good), [""; 0], "{good}");
        }
        for (bad, said) in [
            (
                "http://emulator:8085",
                "expected https; for an emulator on another machine, its host:port in PUBSUB_",
            ),
            ("https://a.example/v1", "a path or a query"),
            ("https://a.example/?key=secret", "a path or a query"),
        ] {
            let found = of(bad);
            assert!(found.len() == 1 && found[0].contains(said), "{found:?}");
            assert!(!found[0].contains("secret"), "{found:?}");
        }
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
