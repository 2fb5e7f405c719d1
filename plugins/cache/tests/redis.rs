//! Marks that replicas share, in a real Redis: known to both, gone after the window, and in nobody's way while it is down.

use outrigger_cache::{
    Dedup,
    dedup::{Settings, SharedSettings},
};
use outrigger_core::{Known, Ledger, Mark, OnAnother, Payload};
use outrigger_testkit::redis::{self, Server};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const TIMEOUT: Duration = Duration::from_secs(2);

/// A replica with its memory of its own.
fn replica(
    url: &str,
    window: Duration,
    change: impl FnOnce(&mut SharedSettings),
) -> (Arc<Dedup>, Arc<dyn Ledger>) {
    let mut shared = SharedSettings {
        url: url.to_owned(),
        username: None,
        password: None,
        authorities: None,
        timeout: TIMEOUT,
        prefix: "test:".to_owned(),
    };
    change(&mut shared);
    let settings =
        Settings { window, bytes_max: 1 << 16, on_another: OnAnother::Deliver, shared: Some(shared) };
    let dedup = Dedup::open(settings, 0).unwrap();
    let ledger = dedup.ledger(None);
    (dedup, ledger)
}

fn mark(id: &str) -> Mark {
    Mark { receiver: "kafka".into(), target: "function".into(), source: "/s".to_owned(), id: id.to_owned() }
}

const HOUR: Duration = Duration::from_hours(1);
const ONE: Option<Payload> = Some(Payload(1));
const TWO: Option<Payload> = Some(Payload(2));

async fn asked(ledger: &Arc<dyn Ledger>, id: &str, payload: Option<Payload>) -> Known {
    ledger.ask(&mark(id), payload).await.unwrap()
}

#[tokio::test]
async fn what_one_replica_has_handled_the_other_knows_also_with_another_payload() {
    let Some(server) =
        redis::server("what_one_replica_has_handled_the_other_knows_also_with_another_payload")
    else {
        return;
    };
    let (first, ours) = replica(&server.url(), HOUR, |_| ());
    let (_, theirs) = replica(&server.url(), HOUR, |_| ());
    assert_eq!(theirs.glance(&mark("a"), ONE), None, "it has to be asked");
    assert_eq!(asked(&theirs, "a", ONE).await, Known::New);
    ours.mark(&mark("a"), ONE).await.unwrap();
    ours.mark(&mark("b"), None).await.unwrap();
    assert_eq!(ours.glance(&mark("a"), ONE), Some(Known::Same), "its own it knows by itself");
    assert_eq!(asked(&theirs, "a", ONE).await, Known::Same);
    assert_eq!(asked(&theirs, "a", TWO).await, Known::Another);
    assert_eq!(asked(&theirs, "b", TWO).await, Known::Same);
    let elsewhere = Mark { receiver: "pubsub".into(), ..mark("a") };
    assert_eq!(theirs.ask(&elsewhere, ONE).await.unwrap(), Known::New);
    let (_, apart) = replica(&server.url(), HOUR, |shared| shared.prefix = "other:".to_owned());
    assert_eq!(asked(&apart, "a", ONE).await, Known::New);
    assert_eq!(first.stats().shared_failures, Some(0));
}

#[tokio::test]
async fn a_mark_goes_by_itself_after_its_window() {
    let Some(server) = redis::server("a_mark_goes_by_itself_after_its_window") else { return };
    let window = Duration::from_secs(1);
    let (_, ours) = replica(&server.url(), window, |_| ());
    let (_, theirs) = replica(&server.url(), window, |_| ());
    let written = Instant::now();
    ours.mark(&mark("a"), ONE).await.unwrap();
    let mut known = asked(&theirs, "a", ONE).await;
    assert!(known == Known::Same || written.elapsed() > window);
    while known != Known::New {
        assert!(written.elapsed() < 20 * window, "it never goes");
        tokio::time::sleep(window / 20).await;
        known = asked(&theirs, "a", ONE).await;
    }
    assert!(written.elapsed() >= window * 9 / 10, "{:?}", written.elapsed());
}

#[tokio::test]
async fn a_hundred_questions_at_once_go_over_one_connection() {
    let Some(server) = redis::server("a_hundred_questions_at_once_go_over_one_connection") else { return };
    let (dedup, ours) = replica(&server.url(), HOUR, |_| ());
    let ids: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let marks = ids.iter().map(|id| {
        let ours = ours.clone();
        let mark = mark(id);
        tokio::spawn(async move { ours.mark(&mark, ONE).await.unwrap() })
    });
    for written in marks.collect::<Vec<_>>() {
        written.await.unwrap();
    }
    let (_, theirs) = replica(&server.url(), HOUR, |_| ());
    for id in &ids {
        assert_eq!(asked(&theirs, id, ONE).await, Known::Same, "{id}");
    }
    assert_eq!(dedup.stats().shared_failures, Some(0));
}

