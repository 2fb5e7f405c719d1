//! What it costs to know a sender by an issuer's token: one whose signature is checked, and one that was seen before.

use anyhow::{Context as _, Result};
use outrigger_net::auth::oidc::{Oidc, Settings};
use outrigger_testkit::{Issuer, SigningKey, issuer::unix_s};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Bench,
    report::{Bound, Figure, Report},
};

pub(crate) const CHECKED: &str = "token, RS256 with a cached key";
pub(crate) const SEEN: &str = "token, seen before";
const CHECKED_LIMIT_US: f64 = 60.0;
const SEEN_LIMIT_US: f64 = 1.0;
/// A tenth of a second each: what is over sooner is measured with whatever else the machine did in that moment.
const CHECKS: u32 = 3_000;
const LOOKS: u32 = 200_000;
const AUDIENCE: &str = "https://outrigger.example/";

/// Both in turn, with a token of the size that issuers give out (about 1,000 bytes).
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let key = SigningKey::rsa("a key with a name of some length, as issuers have them");
    let issuer = Issuer::start(&[&key]).await;
    let mut claims = issuer.claims(AUDIENCE, "112233445566778899001");
    claims["email"] = "orders@example.iam.gserviceaccount.com".into();
    claims["azp"] = "x".repeat(200).into();
    let token = key.token(&claims);
    let (checking, knowing) = (oidc(&issuer.url(), 0)?, oidc(&issuer.url(), 1_024)?);
    let (mut checked, mut seen) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        checked.push(us_each(&checking, &token, CHECKS).await?);
        seen.push(us_each(&knowing, &token, LOOKS).await?);
    }
    for (name, ours, limit) in [(CHECKED, checked, CHECKED_LIMIT_US), (SEEN, seen, SEEN_LIMIT_US)] {
        let (baseline, unit) = (vec![limit; ours.len()], "us (baseline: the limit)");
        report.figure(Figure { name, unit, ours, baseline, bound: Bound::AtMost(1.0) });
    }
    Ok(())
}

fn oidc(issuer: &str, tokens_max: usize) -> Result<Arc<Oidc>> {
    let oidc = Oidc::new(Settings {
        issuer: issuer.to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
        algorithms: Settings::algorithm("RS256").into_iter().collect(),
        leeway: Duration::from_secs(30),
        keys_url: None,
        ca_file: None,
        refresh_every: Duration::from_hours(1),
        refresh_min: Duration::from_secs(10),
        keys_age_max: Duration::from_hours(24),
        timeout: Duration::from_secs(5),
        answer_bytes_max: 256 << 10,
        tokens_max,
        proxies: outrigger_net::client::Proxies::default(),
    })?;
    tokio::spawn(Oidc::keep(Arc::downgrade(&oidc), fastrand::Rng::with_seed(1)));
    Ok(oidc)
}

/// Microseconds for one check. The first one waits for the keys, and is not counted.
async fn us_each(oidc: &Oidc, token: &str, times: u32) -> Result<f64> {
    oidc.check(token.as_bytes(), unix_s()).await.context("the token is good")?;
    let started = Instant::now();
    for _ in 0..times {
        oidc.check(token.as_bytes(), unix_s()).await.context("the token is good")?;
    }
    Ok(started.elapsed().as_secs_f64() * 1e6 / f64::from(times))
}
