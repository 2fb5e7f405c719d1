//! Tokens of an issuer at the proxy, and what the guards of proxy and ingress are to each other.

use crate::{
    common::{Site, authority::Authority},
    rig::{self, Through, Upstream},
    secured::{EVENT, Secured, Told, has_tools},
};
use outrigger_testkit::{Issuer, SigningKey, issuer::Trouble};
use std::net::SocketAddr;

const AUDIENCE: &str = "https://outrigger.example/";

/// A proxy that lets in tokens of an issuer.
struct Door {
    secured: Secured,
    issuer: Issuer,
    key: SigningKey,
}

impl Door {
    async fn open(change: impl FnOnce(Site) -> Site) -> Self {
        let key = SigningKey::p256("first");
        let issuer = Issuer::start(&[&key]).await;
        let secured = Secured::start(|site, _| {
            let site = site.set("proxy.auth.oidc.issuer", &issuer.url());
            change(site.set("proxy.auth.oidc.audience", AUDIENCE))
        })
        .await;
        Self { secured, issuer, key }
    }

    fn token(&self) -> String {
        self.key.token(&self.issuer.claims(AUDIENCE, "orders"))
    }

    fn through(&self) -> &Through {
        &self.secured.through
    }

    async fn send(&self, path: &str, token: &str, more: &[&str]) -> Told {
        let header = format!("authorization: Bearer {token}");
        let mut arguments = vec!["-i"];
        arguments.extend_from_slice(more);
        if !token.is_empty() {
            arguments.extend(["-H", &header]);
        }
        self.secured.curl(path, &arguments).await.unwrap()
    }
}

#[tokio::test]
async fn a_token_passes_with_its_request_and_without_one_every_path_looks_the_same() {
    if !has_tools("a_token_passes_with_its_request_and_without_one_every_path_looks_the_same") {
        return;
    }
    let routes = "{\"/admin/*\": refuse, \"/events\": ingress}";
    let door = Door::open(|site| site.set("proxy.routes", routes)).await;
    let token = door.token();
    for http in ["--http1.1", "--http2"] {
        assert_eq!(door.send("/open", &token, &[http]).await.status, 200, "{http}");
        assert_eq!(door.send("/admin/x", &token, &[http]).await.status, 404, "{http}");
        assert_eq!(door.send("//x", &token, &[http]).await.status, 400, "{http}");
    }
    let seen = door.through().function.seen();
    assert_eq!(seen.len(), 2);
    // The function may read what the token claims; it was checked here.
    assert!(seen.iter().all(|seen| seen.headers["authorization"] == format!("Bearer {token}")), "{seen:?}");

    let foreign = door.key.token(&door.issuer.claims("https://other.example/", "orders"));
    let stranger = SigningKey::p256("first").token(&door.issuer.claims(AUDIENCE, "orders"));
    let without_date = |told: &Told| {
        told.text.lines().filter(|line| !line.starts_with("date")).map(str::to_owned).collect::<Vec<_>>()
    };
    for bad in ["", "x", &foreign, &stranger] {
        let open = door.send("/open", bad, &[]).await;
        assert_eq!(open.status, 401, "{bad}");
        for path in ["/admin/x", "/events", "//x", "/%2e%2e/x", "/events?a=b"] {
            let told = door.send(path, bad, &[]).await;
            assert_eq!((told.status, without_date(&told)), (401, without_date(&open)), "{bad} {path}");
        }
    }
    assert_eq!(door.through().function.seen().len(), 2);
}

#[tokio::test]
async fn row_35_an_outage_of_the_issuer_is_503_at_the_proxy_too() {
    if !has_tools("row_35_an_outage_of_the_issuer_is_503_at_the_proxy_too") {
        return;
    }
    let door = Door::open(|site| site).await;
    assert_eq!(door.send("/", &door.token(), &[]).await.status, 200);
    door.issuer.trouble(Trouble::Status(500));
    let new = SigningKey::p256("second").token(&door.issuer.claims(AUDIENCE, "orders"));
    let told = door.send("/", &new, &[]).await;
    assert_eq!(told.status, 503);
    assert!(told.text.contains("retry-after: ") && !told.text.contains("www-authenticate"), "{told:?}");
    assert_eq!(door.send("/", &door.token(), &[]).await.status, 200, "a known key works");
    assert_eq!(door.through().function.seen().len(), 2);
}

#[tokio::test]
async fn an_open_ingress_is_no_way_around_the_proxys_guard() {
    if !has_tools("an_open_ingress_is_no_way_around_the_proxys_guard") {
        return;
    }
    let door = Door::open(|site| site.set("proxy.routes", "{\"POST /events\": ingress}")).await;
    for http in ["--http1.1", "--http2"] {
        let more: Vec<&str> = EVENT.into_iter().chain([http]).collect();
        for bad in ["", "x"] {
            assert_eq!(door.send("/events", bad, &more).await.status, 401, "{bad:?} {http}");
        }
    }
    assert_eq!(door.through().site.status().await["accepted"], 0);
    assert_eq!(door.send("/events", &door.token(), &EVENT).await.status, 202);
    door.through().function.until_seen(1).await;
}

