use super::super::{Auth, Claim, Config, Purpose, read};
use crate::config::env::Nothing;

fn look(auth: &str) -> Result<Config, Vec<String>> {
    let tls = "{certificate_file: c, key_file: k, client_ca_file: ca}";
    let text = format!("ingress:\n  http:\n    listen: 0.0.0.0:80\n    auth: {auth}\n    tls: {tls}\n");
    read(&Nothing, "f", &text, &[], Purpose::Look).map_err(|problems| problems.lines().collect())
}

fn auth(text: &str) -> Auth {
    look(text).unwrap_or_else(|problems| panic!("{text}: {problems:?}")).ingress.http.unwrap().auth
}

const OIDC: &str = "issuer: https://id.example, audience: https://me.example";

#[test]
fn anybody_may_enter_from_beyond_loopback_only_where_it_is_spelled_out() {
    assert!(auth("none").is_open());
    for (text, ways) in [
        ("{bearer_file: t}", &["bearer_file"][..]),
        ("{hmac: {secret_file: s}}", &["hmac"]),
        ("{certificates: \"spiffe://a/*\"}", &["certificates"]),
        (&format!("{{bearer_file: t, oidc: {{{OIDC}}}}}"), &["bearer_file", "oidc"]),
    ] {
        assert_eq!(auth(text).ways(), ways, "{text}");
    }
    for nothing in ["{}", "", "{bearer_file: none}", "{oidc: {issuer: none}}"] {
        let problems = look(nothing).expect_err(nothing);
        assert!(
            problems[0].starts_with("f:3:13: ingress.http.listen: found 0.0.0.0:80 without auth"),
            "{problems:?}"
        );
    }
}

#[test]
fn an_issuer_has_its_defaults_and_what_is_given() {
    let given = format!("{{oidc: {{{OIDC}, algorithms: [RS256, PS256], leeway: 1m, tokens_max: 0}}}}");
    let oidc = auth(&given).oidc.remove(0);
    assert_eq!(
        (oidc.issuer.as_str(), oidc.audiences),
        ("https://id.example", vec!["https://me.example".to_owned()])
    );
    assert_eq!(oidc.algorithms, ["RS256", "PS256"]);
    assert_eq!((oidc.leeway.as_secs(), oidc.tokens_max), (60, 0));
    assert_eq!((oidc.refresh_every.as_secs(), oidc.refresh_min.as_secs()), (3600, 10));
    assert_eq!((oidc.keys_url, oidc.ca_file), (None, None));
}

#[test]
fn several_issuers_stand_in_a_list_each_with_its_own_settings() {
    let given = "{oidc: [{issuer: https://a.example, audience: me}, \
                 {issuer: https://b.example, audience: [us, me], leeway: 1m}]}";
    let auth = auth(given);
    assert_eq!(auth.ways(), ["oidc"]);
    let of = |index: usize| (auth.oidc[index].section.as_str(), auth.oidc[index].issuer.as_str());
    assert_eq!(of(0), ("ingress.http.auth.oidc.1", "https://a.example"));
    assert_eq!(of(1), ("ingress.http.auth.oidc.2", "https://b.example"));
    assert_eq!((auth.oidc[0].leeway.as_secs(), auth.oidc[1].leeway.as_secs()), (30, 60));
    assert_eq!(auth.oidc[1].audiences, ["us", "me"]);
    assert_eq!(auth.oidc.len(), 2);
}

#[test]
fn a_changed_list_of_issuers_takes_a_restart() {
    let reading = |issuers: &str| {
        let text = format!("ingress: {{http: {{auth: {{oidc: {issuers}}}}}}}\n");
        crate::config::reading(&Nothing, "f", &text, &[], Purpose::Look).unwrap()
    };
    let both = "[{issuer: https://a.example, audience: me}, {issuer: https://b.example, audience: me}]";
    let (one, both) = (reading("[{issuer: https://a.example, audience: me}]"), reading(both));
    assert_eq!(one.changes(&both).restart, ["ingress.http.auth.oidc"]);
    assert_eq!(both.changes(&both.clone()).restart, [""; 0]);
}

#[test]
fn rules_are_read_as_they_are_written() {
    let rules = auth(
        "{bearer_file: t, allow: [{claims: {email: me@example.com, email_verified: true, n: [1, \"2\", 2.5]}, types: com.*}, \
         {methods: [bearer, hmac], certificates: any, paths: [/a, /b], sources: \"*\"}]}",
    );
    let rules = rules.allow.unwrap();
    let text = |text: &str| Claim::Text(text.to_owned());
    let number = |number: &str| Claim::Number(number.parse().unwrap());
    assert_eq!(
        rules[0].claims,
        [
            ("email".to_owned(), vec![text("me@example.com")]),
            ("email_verified".to_owned(), vec![Claim::Flag(true)]),
            ("n".to_owned(), vec![number("1"), text("2"), number("2.5")]),
        ]
    );
    assert_eq!(rules[0].types, ["com.*"]);
    assert_eq!(
        (&rules[1].methods[..], &rules[1].certificates[..]),
        (&["bearer".to_owned(), "hmac".to_owned()][..], &["any".to_owned()][..])
    );
    assert_eq!((rules[1].paths.len(), rules[1].sources.len(), rules[1].types.len()), (2, 1, 0));
}

