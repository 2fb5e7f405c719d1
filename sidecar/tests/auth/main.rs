//! Who may enter, through the shipped binary: tokens of a real issuer, signed bodies, rules, and what is said about it.

#[path = "../common/mod.rs"]
mod common;
mod signed;

use bytes::Bytes;
use common::Site;
use http::Response;
use outrigger_function::{Function, Program};
use outrigger_testkit::{
    Issuer, Mode, Oracle, Outgoing, Process, SigningKey, free_port,
    issuer::{Trouble, hs256, unix_s},
    process::WAIT_MAX,
};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};
use tokio::time::{Instant, sleep};

const AUDIENCE: &str = "https://outrigger.example/";

/// An ingress that lets in tokens of an issuer.
struct Door {
    function: Function,
    issuer: Issuer,
    key: SigningKey,
    site: Site,
    process: Process,
}

impl Door {
    async fn open(change: impl FnOnce(Site) -> Site) -> Self {
        let key = SigningKey::p256("first");
        let issuer = Issuer::start(&[&key]).await;
        let function = Function::start(Program::default());
        let site = change(site(&function, &issuer.url()));
        let process = site.start().await;
        Self { function, issuer, key, site, process }
    }

    /// The lines of the audit log so far.
    fn audit(&self) -> Vec<Value> {
        let log = self.process.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line.get("audit").is_some()).collect()
    }

    fn token(&self) -> String {
        self.key.token(&self.issuer.claims(AUDIENCE, "orders"))
    }

    async fn send(&self, token: &str) -> Response<Bytes> {
        send(&self.site, token).await
    }

    #[expect(clippy::cast_possible_truncation, reason = "a count of a few requests")]
    async fn refusals(&self, reason: &str) -> i64 {
        let name = format!("outrigger_auth_refused_total{{listener=\"http\",reason=\"{reason}\"}}");
        self.site.metric(&name).await as i64
    }
}

fn site(function: &Function, issuer: &str) -> Site {
    Site::of(function)
        .set("ingress.http.auth.oidc.issuer", issuer)
        .set("ingress.http.auth.oidc.audience", AUDIENCE)
}

async fn send(site: &Site, token: &str) -> Response<Bytes> {
    let producer = site.producer().with_header("authorization", &format!("Bearer {token}"));
    producer.send(&Outgoing::new("1", None), Mode::Binary).await.unwrap()
}

#[tokio::test]
async fn a_token_of_the_issuer_is_let_in_and_nothing_else_is() {
    let door = Door::open(|site| site).await;
    assert_eq!(door.send(&door.token()).await.status(), 202);
    door.function.wait_for(|stats| stats.ended == 1).await;

    let missing = door.site.producer().send(&Outgoing::new("1", None), Mode::Binary).await.unwrap();
    assert_eq!(
        (missing.status().as_u16(), &missing.headers()["www-authenticate"]),
        (401, &"Bearer".parse().unwrap())
    );
    let stranger = SigningKey::p256("first").token(&door.issuer.claims(AUDIENCE, "orders"));
    let refused = door.send(&stranger).await;
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["www-authenticate"], "Bearer error=\"invalid_token\"");
    assert!(refused.body().len() < 40, "{:?}", refused.body());
    assert_eq!(door.refusals("missing").await, 1);
    assert_eq!(door.refusals("signature").await, 1);
    assert_eq!(door.function.stats().received, 1);
}

