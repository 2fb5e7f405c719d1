use super::*;
use crate::auth::{
    glob::Glob,
    hmac::{Encoding, Form, Hash},
    oidc::{Oidc, Settings},
    rules::Rule,
};
use fastrand::Rng;
use http::{HeaderName, HeaderValue, Request, header::AUTHORIZATION};
use outrigger_testkit::{Issuer, SigningKey};
use std::{fs, time::Duration};
use tempfile::TempDir;

const GITHUB: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

fn request(path: &str, headers: &[(&'static str, &str)]) -> Parts {
    let mut request = Request::post(path).body(()).unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
    }
    request.into_parts().0
}

fn bearing(token: &str) -> Parts {
    request("/", &[("authorization", &format!("Bearer {token}"))])
}

fn with_certificate(subject: &str) -> Parts {
    let mut parts = request("/", &[]);
    parts.extensions.insert(Arc::new(Peer { subject: subject.to_owned(), ..Peer::default() }));
    parts
}

fn bearer_file(folder: &TempDir) -> TokenFile {
    fs::write(folder.path().join("token"), "right").unwrap();
    TokenFile::open(folder.path().join("token"), Instant::now()).unwrap()
}

fn signed(folder: &TempDir) -> Signed {
    fs::write(folder.path().join("secret"), "It's a Secret to Everybody").unwrap();
    let form = Form {
        header: HeaderName::from_static("x-hub-signature-256"),
        prefix: "sha256=".to_owned(),
        encoding: Encoding::Hex,
        hash: Hash::Sha256,
    };
    Signed::open(folder.path().join("secret"), form, Instant::now()).unwrap()
}

fn certificates(text: &str) -> Vec<PeerPattern> {
    PeerPattern::read(text).into_iter().collect()
}

/// Which method let it in, or why none did.
async fn entered(guard: &Guard, parts: &Parts) -> Result<&'static str, Why> {
    match guard.enter(parts).await {
        Ok(Entry::Known(pass)) => Ok(pass.who().method()),
        Ok(Entry::Signed(_)) => Ok("the body will tell"),
        Err(denial) => Err(denial.why),
    }
}

#[tokio::test]
async fn an_open_guard_lets_anybody_in() {
    let guard = Guard::open("l");
    assert!(guard.is_open());
    assert_eq!(entered(&guard, &request("/", &[])).await, Ok("none"));
}

#[tokio::test]
async fn each_method_is_an_alternative() {
    let folder = tempfile::tempdir().unwrap();
    let methods = Methods {
        bearer: Some(bearer_file(&folder)),
        signed: Some(signed(&folder)),
        certificates: certificates("subject:CN=orders"),
        ..Methods::default()
    };
    let guard = Guard::new("l", methods, None);
    assert_eq!(entered(&guard, &bearing("right")).await, Ok("bearer"));
    assert_eq!(entered(&guard, &bearing("wrong")).await, Err(Why::Token));
    assert_eq!(entered(&guard, &with_certificate("CN=orders")).await, Ok("certificate"));
    assert_eq!(entered(&guard, &with_certificate("CN=others")).await, Err(Why::Certificate));
    assert_eq!(entered(&guard, &request("/", &[])).await, Err(Why::Missing));
    let both = request("/", &[("authorization", "Bearer wrong"), ("x-hub-signature-256", GITHUB)]);
    assert_eq!(entered(&guard, &both).await, Ok("the body will tell"));
    let mut certified = with_certificate("CN=others");
    certified.headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer right"));
    assert_eq!(entered(&guard, &certified).await, Ok("bearer"));
}

fn binary<'a>(source: &'a str, ty: &'a str) -> Attributes<'a> {
    Attributes { source, ty, in_body: false }
}

fn rule(methods: &[&str], types: &str) -> Rule {
    Rule {
        methods: methods.iter().map(ToString::to_string).collect(),
        types: vec![Glob::new(types)],
        ..Rule::default()
    }
}

#[tokio::test]
async fn where_rules_are_about_either_a_token_counts_beside_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let guard = |rules| {
        let methods = Methods {
            bearer: Some(bearer_file(&folder)),
            certificates: certificates("subject:CN=mesh"),
            ..Methods::default()
        };
        Guard::new("l", methods, Some(Rules::new(rules)))
    };
    let certified = |token: Option<&'static str>| {
        let mut parts = with_certificate("CN=mesh");
        let header = token.map(|token| HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
        parts.headers.extend(header.map(|header| (AUTHORIZATION, header)));
        parts
    };
    let sends = async |guard: &Guard, parts: &Parts, ty: &str| match guard.enter(parts).await {
        Ok(Entry::Known(pass)) => guard.event(&pass, parts, binary("/s", ty)).map_err(|denial| denial.why),
        Ok(Entry::Signed(_)) => panic!("no body is signed"),
        Err(denial) => Err(denial.why),
    };
    let either = guard(vec![rule(&["bearer"], "by.token"), rule(&["certificate"], "by.certificate")]);
    for (token, ty, sent) in [
        (Some("right"), "by.token", Ok(())),
        (Some("right"), "by.certificate", Ok(())),
        (Some("right"), "other", Err(Why::Rule)),
        (None, "by.certificate", Ok(())),
        (None, "by.token", Err(Why::Rule)),
        (Some("wrong"), "by.certificate", Ok(())),
        (Some("wrong"), "by.token", Err(Why::Token)),
    ] {
        assert_eq!(sends(&either, &certified(token), ty).await, sent, "{token:?} {ty}");
    }
    let token_only = guard(vec![rule(&["bearer"], "*")]);
    assert_eq!(sends(&token_only, &certified(Some("right")), "t").await, Ok(()));
    assert_eq!(sends(&token_only, &certified(None), "t").await, Err(Why::Rule));
    // What one rule names must fit all of it, if by different ways.
    let both = Rule { certificates: certificates("subject:CN=mesh"), ..rule(&["bearer"], "*") };
    let both = guard(vec![both]);
    assert_eq!(sends(&both, &certified(Some("right")), "t").await, Ok(()));
    assert_eq!(sends(&both, &certified(None), "t").await, Err(Why::Rule));
    assert_eq!(sends(&both, &bearing("right"), "t").await, Err(Why::Rule));
}