/// What stands at `auth` on line 4, and every mistake that is told.
const BAD: &[(&str, &[&str])] = &[
    (
        "nobody",
        &[
            r#"f:4:11: ingress.http.auth: found "nobody", expected the settings of ingress.http.auth, indented below it, or none"#,
        ],
    ),
    (
        "{oidc: {issuer: https://id.example}}",
        &[
            "f: ingress.http.auth.oidc.audience: found nothing, expected what the issuer calls this listener in aud: \
           without it, a token for anybody would do",
        ],
    ),
    (
        "{oidc: {issuer: http://id.example, audience: me, keys_url: http://keys.example/}}",
        &[
            r#"f:4:27: ingress.http.auth.oidc.issuer: found "http://id.example", expected https, as anybody on the way could answer with keys of their own; http only on this machine"#,
            r#"f:4:70: ingress.http.auth.oidc.keys_url: found "http://keys.example/", expected https, as anybody on the way could answer with keys of their own; http only on this machine"#,
        ],
    ),
    (
        "{oidc: {issuer: \"https://id.example?x\", audience: me}}",
        &[
            r#"f:4:27: ingress.http.auth.oidc.issuer: found "https://id.example?…", expected a URL such as https://accounts.google.com, without a query, or none"#,
        ],
    ),
    (
        "{oidc: {issuer: https://id.example, audience: me, algorithms: [RS256, HS256], leeway: 61s}}",
        &[
            r#"f:4:73: ingress.http.auth.oidc.algorithms: found "HS256", expected one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA"#,
            r#"f:4:97: ingress.http.auth.oidc.leeway: found "61s", expected a duration with a unit, such as 250ms, 30s, 5m or 1h, from 0s to 1m"#,
        ],
    ),
    (
        "{oidc: {issuer: https://id.example, audience: me, algorithms: none}}",
        &[
            r#"f:4:73: ingress.http.auth.oidc.algorithms: found "none", expected one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA"#,
        ],
    ),
    (
        "{oidc: {issuer: https://id.example, audience: me, keys_age_max: 30m}}",
        &[
            "f:4:75: ingress.http.auth.oidc.keys_age_max: found keys that are too old before they are fetched again, \
           expected at least ingress.http.auth.oidc.refresh_every, which is 1h",
        ],
    ),
    (
        "{oidc: [{issuer: https://a.example, audience: me}, {audience: me}, {issuer: https://b.example}, \
         {issuer: https://a.example, audience: me, refresh_every: 2h, keys_age_max: 1h}]}",
        &[
            "f:4:62: ingress.http.auth.oidc.issuer: found nothing, expected the URL by which the issuer's tokens name \
             it, as each of the list has another",
            "f:4:78: ingress.http.auth.oidc.audience: found nothing, expected what the issuer calls this listener in \
             aud: without it, a token for anybody would do",
            r#"f:4:116: ingress.http.auth.oidc.issuer: found "https://a.example" twice, expected each issuer once"#,
            "f:4:182: ingress.http.auth.oidc.keys_age_max: found keys that are too old before they are fetched again, \
             expected at least ingress.http.auth.oidc.refresh_every, which is 2h",
        ],
    ),
    (
        "{oidc: [{issuer: https://a.example, audience: me, leeway: 2m, key_url: x}, me]}",
        &[
            r#"f:4:69: ingress.http.auth.oidc.leeway: found "2m", expected a duration with a unit, such as 250ms, 30s, 5m or 1h, from 0s to 1m"#,
            r#"f:4:73: ingress.http.auth.oidc.key_url: found an unknown key, expected a key of ingress.http.auth.oidc; did you mean "keys_url"?"#,
            r#"f:4:86: ingress.http.auth.oidc: found "me", expected the settings of ingress.http.auth.oidc"#,
        ],
    ),
    (
        "{oidc: []}",
        &[
            "f:4:18: ingress.http.auth.oidc: found an empty list, expected the settings of ingress.http.auth.oidc, \
             indented below it, or a list of at most 16 such",
        ],
    ),
    (
        "{oidc: {audience: me}, oidc: [{issuer: https://a.example, audience: me}]}",
        &[
            "f:4:29: ingress.http.auth.oidc.audience: found a value beside a list of issuers, expected it in each of the \
           list that needs it",
        ],
    ),
    (
        "{bearer_file: t, oidc: {audience: me}, hmac: {prefix: v1}}",
        &[
            "f:4:45: ingress.http.auth.oidc.audience: found a value that nothing uses, expected \
             ingress.http.auth.oidc.issuer as well, or no value",
            "f:4:65: ingress.http.auth.hmac.prefix: found a value that nothing uses, expected \
             ingress.http.auth.hmac.secret_file as well, or no value",
        ],
    ),
    (
        "{hmac: {secret_file: s, header: \"X Y\", encoding: hexa}}",
        &[
            r#"f:4:43: ingress.http.auth.hmac.header: found "X Y", expected the name of a header"#,
            r#"f:4:60: ingress.http.auth.hmac.encoding: found "hexa", expected one of hex, base64; did you mean "hex"?"#,
        ],
    ),
    (
        "{certificates: [CN=me]}",
        &[
            r#"f:4:27: ingress.http.auth.certificates: found "CN=me", expected any, spiffe://ID, or subject:, dns:, uri: or email: and a pattern, or none"#,
        ],
    ),
    (
        "{bearer_file: t, allow: [{}, {type: x}, {methods: basic}, {claims: {a: {}}}, {paths: [], paths: /}]}",
        &[
            "f:4:36: ingress.http.auth.allow.1: found a map, expected a rule that names some of claims, certificates, \
             methods, paths, sources, types",
            r#"f:4:41: ingress.http.auth.allow.2.type: found an unknown key, expected one of claims, certificates, methods, paths, sources, types; did you mean "types"?"#,
            r#"f:4:61: ingress.http.auth.allow.3.methods: found "basic", expected one of bearer, certificate, oidc, hmac"#,
            "f:4:82: ingress.http.auth.allow.4.claims.a: found a map, expected a text in which * is anything, a \
             number or a flag as JSON has them, or several",
            "f:4:96: ingress.http.auth.allow.5.paths: found an empty list, expected a list of paths: each a text in \
             which * is anything",
            "f:4:100: ingress.http.auth.allow.5.paths: found the same key twice, expected each key once",
        ],
    ),
];

