//! Fault 37: nothing that failed, and nothing that is another tenant's, is ever served from what is kept.

use crate::rig::{Keeping, answers, fresh};
use http::Method;
use outrigger_function::{Function, Program};
use outrigger_testkit::{Issuer, SigningKey};

const PUBLIC: (&str, &str) = ("cache-control", "max-age=60, public");
const AUDIENCE: &str = "https://outrigger.example/";

#[tokio::test]
async fn a_failed_answer_is_never_served_again() {
    let function = Function::start(Program::default());
    let keeping = Keeping::start(&function, |site| site).await;
    for status in [500, 502, 503, 504] {
        let mut failed = answers(&[PUBLIC], "failed");
        failed.status = Some(status);
        function.set_program(Program::always(failed));
        assert_eq!(keeping.get("/a").await.status, status);
    }
    function.set_program(fresh());
    assert_eq!((keeping.get("/a").await.status, function.stats().received), (200, 5));
}

#[tokio::test]
async fn an_answer_to_one_caller_is_never_served_to_another() {
    let key = SigningKey::p256("first");
    let issuer = Issuer::start(&[&key]).await;
    let function = Function::start(Program::always(answers(&[PUBLIC], "first")));
    let keeping = Keeping::start(&function, |site| {
        let site = site.set("proxy.auth.oidc.issuer", &issuer.url());
        site.set("proxy.auth.oidc.audience", AUDIENCE).set("cache.responses.tenant", "subject")
    })
    .await;
    let bearer = |subject: &str| format!("Bearer {}", key.token(&issuer.claims(AUDIENCE, subject)));
    let (one, other) = (bearer("one"), bearer("other"));
    let get = |bearer: String| {
        let keeping = &keeping;
        async move { keeping.ask(Method::GET, "/a", &[("authorization", &bearer)]).await.body }
    };
    assert_eq!(get(one.clone()).await, "first");
    function.set_program(Program::always(answers(&[PUBLIC], "second")));
    assert_eq!(get(other.clone()).await, "second");
    assert_eq!((get(one).await, get(other).await), ("first".into(), "second".into()));
    assert_eq!(function.stats().received, 2);
}

#[tokio::test]
async fn an_answer_to_somebody_known_is_kept_only_where_it_is_public() {
    let function = Function::start(fresh());
    let keeping = Keeping::start(&function, |site| site).await;
    for header in [("authorization", "Bearer x"), ("cookie", "session=1")] {
        let told = keeping.ask(Method::GET, "/a", &[header]).await;
        assert_eq!(told.cache(), "outrigger; fwd=uri-miss; detail=credentials");
    }
    assert_eq!(keeping.get("/a").await.cache(), "outrigger; fwd=uri-miss; stored");
    let known = keeping.ask(Method::GET, "/a", &[("authorization", "Bearer x")]).await;
    assert_eq!(known.cache(), "outrigger; fwd=bypass; detail=credentials");
}

#[tokio::test]
async fn a_host_that_a_proxy_before_us_names_is_part_of_the_key() {
    let function = Function::start(fresh());
    let keeping = Keeping::start(&function, |site| site.set("proxy.forwarded_from", "anyone")).await;
    keeping.ask(Method::GET, "/a", &[("x-forwarded-host", "evil.test")]).await;
    assert_eq!(keeping.get("/a").await.cache(), "outrigger; fwd=uri-miss; stored");
}