#[tokio::test]
async fn row_35_during_an_outage_of_the_issuer_known_keys_work_and_unknown_ones_are_answered_503() {
    let door = Door::open(|site| site.set("ingress.http.auth.oidc.tokens_max", "0")).await;
    let second = SigningKey::p256("second");
    let oracle = Oracle::default();
    assert_eq!(door.send(&door.token()).await.status(), 202);
    door.issuer.trouble(Trouble::Status(500));
    let new = second.token(&door.issuer.claims(AUDIENCE, "orders"));
    for _ in 0..3 {
        let answer = door.send(&new).await;
        assert_eq!(answer.status(), 503);
        assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
        assert!(!answer.headers().contains_key("www-authenticate"), "the token may be good");
        assert_eq!(door.send(&door.token()).await.status(), 202, "a known key works");
    }
    assert_eq!(door.refusals("unavailable").await, 3);

    door.issuer.set_keys(&[&door.key, &second]);
    door.issuer.trouble(Trouble::None);
    let event = Outgoing::new("fresh", None);
    oracle.sending(&event);
    let producer = door.site.producer().with_header("authorization", &format!("Bearer {new}"));
    let deadline = Instant::now() + WAIT_MAX;
    while producer.send(&event, Mode::Binary).await.unwrap().status() != 202 {
        assert!(Instant::now() < deadline, "an issuer that is back is not asked");
        sleep(Duration::from_millis(20)).await; // until its keys are fetched, in a second or two
    }
    oracle.acknowledged("fresh");
    door.function.wait_for(|stats| stats.ended == 5).await;
    assert_eq!(door.function.log().iter().filter(|call| call.id.as_deref() == Some("fresh")).count(), 1);
}

#[tokio::test]
async fn an_issuer_that_is_down_at_the_start_is_said_and_keeps_nobody_out_for_good() {
    let key = SigningKey::p256("first");
    // A port that no client takes while nobody listens there.
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let gone = Issuer::start_at(address, &[&key]).await;
    let (url, token) = (gone.url(), key.token(&gone.claims(AUDIENCE, "orders")));
    gone.end().await;
    let function = Function::start(Program::default());
    let site = site(&function, &url);
    let process = site.start().await;
    let said = process.line("no keys").await;
    assert!(said.contains(&url) && said.contains("503"), "{said}");
    assert_eq!(send(&site, &token).await.status(), 503);
    let missing = site.producer().send(&Outgoing::new("1", None), Mode::Binary).await.unwrap();
    assert_eq!(missing.status(), 401, "who brings no token need not come again");

    let _issuer = Issuer::start_at(address, &[&key]).await;
    let deadline = Instant::now() + WAIT_MAX;
    while send(&site, &token).await.status() != 202 {
        assert!(Instant::now() < deadline, "an issuer that is there is not asked");
        sleep(Duration::from_millis(20)).await; // until its keys are fetched, in a second or two
    }
    process.line("can be asked again").await;
}

#[tokio::test]
async fn row_24_a_clock_that_is_off_is_said_and_tokens_are_judged_by_ours() {
    let key = SigningKey::p256("first");
    let issuer = Issuer::start(&[&key]).await;
    issuer.set_clock_ahead(Duration::from_hours(1));
    let function = Function::start(Program::default());
    let site = site(&function, &issuer.url());
    let process = site.start().await;
    let said = process.line("the clock here").await;
    assert!(said.contains("behind the issuer's"), "{said}");
    let mut claims = issuer.claims(AUDIENCE, "orders");
    for (exp, expected) in [(300, 202), (-31, 401), (-3600, 401)] {
        claims["exp"] = (unix_s() + exp).into();
        assert_eq!(send(&site, &key.token(&claims)).await.status(), expected, "{exp}");
    }
    claims["exp"] = (unix_s() + 300).into();
    claims["nbf"] = (unix_s() + 120).into();
    assert_eq!(send(&site, &key.token(&claims)).await.status(), 401);
}

#[tokio::test]
async fn a_token_for_somebody_else_by_somebody_else_or_of_no_algorithm_is_refused_with_its_reason() {
    let door = Door::open(|site| site).await;
    let claims = |name: &str, value: Value| {
        let mut claims = door.issuer.claims(AUDIENCE, "orders");
        claims[name] = value;
        claims
    };
    let good = door.issuer.claims(AUDIENCE, "orders");
    let public = door.key.jwk().to_string();
    for (token, reason) in [
        (door.key.token(&claims("aud", json!("https://other.example/"))), "audience"),
        (door.key.token(&claims("iss", json!("https://other.example/"))), "issuer"),
        (door.key.token(&claims("exp", json!(unix_s() - 60))), "expired"),
        (door.key.token(&claims("nbf", json!(unix_s() + 60))), "not_yet"),
        (door.key.token_with(&json!({"alg": "none"}), &good), "algorithm"),
        (hs256(public.as_bytes(), &json!({"alg": "HS256", "kid": "first"}), &good), "algorithm"),
        (SigningKey::p256("unknown").token(&good), "key"),
        ("a.b.c".to_owned(), "malformed"),
        ("opaque".to_owned(), "malformed"),
    ] {
        let before = door.refusals(reason).await;
        assert_eq!(door.send(&token).await.status(), 401, "{reason}");
        assert_eq!(door.refusals(reason).await, before + 1, "{reason}");
    }
    let log = door.process.log();
    assert!(log.contains("other.example"), "the operator is told what was found: {log}");
    assert_eq!(door.function.stats().received, 0);
}