#[test]
fn every_mistake_is_told_with_its_place_and_what_to_do() {
    for (text, expected) in BAD {
        assert_eq!(look(text).expect_err(text), *expected, "{text}");
    }
}

#[test]
fn rules_need_senders_who_are_known_and_none_is_none() {
    let problems = look("{allow: [{types: x}]}").unwrap_err();
    assert!(problems[1].contains("auth.allow: found rules for senders that nobody knows"), "{problems:?}");
    let both = "ingress: {http: {auth: none}}\ningress: {http: {auth: {bearer_file: t}}}\n";
    let problems = read(&Nothing, "f", both, &[], Purpose::Look).unwrap_err().to_string();
    assert!(problems.contains("ingress.http.auth: found none, and bearer_file too"), "{problems}");
}

#[test]
fn certificates_are_for_listeners_that_ask_for_them() {
    for (section, listen) in [("ingress:\n  http", "127.0.0.1:80"), ("proxy", "127.0.0.1:81")] {
        let text = format!("{section}: {{listen: \"{listen}\", auth: {{certificates: any}}}}\n");
        let problems =
            read(&Nothing, "f", &text, &[], Purpose::Look).expect_err(&text).lines().collect::<Vec<_>>();
        assert!(
            problems[0].contains("auth.certificates: found certificates that nobody verifies"),
            "{problems:?}"
        );
    }
}

#[test]
fn bodies_that_pass_through_unread_cannot_be_signed() {
    let text = "proxy: {listen: \"127.0.0.1:81\", auth: {hmac: {secret_file: s}}}\n";
    let problems = read(&Nothing, "f", text, &[], Purpose::Look).expect_err(text).lines().collect::<Vec<_>>();
    assert!(
        problems[0].contains("proxy.auth.hmac.secret_file: found signed bodies at the proxy"),
        "{problems:?}"
    );
}

#[test]
fn rules_about_events_are_a_mistake_where_requests_pass_unread() {
    let text = "proxy:\n  listen: 127.0.0.1:81\n  auth:\n    bearer_file: t\n    allow:\n      - paths: /a\n\
                \x20     - {methods: bearer, types: com.example.*}\n      - sources: /shop\n";
    let look = |text: &str| read(&Nothing, "f", text, &[], Purpose::Look);
    let problems = look(text).expect_err(text).lines().collect::<Vec<_>>();
    let expected = [
        "f:7:27: proxy.auth.allow.2.types: found types of events, which are not read here",
        "f:8:9: proxy.auth.allow.3.sources: found sources of events, which are not read here",
    ];
    assert_eq!(problems.len(), 2, "{problems:?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.starts_with(expected) && problem.contains("ingress.http.auth.allow"), "{problem}");
    }
    let same = text.replacen("proxy:\n  listen: 127.0.0.1:81", "ingress:\n http:\n  listen: 127.0.0.1:81", 1);
    assert!(look(&same).is_ok(), "{:?}", look(&same));
}
