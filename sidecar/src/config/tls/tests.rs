use crate::config::{Config, Env, Problems, Purpose, read};
use std::path::Path;

struct Around(&'static [(&'static str, &'static str)]);

impl Env for Around {
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

fn look(text: &str) -> Result<Config, Problems> {
    read(&Around(&[]), "f", text, &[], Purpose::Look)
}

/// What is wrong, without the place in the file.
fn messages(text: &str) -> Vec<String> {
    let problems = look(text).err().map(|problems| problems.lines().collect::<Vec<_>>()).unwrap_or_default();
    problems.iter().map(|line| line.split_once(": ").unwrap().1.to_owned()).collect()
}

#[test]
fn a_listener_has_tls_with_a_certificate_and_asks_for_others_with_an_authority() {
    let tls = |more: &str| {
        let text = format!("ingress: {{http: {{tls: {{certificate_file: c, key_file: k{more}}}}}}}");
        look(&text).unwrap_or_else(|problems| panic!("{problems}")).ingress.http.unwrap().tls.unwrap()
    };
    let plain = tls("");
    assert_eq!((plain.section, plain.only_13, plain.clients), ("ingress.http.tls", false, None));
    assert!(tls(", version_min: 1.3").only_13);
    let mutual = tls(", client_ca_file: a").clients.unwrap();
    assert!(mutual.required && mutual.subjects.is_empty() && mutual.spiffe_ids.is_empty());
    let ruled = tls(
        ", client_ca_file: a, clients: optional, client_subjects: [\"CN=a,O=b\"], client_spiffe_ids: spiffe://d/*",
    );
    let ruled = ruled.clients.unwrap();
    assert_eq!(
        (ruled.required, ruled.subjects, ruled.spiffe_ids),
        (false, vec!["CN=a,O=b".into()], vec!["spiffe://d/*".into()])
    );
    assert_eq!(look("").unwrap().ingress.http.unwrap().tls, None);
}

#[test]
fn half_of_a_pair_and_a_line_without_effect_are_told() {
    for (tls, expected) in [
        (
            "certificate_file: c",
            "key_file: found no key, expected the file of the certificate's key; or no certificate_file",
        ),
        (
            "key_file: k",
            "certificate_file: found no certificate, expected the file of the key's certificate; or no key_file",
        ),
        (
            "client_ca_file: a",
            "client_ca_file: found a value that nothing uses, expected no value, or a certificate_file",
        ),
        (
            "version_min: 1.3",
            "version_min: found a value that nothing uses, expected no value, or a certificate_file",
        ),
        (
            "certificate_file: c, key_file: k, clients: required",
            "clients: found a value that nothing uses, expected no value, or a client_ca_file",
        ),
        (
            "certificate_file: c, key_file: k, client_spiffe_ids: [spiffe://d/x]",
            "client_spiffe_ids: found a value that nothing uses, expected no value, or a client_ca_file",
        ),
        (
            "client_spiffe_ids: \"spiffe://D/x\"",
            "client_spiffe_ids: found \"spiffe://D/x\", expected a SPIFFE id such as",
        ),
        ("client_subjects: billing", "client_subjects: found \"billing\", expected a whole subject such as"),
        ("version_min: 1.1", "version_min: found 1.1, expected one of 1.2, 1.3"),
    ] {
        for (section, text) in [
            ("ingress.http.tls", format!("ingress: {{http: {{tls: {{{tls}}}}}}}")),
            ("proxy.tls", format!("proxy: {{tls: {{{tls}}}}}")),
            ("admin.tls", format!("admin: {{tls: {{{tls}}}}}")),
        ] {
            let found = messages(&text);
            assert!(
                found.len() == 1 && found[0].starts_with(&format!("{section}.{expected}")),
                "{tls}: {found:?}"
            );
        }
    }
}

#[test]
fn the_function_has_tls_by_its_url() {
    let config = look("function: {url: https://f.example/, tls: {ca_file: a, version_min: 1.3}}").unwrap();
    let tls = config.function.tls;
    assert_eq!((tls.ca.as_deref(), tls.pair, tls.only_13), (Some(Path::new("a")), None, true));
    let found = messages("function: {url: http://f.example/, tls: {ca_file: a}}");
    assert!(found[0].starts_with("function.tls.ca_file: found a value that nothing uses"), "{found:?}");
    let found = messages("function: {url: https://f.example/, tls: {certificate_file: a}}");
    assert!(found[0].starts_with("function.tls.key_file: found no key"), "{found:?}");
}

#[test]
fn the_proxy_is_taken_from_the_environment_in_either_case_and_not_shown() {
    for variables in [
        &[("HTTPS_PROXY", "http://me:geheim@proxy:1"), ("no_proxy", "a,b")][..],
        &[("https_proxy", "http://me:geheim@proxy:1"), ("NO_PROXY", "a,b")],
    ] {
        let config = read(&Around(variables), "f", "", &[], Purpose::Look).unwrap();
        assert_eq!(
            (config.outgoing.https_proxy.as_deref(), config.outgoing.no_proxy.as_str()),
            (Some("http://me:geheim@proxy:1"), "a,b")
        );
        assert!(!format!("{config:?}").contains("geheim"));
    }
    assert_eq!(look("").unwrap().outgoing.https_proxy, None);
}
