use super::super::{Claim, Config, Purpose, read};
use crate::config::env::Nothing;

fn look(ingress: &str) -> Result<Config, Vec<String>> {
    read(&Nothing, "f", &format!("ingress: {{{ingress}}}\n"), &[], Purpose::Look)
        .map_err(|problems| problems.lines().collect())
}

fn good(ingress: &str) -> Config {
    look(ingress).unwrap_or_else(|problems| panic!("{ingress}: {problems:?}"))
}

const PUBSUB: &str = "path: /pubsub, topic: projects/p/topics/t";
const GOOGLE: &str = "audience: https://me.example, service_account: push@p.iam.gserviceaccount.com";
const GRID: &str = "path: /grid";
const ENTRA: &str = "issuer: \"https://sts.windows.net/tenant/\", audience: api://me";

#[test]
fn both_are_off_until_they_have_a_path() {
    let config = good("");
    assert_eq!((config.ingress.pubsub_push, config.ingress.eventgrid_webhook), (None, None));
}

#[test]
fn googles_tokens_count_for_one_account_that_google_verified() {
    let config = good(&format!("pubsub_push: {{{PUBSUB}, {GOOGLE}}}"));
    let auth = config.ingress.pubsub_push.unwrap().auth;
    assert_eq!(auth.ways(), ["oidc"]);
    let oidc = &auth.oidc[0];
    assert_eq!(
        (oidc.issuer.as_str(), &oidc.audiences[..]),
        ("https://accounts.google.com", &["https://me.example".to_owned()][..])
    );
    let rules = auth.allow.unwrap();
    let account = Claim::Text("push@p.iam.gserviceaccount.com".to_owned());
    let claims =
        [("email".to_owned(), vec![account]), ("email_verified".to_owned(), vec![Claim::Flag(true)])];
    assert_eq!(rules[0].claims, claims);
    assert!(
        good(&format!("pubsub_push: {{{PUBSUB}, auth: none}}")).ingress.pubsub_push.unwrap().auth.is_open()
    );
}

#[test]
fn entras_tokens_count_for_event_grid_alone_and_a_secret_stands_beside_them() {
    let of = |settings: &str| {
        good(&format!("eventgrid_webhook: {{{GRID}, {settings}}}")).ingress.eventgrid_webhook.unwrap().auth
    };
    let both = of(&format!("secret_file: s, entra: {{{ENTRA}}}"));
    assert_eq!(both.ways(), ["oidc", "secret_file"]);
    let rules = both.allow.unwrap();
    assert_eq!((rules[0].claims[0].0.as_str(), rules[1].claims[0].0.as_str()), ("appid", "azp"));
    assert_eq!(rules[2].methods, ["secret"]);
    assert_eq!(of(&format!("entra: {{{ENTRA}, app_id: any}}")).allow, None);
    assert_eq!((of("secret_file: s").allow, of("auth: none").is_open()), (None, true));
}

#[test]
fn what_is_missing_contradicts_or_is_used_by_nothing_is_told() {
    for (ingress, said) in [
        (format!("pubsub_push: {{{PUBSUB}}}"), "pubsub_push.service_account: found nobody"),
        (format!("pubsub_push: {{{PUBSUB}, service_account: a@b}}"), "pubsub_push.audience: found nothing"),
        (format!("pubsub_push: {{{PUBSUB}, issuer: none, {GOOGLE}}}"), "pubsub_push.issuer: found no issuer"),
        (format!("pubsub_push: {{{PUBSUB}, auth: none, {GOOGLE}}}"), "pubsub_push.auth: found none, and"),
        ("pubsub_push: {path: /p, auth: none}".to_owned(), "pubsub_push.topic: found no topic"),
        ("pubsub_push: {path: /p, auth: none, topic: t}".to_owned(), "pubsub_push.topic: found \"t\""),
        (format!("eventgrid_webhook: {{{GRID}}}"), "eventgrid_webhook.auth: found no way to know who sends"),
        (
            format!("eventgrid_webhook: {{{GRID}, auth: none, secret_file: s}}"),
            "eventgrid_webhook.auth: found none, and",
        ),
        (
            format!("eventgrid_webhook: {{{GRID}, secret_file: s, secret_query: none}}"),
            "secret_file: found a secret that",
        ),
        (
            format!("eventgrid_webhook: {{{GRID}, entra: {{issuer: \"https://a/\"}}}}"),
            "entra.audience: found nothing",
        ),
        (
            format!("eventgrid_webhook: {{{GRID}, secret_file: s, entra: {{audience: a}}}}"),
            "entra.audience: found a value that",
        ),
        (
            format!("eventgrid_webhook: {{{GRID}, auth: none, validation_timeout: 1s}}"),
            "validation_timeout: found a value that",
        ),
        (
            format!(
                "eventgrid_webhook: {{{GRID}, auth: none, validation: follow, validation_hosts: [a.example, \"*\"]}}"
            ),
            "validation_hosts: found \"*\"",
        ),
        (
            format!(
                "eventgrid_webhook: {{{GRID}, auth: none, validation: follow, validation_hosts: 169.254.169.254}}"
            ),
            "validation_hosts: found \"169.254.169.254\"",
        ),
        (
            format!("http: {{path: /grid}}, eventgrid_webhook: {{{GRID}, auth: none}}"),
            "for both ingress.http.path and",
        ),
        (
            format!(
                "pubsub_push: {{path: /grid, topic: projects/p/topics/t, auth: none}}, eventgrid_webhook: {{{GRID}, auth: none}}"
            ),
            "for both ingress.pubsub_push.path and",
        ),
        (
            format!("http: {{listen: off}}, eventgrid_webhook: {{{GRID}, auth: none}}"),
            "a path of a listener that is off",
        ),
        ("eventgrid_webhook: {path: \"/g?a=b\", auth: none}".to_owned(), "a path without a query"),
        (
            format!("eventgrid_webhook: {{{GRID}, auth: none, body_bytes_max: 1000KB}}"),
            "body_bytes_max: found",
        ),
        (format!("eventgrid_webhook: {{{GRID}, auth: none, body_bytes_max: 64MiB}}"), "a window of 32MiB"),
    ] {
        let problems = look(&ingress).expect_err(&ingress);
        assert!(problems.iter().any(|line| line.contains(said)), "{ingress}: {problems:#?}");
        assert!(problems.iter().all(|line| line.contains("ingress.")), "{problems:#?}");
    }
}

#[test]
fn settings_without_a_path_are_said_to_count_for_nothing_and_each_section_once() {
    let problems = look(
        "pubsub_push: {topic: projects/p/topics/t, auth: none}, eventgrid_webhook: {entra: {app_id: a}}",
    );
    let expected = ["ingress.pubsub_push.topic", "ingress.eventgrid_webhook.entra.app_id"];
    let problems = problems.unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:#?}");
    for (problem, key) in problems.iter().zip(expected) {
        assert!(problem.contains(key) && problem.contains(".path as well"), "{problems:#?}");
    }
    assert!(look("pubsub_push: {path: off, auth: none}").is_err());
    assert!(look("pubsub_push: {path: off}").is_ok());
}

#[test]
fn plain_http_to_an_issuer_is_for_this_machine_alone() {
    let of = |issuer: &str| look(&format!("pubsub_push: {{{PUBSUB}, {GOOGLE}, issuer: \"{issuer}\"}}"));
    assert!(of("http://127.0.0.1:1").is_ok());
    assert!(of("http://id.example").unwrap_err()[0].contains("ingress.pubsub_push.issuer"));
}