#[tokio::test]
async fn a_guard_of_the_ingress_decides_about_events_and_about_nothing_else() {
    if !has_tools("a_guard_of_the_ingress_decides_about_events_and_about_nothing_else") {
        return;
    }
    let door = Door::open(|site| {
        let file = site.path("token");
        std::fs::write(&file, "for-events").unwrap();
        let site = site.set("ingress.http.auth.bearer_file", file.to_str().unwrap());
        site.set("proxy.routes", "{\"POST /events\": ingress}")
    })
    .await;
    let token = door.token();
    for bad in ["", &token] {
        assert_eq!(door.send("/events", bad, &EVENT).await.status, 401, "{bad:?}");
    }
    for path in ["/", "/events/", "/events/x", "/Events"] {
        assert_eq!(door.send(path, "for-events", &EVENT).await.status, 401, "{path}");
    }
    assert_eq!(door.send("/events", "for-events", &["-X", "PUT"]).await.status, 401);
    assert!(door.through().function.seen().is_empty());
    assert_eq!(door.send("/events", "for-events", &EVENT).await.status, 202);
    assert_eq!(door.send("/", &token, &[]).await.status, 200);
    door.through().function.until_seen(2).await;
    let log = door.through().process.log();
    let refused: Vec<_> = log.lines().filter(|line| line.contains("\"audit\":\"refused\"")).collect();
    assert!(refused.iter().all(|line| line.contains("\"client\":\"127.0.0.1\"")), "{refused:?}");
    for listener in ["proxy", "ingress.http"] {
        assert!(
            refused.iter().any(|line| line.contains(&format!("\"listener\":\"{listener}\""))),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_webhooks_handshake_needs_no_token_here_either() {
    if !has_tools("a_webhooks_handshake_needs_no_token_here_either") {
        return;
    }
    let door = Door::open(|site| {
        let site = site.set("ingress.http.webhook.origins", "[hooks.example]");
        site.set("proxy.routes", "{/events: ingress, \"POST /posted\": ingress}")
    })
    .await;
    let asks = ["-X", "OPTIONS", "-H", "webhook-request-origin: hooks.example"];
    for http in ["--http1.1", "--http2"] {
        let more: Vec<&str> = asks.into_iter().chain([http]).collect();
        let told = door.send("/events", "", &more).await;
        assert_eq!(told.status, 200, "{told:?}");
        assert!(told.text.contains("webhook-allowed-origin: hooks.example"), "{told:?}");
        for path in ["/", "/posted", "//events", "/%65vents"] {
            assert_eq!(door.send(path, "", &more).await.status, 401, "{path} leads to no ingress by OPTIONS");
        }
    }
    assert_eq!(door.send("/events", "", &asks[..2]).await.status, 401, "any other OPTIONS");
    let posted: Vec<&str> = EVENT.into_iter().chain(asks[2..].iter().copied()).collect();
    assert_eq!(door.send("/events", "", &posted).await.status, 401, "it lets nobody in");
    assert_eq!(door.send("/events", &door.token(), &EVENT).await.status, 202);
    door.through().function.until_seen(1).await;
}

/// The configuration in the README, for other addresses and another issuer.
fn readme(site: &Site, proxy: SocketAddr, function: &str, issuer: &str) -> String {
    let readme = std::fs::read_to_string(outrigger_testkit::place::workspace().join("README.md")).unwrap();
    let (_, section) = readme.split_once("### TLS and tokens at both listeners\n\n```yaml\n").unwrap();
    let mut yaml = section.split_once("```").unwrap().0.to_owned();
    let (ingress, proxy) = (site.ingress.to_string(), proxy.to_string());
    for (written, ours) in [
        ("http://127.0.0.1:3000/", function),
        ("0.0.0.0:8443", &ingress),
        ("0.0.0.0:8444", &proxy),
        ("https://accounts.google.com", issuer),
    ] {
        assert!(yaml.contains(written), "{written} in {yaml}");
        yaml = yaml.replace(written, ours);
    }
    format!("{yaml}admin: {{listen: \"{}\"}}\njournal: {{storage: durable}}\n", site.admin)
}

#[tokio::test]
async fn the_readmes_listeners_do_what_it_says() {
    if !has_tools("the_readmes_listeners_do_what_it_says") {
        return;
    }
    let key = SigningKey::p256("first");
    let issuer = Issuer::start(&[&key]).await;
    let function = Upstream::start().await;
    let (site, proxy) = rig::site(&function.url());
    let authority = Authority::of(&site);
    authority.issue(&site, "server", |_| {});
    for (from, to) in [("server.pem", "tls.crt"), ("server.key", "tls.key")] {
        std::fs::rename(site.path(from), site.path(to)).unwrap();
    }
    let yaml = readme(&site, proxy, &function.url(), &issuer.url());
    let mut process = site.launch().file("outrigger.yaml", &yaml).start().unwrap();
    process.ready(site.admin).await;
    let ingress = site.ingress;
    let secured = Secured { through: Through { site, process, proxy, function }, authority };
    let audience = "https://outrigger.example.com";
    let good = format!("Authorization: Bearer {}", key.token(&issuer.claims(audience, "me")));
    let bad = format!("Authorization: Bearer {}", key.token(&issuer.claims(AUDIENCE, "me")));
    let event: Vec<&str> = EVENT.into_iter().chain(["-H"]).collect();
    for (token, hello, accepted) in [(&good, 200, 202), (&bad, 401, 401)] {
        assert_eq!(secured.curl("/hello", &["-H", token]).await.unwrap().status, hello);
        let arguments: Vec<&str> = event.iter().copied().chain([token.as_str()]).collect();
        assert_eq!(secured.curl_at(ingress, "/", &arguments).await.unwrap().status, accepted);
    }
    secured.through.function.until_seen(2).await;
}
