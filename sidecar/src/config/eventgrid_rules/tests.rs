use super::super::{Config, EntraMethod, EventGridSecret, Problems, Purpose, env::Env, read};
use std::path::Path;

/// An environment with these variables.
struct With(&'static [(&'static str, &'static str)]);

impl Env for With {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    fn exists(&self, _: &Path) -> bool {
        false
    }

    fn volatile(&self, _: &Path) -> bool {
        false
    }
}

fn look_in(env: &With, text: &str) -> Result<Config, Problems> {
    read(env, "f", text, &[], Purpose::Look)
}

fn look(text: &str) -> Result<Config, Problems> {
    look_in(&With(&[]), text)
}

/// What is wrong, without the place in the file.
fn messages(text: &str) -> Vec<String> {
    let problems = look(text).err().map(|problems| problems.lines().collect::<Vec<_>>()).unwrap_or_default();
    problems.iter().map(|line| line.split_once(": ").unwrap().1.to_owned()).collect()
}

const PLACE: &str = "endpoint: https://ns.westeurope-1.eventgrid.azure.net";
const SOURCE: &str = "ingress: {eventgrid: {topic: orders, subscription: billing}}";

#[test]
fn a_namespace_a_subscription_and_a_secret_are_enough() {
    let config = look(&format!("eventgrid: {{{PLACE}, key_file: /k}}\n{SOURCE}")).unwrap();
    let source = config.ingress.eventgrid.unwrap();
    assert_eq!((source.topic.as_deref(), source.subscription.as_deref()), (Some("orders"), Some("billing")));
    assert_eq!((source.hold_delay_s, source.release_delay_s), (3600, 0));
    assert_eq!(config.eventgrid.secret, Some(EventGridSecret::Key("/k".into())));
    let signs = look(&format!("eventgrid: {{{PLACE}, key_file: /k, key_as: signature}}\n{SOURCE}")).unwrap();
    assert_eq!(signs.eventgrid.secret, Some(EventGridSecret::Signing("/k".into())));
}

#[test]
fn what_is_missing_is_asked_for_by_its_name() {
    for (text, expected) in [
        (
            SOURCE.to_owned(),
            "eventgrid.endpoint: found no namespace, expected its URL, as ingress.eventgrid.topic is given",
        ),
        (
            "replies: {eventgrid_topic: t}\neventgrid: {key_file: /k}".to_owned(),
            "eventgrid.endpoint: found no namespace, expected its URL, as replies.eventgrid_topic is given",
        ),
        (
            format!("eventgrid: {{{PLACE}}}\n{SOURCE}"),
            "eventgrid.key_file: found nothing that says who we are, expected eventgrid.key_file or eventgrid.sas_file with \
             what the namespace knows us by; or eventgrid.entra.method",
        ),
        (
            format!("eventgrid: {{{PLACE}, key_file: /k}}\ningress: {{eventgrid: {{topic: t}}}}"),
            "ingress.eventgrid.subscription: found no subscription, expected one of its subscriptions, in queue mode",
        ),
        (
            "replies: {eventgrid_topic: https://t.eventgrid.azure.net/api/events}".to_owned(),
            "replies.eventgrid_key_file: found nothing that says who we are, expected replies.eventgrid_key_file or \
             replies.eventgrid_sas_file with what the custom topic knows us by; or eventgrid.entra.method",
        ),
        (
            format!(
                "eventgrid: {{{PLACE}, entra: {{method: client-secret, tenant: t, client_id: c}}}}\n{SOURCE}"
            ),
            "eventgrid.entra.client_secret_file: found nothing, expected the file that holds the secret",
        ),
    ] {
        let found = messages(&text);
        assert!(found.contains(&expected.to_owned()), "{text}: {found:#?}");
    }
}

#[test]
fn what_contradicts_itself_or_is_not_used_is_refused() {
    for (text, key) in [
        (format!("eventgrid: {{{PLACE}, key_file: /k, sas_file: /s}}\n{SOURCE}"), "eventgrid.sas_file"),
        (format!("eventgrid: {{{PLACE}, key_file: /k}}"), "eventgrid.key_file"),
        (
            format!("eventgrid: {{{PLACE}, key_file: /k, entra: {{method: managed-identity}}}}\n{SOURCE}"),
            "eventgrid.key_file",
        ),
        (
            format!("eventgrid: {{{PLACE}, key_file: /k, entra: {{tenant: t}}}}\n{SOURCE}"),
            "eventgrid.entra.tenant",
        ),
        (
            format!("eventgrid: {{{PLACE}, entra: {{method: managed-identity, token_file: /t}}}}\n{SOURCE}"),
            "eventgrid.entra.token_file",
        ),
        (
            format!(
                "eventgrid: {{{PLACE}, key_file: /k}}\n{SOURCE}\nreplies: {{eventgrid_topic: t, eventgrid_schema: eventgrid}}"
            ),
            "replies.eventgrid_schema",
        ),
        (
            format!(
                "eventgrid: {{{PLACE}, key_file: /k}}\n{SOURCE}\nreplies: {{eventgrid_topic: t, eventgrid_key_file: /o}}"
            ),
            "replies.eventgrid_key_file",
        ),
        ("eventgrid: {endpoint: http://ns.example}".to_owned(), "eventgrid.endpoint"),
        ("eventgrid: {endpoint: https://ns.example/topics}".to_owned(), "eventgrid.endpoint"),
        (
            "replies: {eventgrid_topic: http://t.example/api/events, eventgrid_key_file: /k}".to_owned(),
            "replies.eventgrid_topic",
        ),
        (
            format!(
                "eventgrid: {{{PLACE}, key_file: /k}}\nkafka: {{brokers: a:1}}\ndead_letters: {{eventgrid_topic: t, kafka_topic: t}}"
            ),
            "dead_letters.eventgrid_topic",
        ),
        (
            format!(
                "eventgrid: {{{PLACE}, key_file: /k}}\ningress: {{eventgrid: {{topic: t, subscription: s, hold_max: 30s}}}}"
            ),
            "ingress.eventgrid.hold_max",
        ),
        (
            format!("journal: {{storage: ephemeral}}\neventgrid: {{{PLACE}, key_file: /k}}\n{SOURCE}"),
            "dead_letters.eventgrid_topic",
        ),
    ] {
        let found = messages(&text);
        assert!(matches!(&found[..], [one] if one.starts_with(&format!("{key}: "))), "{text}: {found:#?}");
    }
}

#[test]
fn a_place_for_dead_letters_anywhere_is_one() {
    let text = format!(
        "journal: {{storage: ephemeral}}\neventgrid: {{{PLACE}, key_file: /k}}\n{SOURCE}\ndead_letters: {{eventgrid_topic: dead}}"
    );
    assert_eq!(messages(&text), [""; 0]);
}

#[test]
fn what_azure_puts_into_the_environment_need_not_be_said_again() {
    let env = With(&[
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_FEDERATED_TOKEN_FILE", "/var/run/secrets/azure/tokens/azure-identity-token"),
        ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/"),
        ("IDENTITY_ENDPOINT", "http://127.0.0.1:41000/msi/token"),
        ("IDENTITY_HEADER", "geheim"),
    ]);
    let text = |method| format!("eventgrid: {{{PLACE}, entra: {{method: {method}}}}}\n{SOURCE}");
    let entra = look_in(&env, &text("workload-identity")).unwrap().eventgrid.entra.unwrap();
    assert_eq!((entra.tenant.as_deref(), entra.client_id.as_deref()), (Some("t"), Some("c")));
    assert_eq!(entra.authority, "https://login.microsoftonline.us");
    let EntraMethod::WorkloadIdentity(Some(file)) = &entra.method else { panic!("{entra:?}") };
    assert!(file.starts_with("/var/run/secrets"));

    let config = look_in(&env, &text("managed-identity")).unwrap();
    let entra = config.eventgrid.entra.clone().unwrap();
    assert_eq!(
        entra.client_id, None,
        "the variable names a workload's application, not this machine's identity"
    );
    let EntraMethod::ManagedIdentity { endpoint: Some(endpoint), header: Some(header) } = &entra.method
    else {
        panic!("{entra:?}")
    };
    assert_eq!((&**endpoint, &*header.0), ("http://127.0.0.1:41000/msi/token", "geheim"));
    assert!(!format!("{config:?}").contains("geheim"));
}