#[tokio::test]
async fn a_certificate_counts_only_where_certificates_do_and_no_header_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let methods = Methods { bearer: Some(bearer_file(&folder)), ..Methods::default() };
    assert_eq!(
        entered(&Guard::new("l", methods, None), &with_certificate("CN=orders")).await,
        Err(Why::Missing)
    );
    let methods = Methods { certificates: certificates("any"), ..Methods::default() };
    let guard = Guard::new("l", methods, None);
    let forged = request(
        "/",
        &[("x-forwarded-client-cert", "Subject=\"CN=orders\""), ("x-ssl-client-verify", "SUCCESS")],
    );
    let denial = guard.enter(&forged).await.unwrap_err();
    assert_eq!(denial.why, Why::Missing);
    assert_eq!(denial.answer().headers()["www-authenticate"], "Client-Certificate");
}

#[tokio::test]
async fn a_signed_body_is_let_in_when_it_is_the_body_that_was_signed() {
    let folder = tempfile::tempdir().unwrap();
    let guard = Guard::new("l", Methods { signed: Some(signed(&folder)), ..Methods::default() }, None);
    let parts = request("/", &[("x-hub-signature-256", GITHUB)]);
    let Entry::Signed(pending) = guard.enter(&parts).await.unwrap() else { panic!("only the body can tell") };
    assert_eq!(guard.body(&pending, &parts, b"Hello, World!").unwrap().who().method(), "hmac");
    let denial = guard.body(&pending, &parts, b"Hello, world!").unwrap_err();
    assert_eq!((denial.why, denial.answer().status().as_u16()), (Why::Body, 401));
    assert_eq!(denial.answer().headers()["www-authenticate"], "Body-HMAC");
    let packed = request("/", &[("x-hub-signature-256", GITHUB), ("content-encoding", "gzip")]);
    assert_eq!(entered(&guard, &packed).await, Err(Why::Malformed));
    let no_signature = request("/", &[("x-hub-signature-256", "sha256=00")]);
    assert_eq!(entered(&guard, &no_signature).await, Err(Why::Malformed));
    let other = Guard::new("l", Methods { bearer: Some(bearer_file(&folder)), ..Methods::default() }, None);
    assert_eq!(other.body(&pending, &parts, b"Hello, World!").unwrap_err().why, Why::Body);
}

#[tokio::test]
async fn what_a_signed_body_does_not_hold_itself_fits_no_rule_about_events() {
    let folder = tempfile::tempdir().unwrap();
    let methods =
        Methods { bearer: Some(bearer_file(&folder)), signed: Some(signed(&folder)), ..Methods::default() };
    let guard = Guard::new("l", methods, Some(Rules::new(vec![rule(&[], "com.*")])));
    let parts = request("/", &[("x-hub-signature-256", GITHUB)]);
    let Entry::Signed(pending) = guard.enter(&parts).await.unwrap() else { panic!("only the body can tell") };
    let signer = guard.body(&pending, &parts, b"Hello, World!").unwrap();
    let Ok(Entry::Known(holder)) = guard.enter(&bearing("right")).await else { panic!("the token is right") };
    let judged = |pass: &Pass, ty: &str, in_body: bool| {
        let event = Attributes { in_body, ..binary("/s", ty) };
        guard.event(pass, &parts, event).map_err(|denial| denial.why)
    };
    assert_eq!(judged(&signer, "com.a", true), Ok(()));
    assert_eq!(judged(&signer, "org.a", true), Err(Why::Rule));
    assert_eq!(judged(&signer, "com.a", false), Err(Why::Rule), "anybody could have written it");
    assert_eq!(judged(&holder, "com.a", false), Ok(()), "a token is for the whole request");
}

