use super::super::{Config, From, Purpose, read};
use crate::config::env::Nothing;

fn look(origins: &str) -> Result<Config, Vec<String>> {
    let text = format!("ingress: {{origins: {origins}}}\n");
    read(&Nothing, "f", &text, &[], Purpose::Look).map_err(|problems| problems.lines().collect())
}

fn good(origins: &str) -> Config {
    look(origins).unwrap_or_else(|problems| panic!("{origins}: {problems:?}"))
}

#[test]
fn there_are_none_until_one_has_a_path() {
    assert_eq!(good("{}").ingress.origins, []);
}

#[test]
fn one_or_several_stand_in_the_section() {
    let one = good("{path: /hooks, from: github, secret_file: s, body_bytes_max: 25MB}").ingress.origins;
    assert_eq!((one.len(), one[0].from, one[0].name().as_str()), (1, From::GitHub, "github:/hooks"));
    let signed = one[0].auth.hmac.as_ref().unwrap();
    assert_eq!((signed.header.as_str(), signed.prefix.as_str()), ("x-hub-signature-256", "sha256="));
    let several = good(
        "[{path: /a, secret_file: s}, {path: /b, from: eventbridge, auth: none}, \
         {path: /c, from: sns, secret_file: s, secret_query: key, topics: arn:aws:sns:eu-west-1:1:t}]",
    )
    .ingress
    .origins;
    let shown = several[0].auth.secret.as_ref().unwrap();
    assert_eq!(shown.header.as_ref().map(http::HeaderName::as_str), Some("x-api-key"));
    assert_eq!((several[0].source(), several[0].ty()), ("/http", "http.request"));
    assert!(several[1].auth.is_open());
    assert_eq!(several[2].topics, ["arn:aws:sns:eu-west-1:1:t"]);
}

#[test]
fn what_is_missing_contradicts_or_is_used_by_nothing_is_told() {
    for (origins, said) in [
        ("{path: /a}", "ingress.origins.secret_file: found no way to know who sends"),
        ("{path: /a, auth: none, secret_file: s}", "ingress.origins.auth: found none, and"),
        ("{from: github}", "ingress.origins.from: found a value that nothing uses"),
        ("{path: /, auth: none}", "ingress.origins.path: found \"/\", which is that of ingress.http.path"),
        ("[{path: /a, auth: none}, {path: /a, auth: none}]", "which is that of another of the list"),
        ("[{auth: none}]", "ingress.origins.path: found nothing"),
        ("{path: \"/a?b\", auth: none}", "a path without a query"),
        (
            "{path: /a, auth: none, from: s3, type: t}",
            "ingress.origins.type: found a value that nothing uses",
        ),
        ("{path: /a, auth: none, topics: t}", "ingress.origins.topics: found a value that nothing uses"),
        ("{path: /a, auth: none, from: sns, topics: t}", "ingress.origins.topics: found \"t\""),
        ("{path: /a, secret_file: s, from: sns}", "ingress.origins.secret_query: found none"),
        ("{path: /a, secret_file: s, secret_header: none}", "found a secret that nothing shows"),
        (
            "{path: /a, secret_file: s, from: github, secret_query: q}",
            "ingress.origins.secret_query: found a value",
        ),
        ("{path: /a, auth: none, source: \"a b\"}", "ingress.origins.source: found \"a b\""),
        (
            "{path: /a, auth: none, body_bytes_max: 1GiB}",
            "ingress.origins.body_bytes_max: found a body of 1GiB",
        ),
        ("{path: /a, auth: none, frm: s3}", "ingress.origins.frm"),
    ] {
        let problems = look(origins).map(|_| ()).unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains(said)), "{origins}: {problems:?}");
    }
}
