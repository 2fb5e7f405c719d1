//! Who is known by a certificate: at the ingress and at the proxy, by the same guard.

use crate::{
    common::{Site, authority::Authority},
    secured::{EVENT, Secured, has_tools},
};

const BILLING: &str = "spiffe://example.org/ns/prod/billing";

/// What proxies in front of others write of certificates; here it is a client's own word.
const FORGED: [&str; 12] = [
    "-H",
    "x-forwarded-client-cert: By=x;Hash=00;Subject=\"CN=billing\";URI=spiffe://example.org/ns/prod/billing",
    "-H",
    "client-cert: :MIIB:",
    "-H",
    "client-cert-chain: :MIIB:",
    "-H",
    "ssl-client-verify: SUCCESS",
    "-H",
    "x-spiffe-id: spiffe://example.org/ns/prod/billing",
    "-H",
    "x-ssl-client-s-dn: CN=billing",
];

/// Known are those below `ns/prod`, and one rule allows billing.
fn guarded(site: Site, authority: &Authority) -> Site {
    authority.issue_spiffe(&site, "billing", BILLING);
    authority.issue_spiffe(&site, "reader", "spiffe://example.org/ns/prod/reader");
    authority.issue_spiffe(&site, "test", "spiffe://example.org/ns/test/billing");
    let ca = site.path("ca.pem").to_str().unwrap().to_owned();
    ["proxy", "ingress.http"].into_iter().fold(site, |site, listener| {
        let set = |site: Site, name: &str, value: &str| site.set(&format!("{listener}.{name}"), value);
        let site = set(set(site, "tls.client_ca_file", &ca), "tls.clients", "optional");
        let site = set(site, "auth.certificates", "\"spiffe://example.org/ns/prod/*\"");
        set(site, "auth.allow", &format!("[{{certificates: \"{BILLING}\"}}]"))
    })
}

/// The status for who shows the certificate `name`; 0 when there is no answer.
async fn by(secured: &Secured, name: &str, ingress: bool, more: &[&str]) -> u16 {
    let at = if ingress { secured.through.site.ingress } else { secured.through.proxy };
    let shows = secured.shows(name);
    let mut arguments: Vec<&str> = EVENT.to_vec();
    arguments.extend_from_slice(more);
    if !name.is_empty() {
        arguments.extend(shows.iter().map(String::as_str));
    }
    secured.curl_at(at, "/", &arguments).await.map_or(0, |told| told.status)
}

#[tokio::test]
async fn a_certificate_is_known_at_both_listeners_and_what_only_says_so_is_not() {
    if !has_tools("a_certificate_is_known_at_both_listeners_and_what_only_says_so_is_not") {
        return;
    }
    let secured = Secured::start(guarded).await;
    // Of another authority, with the same name in it.
    let stranger = Authority::of(&Site::at("http://127.0.0.1:1"));
    stranger.issue_spiffe(&secured.through.site, "stranger", BILLING);
    for ingress in [false, true] {
        for http in ["--http1.1", "--http2"] {
            for (name, status) in [("reader", 403), ("test", 401), ("", 401), ("stranger", 0)] {
                assert_eq!(by(&secured, name, ingress, &[http]).await, status, "{name:?} {ingress} {http}");
            }
            let forged: Vec<&str> = FORGED.into_iter().chain([http]).collect();
            for name in ["", "test"] {
                assert_eq!(by(&secured, name, ingress, &forged).await, 401, "{name:?} {ingress} {http}");
            }
        }
    }
    assert!(secured.through.function.seen().is_empty(), "{:?}", secured.through.function.seen());
    assert_eq!(by(&secured, "billing", true, &[]).await, 202);
    assert_eq!(by(&secured, "billing", false, &[]).await, 200);
}

#[tokio::test]
async fn the_function_is_told_of_tls_by_us_and_of_certificates_by_no_client() {
    if !has_tools("the_function_is_told_of_tls_by_us_and_of_certificates_by_no_client") {
        return;
    }
    let secured =
        Secured::start(|site, authority| guarded(site, authority).set("proxy.forwarded", "both")).await;
    let forged: Vec<&str> = FORGED.into_iter().chain(["-H", "x-forwarded-proto: http"]).collect();
    assert_eq!(by(&secured, "billing", false, &forged).await, 200);
    let seen = &secured.through.function.seen()[0].headers;
    for name in ["x-forwarded-client-cert", "client-cert", "client-cert-chain"] {
        assert!(!seen.contains_key(name), "{seen:?}");
    }
    assert_eq!(seen["x-forwarded-proto"], "https");
    assert!(seen["forwarded"].to_str().unwrap().ends_with(";proto=https"), "{seen:?}");
}

#[tokio::test]
async fn a_certificate_is_asked_for_anew_at_every_connection() {
    if !has_tools("a_certificate_is_asked_for_anew_at_every_connection") {
        return;
    }
    let secured = Secured::start(guarded).await;
    let request = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    for version in ["-tls1_2", "-tls1_3"] {
        let file = secured.through.site.path(version);
        let session = file.to_str().unwrap();
        let shows = secured.shows("billing").map(|word| word.replace("--", "-"));
        let mut first = vec![version, "-sess_out", session];
        first.extend(shows.iter().map(String::as_str));
        let answer = secured.raw(request, &first).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{version}: {answer}");
        if file.exists() {
            let again = secured.raw(request, &[version, "-sess_in", session]).await;
            assert!(
                again.starts_with("HTTP/1.1 401"),
                "{version}: a session brings its certificate: {again}"
            );
        }
    }
}

#[tokio::test]
async fn requests_go_on_while_the_certificate_is_renewed() {
    if !has_tools("requests_go_on_while_the_certificate_is_renewed") {
        return;
    }
    let secured = Secured::start(guarded).await;
    let shows = secured.shows("billing");
    let arguments: Vec<&str> = shows.iter().map(String::as_str).collect();
    let held = secured.command(secured.through.proxy, "/hold", &arguments).spawn().expect("curl runs");
    secured.through.function.until_seen(1).await;

    let site = &secured.through.site;
    secured.authority.issue(site, "second", |_| {});
    for end in ["key", "pem"] {
        std::fs::copy(site.path(&format!("second.{end}")), site.path(&format!("server.{end}"))).unwrap();
    }
    secured.through.process.line("proxy.tls: the files changed").await;
    let fresh = secured.curl("/fresh", &arguments).await.unwrap();
    assert_eq!((fresh.status, fresh.version.as_str()), (200, "2"));
    secured.through.function.release();
    let output = held.wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a word\n200 2");
}

#[tokio::test]
async fn a_certificate_of_the_proxys_authority_is_nobodys_to_an_ingress_with_another() {
    if !has_tools("a_certificate_of_the_proxys_authority_is_nobodys_to_an_ingress_with_another") {
        return;
    }
    let elsewhere = Site::at("http://127.0.0.1:1");
    let lax = Authority::of(&elsewhere);
    let ca = elsewhere.path("ca.pem").to_str().unwrap().to_owned();
    for (shared, status) in [(false, 401), (true, 202)] {
        let secured = Secured::start(|site, authority| {
            let site = guarded(site, authority).set("proxy.routes", "{\"POST /\": ingress}");
            if shared { site } else { site.set("proxy.tls.client_ca_file", &ca) }
        })
        .await;
        lax.issue_spiffe(&secured.through.site, "lax", BILLING);
        let name = if shared { "billing" } else { "lax" };
        assert_eq!(by(&secured, name, false, &[]).await, status, "{name}");
        assert_eq!(by(&secured, name, true, &[]).await, if shared { 202 } else { 0 }, "{name}");
    }
}