#[tokio::test]
async fn rules_hold_for_the_path_and_for_each_event() {
    let folder = tempfile::tempdir().unwrap();
    let globs = |pattern: &str| vec![Glob::new(pattern)];
    let rule =
        Rule { paths: globs("/in/*"), types: globs("com.*"), sources: globs("/shop"), ..Rule::default() };
    let methods = Methods { bearer: Some(bearer_file(&folder)), ..Methods::default() };
    let guard = Guard::new("l", methods, Some(Rules::new(vec![rule])));
    let to = |path: &str| request(path, &[("authorization", "Bearer right")]);
    let denial = guard.enter(&to("/out")).await.unwrap_err();
    assert_eq!((denial.why, denial.answer().status().as_u16()), (Why::Rule, 403));
    assert!(denial.detail.contains("(bearer)"), "{denial}");
    let parts = to("/in/a?x=/in/b");
    let Ok(Entry::Known(pass)) = guard.enter(&parts).await else { panic!("a rule allows it") };
    assert!(guard.event(&pass, &parts, binary("/shop", "com.a")).is_ok());
    assert_eq!(guard.request(&pass, &parts).unwrap_err().why, Why::Rule, "it is about events");
    for (source, ty) in [("/shop", "org.a"), ("/shops", "com.a"), ("", "")] {
        let event = binary(source, ty);
        assert_eq!(guard.event(&pass, &parts, event).unwrap_err().why, Why::Rule, "{event:?}");
    }
}

/// Tokens of this issuer for `me`, with its keys kept.
fn kept(issuer: &Issuer) -> Arc<Oidc> {
    let oidc = Oidc::new(Settings {
        issuer: issuer.url(),
        audiences: vec!["me".to_owned()],
        algorithms: Settings::algorithm("ES256").into_iter().collect(),
        leeway: Duration::ZERO,
        keys_url: None,
        ca_file: None,
        refresh_every: Duration::from_hours(1),
        refresh_min: Duration::ZERO,
        keys_age_max: Duration::from_hours(1),
        timeout: Duration::from_secs(10),
        answer_bytes_max: 1 << 16,
        tokens_max: 10,
        proxies: crate::client::Proxies::default(),
    })
    .unwrap();
    tokio::spawn(Oidc::keep(Arc::downgrade(&oidc), Rng::with_seed(1)));
    oidc
}

#[tokio::test]
async fn a_token_of_the_file_and_one_of_the_issuer_are_both_let_in() {
    let (folder, key) = (tempfile::tempdir().unwrap(), SigningKey::p256("a"));
    let issuer = Issuer::start(&[&key]).await;
    let oidc = Issuers::new(vec![kept(&issuer)]);
    let methods = Methods { bearer: Some(bearer_file(&folder)), oidc, ..Methods::default() };
    let guard = Guard::new("l", methods, None);
    assert_eq!(entered(&guard, &bearing("right")).await, Ok("bearer"));
    assert_eq!(entered(&guard, &bearing(&key.token(&issuer.claims("me", "orders")))).await, Ok("oidc"));
    assert_eq!(entered(&guard, &bearing("wrong")).await, Err(Why::Malformed));
    assert_eq!(
        entered(&guard, &bearing(&key.token(&issuer.claims("you", "orders")))).await,
        Err(Why::Audience)
    );
    let basic = request("/", &[("authorization", "Basic cmlnaHQ=")]);
    assert_eq!(entered(&guard, &basic).await, Err(Why::Missing));
    let twice = request("/", &[("authorization", "Bearer right"), ("authorization", "Bearer right")]);
    assert_eq!(entered(&guard, &twice).await, Err(Why::Token));
}

#[tokio::test]
async fn of_several_issuers_the_one_that_a_token_names_judges_it() {
    // The same name of a key, so that only the issuer tells which one is meant.
    let (first, second) = (SigningKey::p256("a"), SigningKey::p256("a"));
    let (ours, theirs) = (Issuer::start(&[&first]).await, Issuer::start(&[&second]).await);
    let oidc = Issuers::new(vec![kept(&ours), kept(&theirs)]);
    let guard = Guard::new("l", Methods { oidc, ..Methods::default() }, None);
    let verdict = async |key: &SigningKey, issuer: &Issuer, audience: &str| {
        entered(&guard, &bearing(&key.token(&issuer.claims(audience, "orders")))).await
    };
    for _ in 0..2 {
        assert_eq!(verdict(&first, &ours, "me").await, Ok("oidc"));
        assert_eq!(verdict(&second, &theirs, "me").await, Ok("oidc"));
    }
    assert_eq!(verdict(&second, &theirs, "you").await, Err(Why::Audience));
    assert_eq!(verdict(&second, &ours, "me").await, Err(Why::Signature), "signed by the other one");
    let unknown = Issuer::start(&[&first]).await;
    let denial = guard.enter(&bearing(&first.token(&unknown.claims("me", "orders")))).await.unwrap_err();
    assert_eq!(denial.why, Why::Issuer);
    assert!(denial.detail.contains(&ours.url()) && denial.detail.contains(&theirs.url()), "{denial}");
    assert_eq!(entered(&guard, &bearing("opaque")).await, Err(Why::Malformed));
    let mut nameless = ours.claims("me", "orders");
    nameless["iss"] = serde_json::Value::Null;
    assert_eq!(entered(&guard, &bearing(&first.token(&nameless))).await, Err(Why::Issuer));
}
