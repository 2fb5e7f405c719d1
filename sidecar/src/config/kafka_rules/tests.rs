use crate::config::env::Nothing;
use crate::config::{Config, Kafka, Problems, Purpose, Sasl, read};

fn look(kafka: &str) -> Result<Config, Problems> {
    read(&Nothing, "f", &format!("kafka: {kafka}"), &[], Purpose::Look)
}

fn kafka(text: &str) -> Kafka {
    look(text).unwrap_or_else(|problems| panic!("{problems}")).kafka.unwrap()
}

/// What is wrong, without the place in the file.
fn messages(text: &str) -> Vec<String> {
    let problems = look(text).err().map(|problems| problems.lines().collect::<Vec<_>>()).unwrap_or_default();
    problems.iter().map(|line| line.split_once(": ").unwrap().1.to_owned()).collect()
}

const HUB: &str = "brokers: a.servicebus.windows.net:9093, preset: event-hubs";

#[test]
fn event_hubs_need_a_broker_and_a_connection_string_and_nothing_else() {
    let kafka =
        kafka(&format!("{{{HUB}, sasl: {{password_file: /p}}, properties: {{message.max.bytes: 5}}}}"));
    assert!(kafka.tls.is_some());
    let Some(Sasl::Password { mechanism: "PLAIN", username: Some(name), .. }) = kafka.sasl else { panic!() };
    assert_eq!(name, "$ConnectionString");
    assert_eq!(kafka.producer.compression, "none");
    assert_eq!(kafka.properties["socket.keepalive.enable"], "true");
    assert_eq!(kafka.properties["message.max.bytes"], "5", "what is given goes before");
    assert_eq!(
        messages(&format!("{{{HUB}}}")),
        [
            "kafka.sasl.password_file: found nothing, expected a value, as kafka.security (or the preset) says that we \
          name ourselves"
        ]
    );
}

#[test]
fn what_event_hubs_settle_is_not_settled_otherwise_beside_it() {
    for (beside, sasl, expected) in [
        ("security: sasl", "", "kafka.security: found \"sasl\", expected sasl-tls"),
        ("security: plaintext", "", "kafka.security: found \"plaintext\", expected sasl-tls"),
        (
            "client_id: a",
            "mechanism: SCRAM-SHA-256",
            "kafka.sasl.mechanism: found \"SCRAM-SHA-256\", expected PLAIN",
        ),
        ("client_id: a", "username: me", "kafka.sasl.username: found \"me\", expected $ConnectionString"),
        (
            "producer: {compression: lz4}",
            "",
            "kafka.producer.compression: found \"lz4\", expected auto or none or gzip",
        ),
    ] {
        let text = format!("{{{HUB}, {beside}, sasl: {{password_file: /p, {sasl}}}}}");
        let expected = format!("{expected}, as kafka.preset is event-hubs; or no preset");
        assert_eq!(messages(&text), [expected]);
    }
    let said = "security: sasl-tls, sasl: {mechanism: PLAIN, username: $ConnectionString, password_file: /p}";
    kafka(&format!("{{{HUB}, {said}, producer: {{compression: gzip}}}}"));
    let port = "{brokers: a.servicebus.windows.net:9092, preset: event-hubs, sasl: {password_file: /p}}";
    assert_eq!(
        messages(port),
        [
            "kafka.brokers: found \"a.servicebus.windows.net:9092\", expected port 9093, where Event Hubs speaks Kafka"
        ]
    );
}

#[test]
fn a_password_a_token_or_a_certificate_that_nothing_uses_is_a_mistake() {
    for (text, expected) in [
        (
            "sasl: {username: me}",
            "kafka.sasl.username: found a value that nothing uses, expected no value, or \
                                  kafka.security: sasl or sasl-tls",
        ),
        (
            "tls: {ca_file: /ca}",
            "kafka.tls.ca_file: found a value that nothing uses, expected no value, or \
                                 kafka.security: tls or sasl-tls",
        ),
        (
            "security: sasl, sasl: {username: me, password_file: /p, scope: a}",
            "kafka.sasl.scope: found a value that nothing uses, expected no value, or kafka.sasl.mechanism: OAUTHBEARER",
        ),
        (
            "security: sasl, sasl: {mechanism: OAUTHBEARER, token_url: 'https://a/', client_id: me, client_secret_file: /s, \
          password_file: /p}",
            "kafka.sasl.password_file: found a value that nothing uses, expected no value, or kafka.sasl.mechanism: PLAIN, \
          SCRAM-SHA-256 or SCRAM-SHA-512",
        ),
    ] {
        assert_eq!(messages(&format!("{{brokers: 'a:9092', {text}}}")), [expected]);
    }
    kafka("{brokers: 'a:9092', security: plaintext, tls: {ca_file: system}, sasl: {username: none}}");
}

#[test]
fn compression_is_lz4_unless_it_is_given() {
    assert_eq!(kafka("{brokers: 'a:9092'}").producer.compression, "lz4");
    assert_eq!(kafka("{brokers: 'a:9092', producer: {compression: zstd}}").producer.compression, "zstd");
}
