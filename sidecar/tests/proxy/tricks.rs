//! Tricks that come through TLS: paths that pass by a rule, requests within requests, answers that are lost.

use crate::{
    common::Site,
    edge::AMBIGUOUS,
    rig::{Through, request},
    secured::{Secured, has_tools},
};

/// The token `t` is known; it may use what is below `/public/`.
fn guarded(site: Site) -> Site {
    let file = site.path("token");
    std::fs::write(&file, "t").unwrap();
    let site = site.set("proxy.auth.bearer_file", file.to_str().unwrap());
    site.set("proxy.auth.allow", "[{paths: /public/*}]")
}

const KNOWN: [&str; 2] = ["-H", "authorization: Bearer t"];

#[tokio::test]
async fn no_way_to_write_a_path_passes_by_a_rule() {
    if !has_tools("no_way_to_write_a_path_passes_by_a_rule") {
        return;
    }
    let secured = Secured::start(|site, _| guarded(site)).await;
    for http in ["--http1.1", "--http2"] {
        for path in [
            "/",
            "/admin",
            "/Public/x",
            "/public",
            "/public/../admin",
            "/public/./x",
            "/public//x",
            "//public/x",
            "/public/%2e%2e/admin",
            "/public/.%2E/admin",
            "/public/..%2Fadmin",
            "/public%2Fx",
            "/%70ublic/x",
            "/public/%252e%252e/admin",
            "/public/..;/admin",
            "/public/..%5cadmin",
            "/public/..\\admin",
            "/admin?/public/x",
            "/admin?x=/../public/x",
        ] {
            let arguments: Vec<&str> = KNOWN.into_iter().chain([http]).collect();
            let told = secured.curl(path, &arguments).await;
            let status = told.as_ref().map_or(0, |told| told.status);
            assert!([403, 400].contains(&status), "{http} {path}: {told:?}");
        }
        for target in [
            "http://localhost/admin",
            "https://localhost/public/../admin",
            "http://localhost",
            "http://public/",
            "http://x/public/@y/../z",
            "*",
        ] {
            let target = ["--request-target", target, http];
            let arguments: Vec<&str> = KNOWN.into_iter().chain(target).collect();
            let status = secured.curl("/", &arguments).await.map_or(0, |told| told.status);
            assert_ne!(status, 200, "{target:?}");
        }
    }
    assert!(secured.through.function.seen().is_empty(), "{:?}", secured.through.function.seen());
    for path in ["/public/x", "/public/a.b/..c", "/public/x?/../admin"] {
        assert_eq!(secured.curl(path, &KNOWN).await.unwrap().status, 200, "{path}");
    }
    let whole = ["--http1.1", "--request-target", "http://other/public/y"];
    let arguments: Vec<&str> = KNOWN.into_iter().chain(whole).collect();
    assert_eq!(secured.curl("/", &arguments).await.unwrap().status, 200);
    let seen = secured.through.function.seen();
    let last = seen.last().unwrap();
    assert_eq!((last.target.as_str(), &last.headers["host"]), ("/public/y", &"other".parse().unwrap()));
}

#[tokio::test]
async fn a_request_within_a_request_reaches_nobody_through_tls() {
    if !has_tools("a_request_within_a_request_reaches_nobody_through_tls") {
        return;
    }
    let secured = Secured::start(|site, _| guarded(site)).await;
    let (known, hidden) =
        ("authorization: Bearer t", "0\r\n\r\nGET /public/smuggled HTTP/1.1\r\nhost: x\r\n");
    for (what, headers) in AMBIGUOUS {
        let request = format!(
            "POST /public/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{known}\r\n{headers}\r\n{hidden}{known}\r\n\r\n"
        );
        let answer = secured.raw(request.as_bytes(), &[]).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{what}: {answer:?}");
    }
    // Two whole requests are two: the one who is known does not vouch for the next.
    let two = format!(
        "GET /public/x HTTP/1.1\r\nhost: x\r\n{known}\r\n\r\nGET /public/smuggled HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    );
    let answers = secured.raw(two.as_bytes(), &[]).await;
    assert!(answers.starts_with("HTTP/1.1 200") && answers.contains("HTTP/1.1 401"), "{answers:?}");
    let seen: Vec<_> = secured.through.function.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(seen, ["/public/x"]);
}

#[tokio::test]
async fn who_is_refused_while_sending_a_large_body_reads_the_refusal() {
    if !has_tools("who_is_refused_while_sending_a_large_body_reads_the_refusal") {
        return;
    }
    let secured = Secured::start(|site, _| guarded(site)).await;
    let body = secured.through.site.path("body");
    std::fs::write(&body, vec![b'x'; 8 << 20]).unwrap();
    let data = format!("@{}", body.display());
    for http in ["--http1.1", "--http2"] {
        for _ in 0..5 {
            let told = secured.curl("/public/x", &["--data-binary", &data, "-H", "expect:", http]).await;
            assert_eq!(told.as_ref().map(|told| told.status), Ok(401), "{http}");
        }
    }
    assert!(secured.through.function.seen().is_empty());
}

#[tokio::test]
async fn the_authority_of_http2_goes_before_its_host_and_names_no_user() {
    let through = Through::start().await;
    let mut sender = through.http2().await;
    for (target, status) in [("http://a.test/x", 200), ("http://user@a.test/y", 400)] {
        let answer = sender.send_request(request(http::Method::GET, target, "")).await.unwrap();
        assert_eq!(answer.status(), status, "{target}");
    }
    let seen = through.function.seen();
    let hosts: Vec<_> = seen[0].headers.get_all("host").iter().collect();
    assert_eq!(seen.len(), 1);
    assert_eq!(hosts, ["a.test"]);
}