#[tokio::test]
async fn rules_say_who_may_send_what_and_a_batch_is_refused_whole() {
    let rules = "[{claims: {sub: orders, /org/unit: [a, b]}, types: io.outrigger.*, sources: /testkit}, \
                  {claims: {sub: admin}}]";
    let door = Door::open(|site| site.set("ingress.http.auth.allow", rules)).await;
    let token = |sub: &str, unit: &str| {
        let mut claims = door.issuer.claims(AUDIENCE, sub);
        claims["org"] = json!({"unit": unit});
        door.key.token(&claims)
    };
    let producer =
        |token: &str| door.site.producer().with_header("authorization", &format!("Bearer {token}"));
    let other = Outgoing { ty: "com.example.other".to_owned(), ..Outgoing::new("2", None) };
    let mine = Outgoing::new("1", None);
    for (sub, unit, event, status) in [
        ("orders", "a", &mine, 202),
        ("orders", "c", &mine, 403),
        ("nobody", "a", &mine, 403),
        ("orders", "a", &other, 403),
        ("admin", "c", &other, 202),
    ] {
        for mode in [Mode::Binary, Mode::Structured] {
            let answer = producer(&token(sub, unit)).send(event, mode).await.unwrap();
            assert_eq!(answer.status(), status, "{sub} {unit} {}", event.ty);
            let challenge = answer.headers().get("www-authenticate").map(|value| value.to_str().unwrap());
            assert_eq!(challenge, (status == 403).then_some("Bearer error=\"insufficient_scope\""));
        }
    }
    door.function.wait_for(|stats| stats.ended == 4).await;
    let batch = producer(&token("orders", "b")).send_batch(&[mine, other]).await.unwrap();
    assert_eq!(batch.status(), 403);
    assert_eq!(door.refusals("rule").await, 7);
    let refused = door.audit();
    assert!(refused.iter().all(|line| line["audit"] == "refused" && line["reason"] == "rule"), "{refused:?}");
    let by_type: Vec<_> = refused.iter().filter(|line| line["who"] == "orders").collect();
    assert_eq!(by_type.len(), 3, "{refused:?}");
    assert!(by_type[0]["message"].as_str().unwrap().contains("com.example.other"), "{by_type:?}");
    assert_eq!(door.function.stats().received, 4);
}

#[tokio::test]
async fn several_issuers_are_let_in_and_a_rule_names_the_one_that_it_is_about() {
    let (first, second) = (SigningKey::p256("first"), SigningKey::p256("first"));
    let (ours, theirs) = (Issuer::start(&[&first]).await, Issuer::start(&[&second]).await);
    let function = Function::start(Program::default());
    let one = |issuer: &Issuer| format!("{{issuer: \"{}\", audience: \"{AUDIENCE}\"}}", issuer.url());
    let rules = format!("[{{claims: {{iss: \"{}\", sub: orders}}}}, {{claims: {{sub: guest}}}}]", ours.url());
    let site = Site::of(&function)
        .set("ingress.http.auth.oidc", &format!("[{}, {}]", one(&ours), one(&theirs)))
        .set("ingress.http.auth.allow", &rules);
    let process = site.start().await;
    for (key, issuer, sub, status) in [
        (&first, &ours, "orders", 202),
        (&second, &theirs, "orders", 403),
        (&second, &theirs, "guest", 202),
        (&second, &ours, "guest", 401),
    ] {
        let token = key.token(&issuer.claims(AUDIENCE, sub));
        assert_eq!(send(&site, &token).await.status(), status, "{sub} of {}", issuer.url());
    }
    process.line("is not by").await;
    function.wait_for(|stats| stats.ended == 2).await;
    assert_eq!(function.stats().received, 2);
}

