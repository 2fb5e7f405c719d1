//! Who may enter, through the shipped binary: tokens of a real issuer, signed bodies, rules, and what is said about it.

mod common;

use bytes::Bytes;
use common::Site;
use http::Response;
use outrigger_function::{Function, Program};
use outrigger_testkit::{Issuer, Mode, Outgoing, Process, SigningKey};

const AUDIENCE: &str = "https://outrigger.example/";

/// An ingress that lets in tokens of an issuer.
struct Door {
    function: Function,
    issuer: Issuer,
    key: SigningKey,
    site: Site,
    _process: Process,
}

impl Door {
    async fn open(change: impl FnOnce(Site) -> Site) -> Self {
        let key = SigningKey::p256("first");
        let issuer = Issuer::start(&[&key]).await;
        let function = Function::start(Program::default());
        let site = change(site(&function, &issuer.url()));
        let process = site.start().await;
        Self { function, issuer, key, site, _process: process }
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