/// Asks until the store is asked again.
async fn until_up(dedup: &Dedup, ledger: &Arc<dyn Ledger>) {
    let started = Instant::now();
    while dedup.stats().shared_is_down {
        assert!(started.elapsed() < Duration::from_mins(1), "it is left alone for ever");
        tokio::time::sleep(Duration::from_millis(20)).await;
        asked(ledger, "probe", None).await;
    }
}

/// Asks a hundred times, of which the first at most may wait for the store.
async fn goes_on(dedup: &Dedup, ledger: &Arc<dyn Ledger>) {
    let (started, before) = (Instant::now(), dedup.stats().shared_failures.unwrap());
    for n in 0..100 {
        assert_eq!(asked(ledger, &format!("new {n}"), ONE).await, Known::New, "it fails open");
    }
    ledger.mark(&mark("while down"), ONE).await.unwrap();
    assert!(started.elapsed() < 3 * TIMEOUT, "an outage delays nothing for long: {:?}", started.elapsed());
    let stats = dedup.stats();
    assert!(stats.shared_is_down && stats.shared_failures.unwrap() > before, "{stats:?}");
    assert_eq!(ledger.glance(&mark("while down"), ONE), Some(Known::Same), "memory knows it all the same");
}

#[tokio::test]
async fn a_store_that_is_gone_delays_and_loses_nothing_and_is_asked_again_later() {
    let test = "a_store_that_is_gone_delays_and_loses_nothing_and_is_asked_again_later";
    let Some(mut server): Option<Server> = redis::server(test) else { return };
    let (dedup, ledger) = replica(&server.url(), HOUR, |_| ());
    ledger.mark(&mark("before"), ONE).await.unwrap();
    server.stop();
    goes_on(&dedup, &ledger).await;
    server.start();
    until_up(&dedup, &ledger).await;
    ledger.mark(&mark("after"), ONE).await.unwrap();
    let (_, theirs) = replica(&server.url(), HOUR, |_| ());
    assert_eq!(asked(&theirs, "after", ONE).await, Known::Same);
}

#[tokio::test]
async fn a_store_that_hangs_delays_no_event_beyond_the_timeout() {
    let test = "a_store_that_hangs_delays_no_event_beyond_the_timeout";
    let Some(server) = redis::server(test) else { return };
    let (dedup, ledger) = replica(&server.url(), HOUR, |_| ());
    ledger.mark(&mark("before"), ONE).await.unwrap();
    server.pause();
    goes_on(&dedup, &ledger).await;
    server.resume();
    until_up(&dedup, &ledger).await;
    assert_eq!(asked(&ledger, "before", ONE).await, Known::Same);
}

#[tokio::test]
async fn who_logs_in_is_let_in_and_a_wrong_password_fails_open() {
    let test = "who_logs_in_is_let_in_and_a_wrong_password_fails_open";
    let Some(server) = redis::server_with(test, &["--requirepass", "hush"]) else { return };
    let (known, ledger) = replica(&server.url(), HOUR, |shared| shared.password = Some("hush".to_owned()));
    ledger.mark(&mark("a"), ONE).await.unwrap();
    assert_eq!(known.stats().shared_failures, Some(0));
    let (stranger, ledger) =
        replica(&server.url(), HOUR, |shared| shared.password = Some("wrong".to_owned()));
    assert_eq!(asked(&ledger, "a", ONE).await, Known::New);
    assert!(stranger.stats().shared_is_down);
}

#[tokio::test]
async fn over_tls_the_store_shows_a_certificate_of_the_authorities_that_are_named() {
    let test = "over_tls_the_store_shows_a_certificate_of_the_authorities_that_are_named";
    let (folder, stranger) =
        (tempfile::tempdir().unwrap(), rcgen::generate_simple_self_signed(["localhost".to_owned()]));
    let ours = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, ours.cert.pem()).unwrap();
    std::fs::write(&key, ours.signing_key.serialize_pem()).unwrap();
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let tls = ["--port", "0", "--tls-port", "PORT", "--tls-cert-file", certificate, "--tls-key-file", key];
    let no_clients = ["--tls-ca-cert-file", certificate, "--tls-auth-clients", "no"];
    let Some(server) = redis::server_with(test, &[&tls[..], &no_clients].concat()) else { return };
    let url = format!("rediss://localhost:{}", server.address().port());
    let with = |pem: String| replica(&url, HOUR, |shared| shared.authorities = Some(pem.into_bytes()));
    let (known, ledger) = with(ours.cert.pem());
    ledger.mark(&mark("a"), ONE).await.unwrap();
    assert_eq!(known.stats().shared_failures, Some(0));
    let (mistrusted, ledger) = with(stranger.unwrap().cert.pem());
    assert_eq!(asked(&ledger, "a", ONE).await, Known::New);
    assert!(mistrusted.stats().shared_is_down);
}