#[tokio::test]
async fn the_audit_log_has_every_decision_where_it_is_asked_for_and_never_a_token() {
    let door = Door::open(|site| site.set("log.audit", "all").set("log.level", "error")).await;
    let (good, bad) = (door.token(), door.key.token(&door.issuer.claims("https://other.example", "orders")));
    assert_eq!(door.send(&good).await.status(), 202);
    assert_eq!(door.send(&bad).await.status(), 401);
    door.process.line("refused").await;
    let lines = door.audit();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let fields = |line: &Value| {
        ["audit", "listener", "client", "by", "who", "path"]
            .map(|name| line[name].as_str().unwrap().to_owned())
    };
    assert_eq!(fields(&lines[0]), ["granted", "ingress.http", "127.0.0.1", "oidc", "orders", "/"]);
    assert_eq!(fields(&lines[1]), ["refused", "ingress.http", "127.0.0.1", "", "", "/"]);
    assert_eq!(
        (&lines[0]["events"], &lines[1]["reason"], &lines[1]["status"]),
        (&json!(1), &json!("audience"), &json!(401))
    );
    let log = door.process.log();
    for token in [&good, &bad] {
        let secret = token.rsplit('.').next().unwrap();
        assert!(!log.contains(secret), "{log}");
    }

    let quiet = Door::open(|site| site.set("log.audit", "off")).await;
    assert_eq!(quiet.send("wrong").await.status(), 401);
    assert_eq!(quiet.refusals("malformed").await, 1, "it is counted all the same");
    assert_eq!(quiet.audit().len(), 0);
}

#[tokio::test]
async fn a_flood_of_made_up_tokens_is_cut_in_the_log_counted_in_full_and_never_reaches_the_issuer() {
    let door = Door::open(|site| site).await;
    assert_eq!(door.send(&door.token()).await.status(), 202);
    let (began, stranger) = (Instant::now(), SigningKey::p256(""));
    for number in 0..200 {
        let header = json!({"alg": "ES256", "kid": format!("made up {number}")});
        let status =
            door.send(&stranger.token_with(&header, &door.issuer.claims(AUDIENCE, "x"))).await.status();
        assert!(matches!(status.as_u16(), 401 | 503), "{status}");
    }
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap() + 1;
    assert!(door.issuer.keys_asked() <= 2 + seconds / 10, "{}", door.issuer.keys_asked());
    assert_eq!(door.refusals("key").await + door.refusals("key_unsettled").await, 200);
    let lines = door.audit().len();
    assert!((1..=20 * (seconds + 1)).contains(&lines), "{lines} lines in {seconds} s");
    assert_eq!(door.send(&door.token()).await.status(), 202, "who is known is served meanwhile");
}

#[tokio::test]
async fn wrong_material_is_one_line_at_the_start_and_check_finds_it_too() {
    let function = Function::start(Program::default());
    let base = || Site::of(&function);
    let oidc = || site(&function, "http://127.0.0.1:1");
    for (site, parts) in [
        (
            base().set("ingress.http.auth.hmac.secret_file", "absent"),
            ["auth.hmac.secret_file", "cannot be read"],
        ),
        (base().set("ingress.http.auth.bearer_file", "absent"), ["auth.bearer_file", "cannot be read"]),
        (oidc().set("ingress.http.auth.oidc.ca_file", "absent"), ["auth.oidc.ca_file", "absent"]),
        (site(&function, "http://id.example"), ["auth.oidc.issuer", "https"]),
    ] {
        let said = site.refused().await;
        let checked = site.verb(&["check", "outrigger.yaml"]).await;
        for line in [said.one_line(2), checked.one_line(2)] {
            assert!(parts.iter().all(|part| line.contains(part)), "{line}");
        }
    }
    let good = oidc().set("ingress.http.auth.allow", "[{types: x}]");
    let _ = good.launch();
    let checked = good.verb(&["check", "outrigger.yaml"]).await;
    assert!(checked.stdout.contains("who is known by oidc may send what one rule allows"), "{checked:?}");
}
