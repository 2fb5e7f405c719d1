//! TLS of the whole binary, with curl and openssl as clients that share no code with it.

mod common;

use common::{Site, authority::Authority};
use outrigger_function::{Function, Program};
use outrigger_testkit::{Process, process::WAIT_MAX, skip};
use rcgen::{CertificateParams, SanType};
use std::{
    process::{Command, Stdio},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// A site whose ingress speaks TLS, with a server's certificate.
fn secured(function: &Function) -> (Site, Authority) {
    let site = Site::of(function);
    let authority = Authority::of(&site);
    authority.issue(&site, "server", |_| {});
    (tls(site), authority)
}

fn tls(site: Site) -> Site {
    let (certificate, key) = (site.path("server.pem"), site.path("server.key"));
    let site = site.set("ingress.http.tls.certificate_file", certificate.to_str().unwrap());
    site.set("ingress.http.tls.key_file", key.to_str().unwrap())
}

/// Whether the tool is there; else `test` counts as skipped.
fn has(tool: &str, test: &str) -> bool {
    let found =
        Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        skip(test, &format!("{tool} is absent"));
    }
    found
}

/// Posts the event `id` by curl: its status and HTTP version, or what curl says.
fn curl(site: &Site, id: &str, arguments: &[&str]) -> Result<String, String> {
    let url = format!("https://localhost:{}/", site.ingress.port());
    let id = format!("ce-id: {id}");
    let mut command = Command::new("curl");
    command.args(["-sS", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code} %{http_version}"]);
    command.args(["-H", "ce-specversion: 1.0", "-H", "ce-source: /curl", "-H", "ce-type: t", "-H", &id]);
    command
        .args(["--max-time", "30", "-d", "{}", "--cacert"])
        .arg(site.path("ca.pem"))
        .args(arguments)
        .arg(url);
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// The subject that the ingress shows, by openssl.
fn shown(site: &Site) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &site.ingress.to_string(), "-servername", "localhost", "-CAfile"]);
    command.arg(site.path("ca.pem")).stdin(Stdio::null());
    let text = String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned();
    let subject = text.lines().find_map(|line| line.strip_prefix("subject=").map(str::to_owned));
    subject.unwrap_or_else(|| panic!("no subject in {text}")).replace(' ', "")
}

/// Waits until the metric's line, labels and all, has this value.
async fn until_metric(site: &Site, line: &str, value: u64) {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        let (_, text) = outrigger_testkit::process::get(site.admin, "/metrics").await.unwrap();
        let wanted = format!("{line} {value}");
        if text.lines().any(|found| found == wanted) {
            return;
        }
        assert!(Instant::now() < deadline, "{wanted} did not come in\n{text}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn stop(mut process: Process) {
    assert!(process.stop().await.success());
}

#[tokio::test]
async fn curl_sends_events_over_every_version_and_openssl_sees_the_certificate() {
    let test = "curl_sends_events_over_every_version_and_openssl_sees_the_certificate";
    if !has("curl", test) || !has("openssl", test) {
        return;
    }
    let function = Function::start(Program::default());
    let (site, _authority) = secured(&function);
    let process = site.start().await;
    assert_eq!(curl(&site, "1", &["--http2"]).as_deref(), Ok("202 2"));
    assert_eq!(curl(&site, "2", &["--http1.1", "--tls-max", "1.2"]).as_deref(), Ok("202 1.1"));
    assert_eq!(curl(&site, "3", &["--http1.1", "--tlsv1.3"]).as_deref(), Ok("202 1.1"));
    assert_eq!(shown(&site), "CN=server");
    function.wait_for(|stats| stats.ended == 3).await;
    assert_eq!(function.stats().distinct, 3);
    stop(process).await;
}

#[tokio::test]
async fn send_speaks_tls_and_tells_what_it_needs_for_it() {
    let function = Function::start(Program::default());
    let (site, authority) = secured(&function);
    authority.issue(&site, "me", |_| {});
    let ca = site.path("ca.pem");
    let site = site.set("ingress.http.tls.client_ca_file", ca.to_str().unwrap());
    let process = site.start().await;
    let to = format!("https://localhost:{}/", site.ingress.port());
    let send = |more: &'static str| {
        let (site, to) = (&site, &to);
        async move {
            let mut arguments = vec!["send", "--to", to, "-d", "{}", "--retry-for", "0s"];
            arguments.extend(more.split(' ').filter(|word| !word.is_empty()));
            site.verb(&arguments).await
        }
    };
    let said = send("--ca-file ca.pem --certificate-file me.pem --key-file me.key").await;
    assert_eq!(said.code, Some(0), "{said:?}");
    for (arguments, expected) in [
        ("--ca-file me.pem", "is from an authority that is not trusted here"),
        ("--ca-file ca.pem", "it wants a certificate of ours"),
        ("--ca-file absent.pem", "--ca-file: absent.pem: the file cannot be read"),
        (
            "--ca-file ca.pem --certificate-file me.pem --key-file ca.pem",
            "--key-file: ca.pem: there is a certificate",
        ),
    ] {
        let said = send(arguments).await;
        assert_ne!(said.code, Some(0), "{arguments}");
        assert!(said.stderr.contains(expected), "{arguments}: {said:?}");
    }
    function.wait_for(|stats| stats.ended == 1).await;
    stop(process).await;
}

#[tokio::test]
async fn a_client_whose_certificate_is_taken_back_sends_no_more() {
    let test = "a_client_whose_certificate_is_taken_back_sends_no_more";
    if !has("curl", test) {
        return;
    }
    let function = Function::start(Program::default());
    let (site, authority) = secured(&function);
    for (name, serial) in [("first", 11_u64), ("second", 12)] {
        authority.issue(&site, name, |params| params.serial_number = Some(serial.into()));
    }
    let (ca, crl) = (site.path("ca.pem"), site.path("crl.pem"));
    let site = site.set("ingress.http.tls.client_ca_file", ca.to_str().unwrap());
    let site = site.set("ingress.http.tls.client_crl_file", crl.to_str().unwrap());
    let said = site.refused().await;
    assert!(said.one_line(2).contains("ingress.http.tls.client_crl_file: "), "{said:?}");
    authority.revoke(&site, &[11]);
    let process = site.start().await;
    let sends = |name: &str, id: &str| {
        let file = |end: &str| site.path(&format!("{name}.{end}")).to_str().unwrap().to_owned();
        curl(&site, id, &["--cert", &file("pem"), "--key", &file("key")])
    };
    assert!(sends("first", "1").is_err());
    assert!(sends("second", "2").is_ok_and(|told| told.starts_with("202")));
    authority.revoke(&site, &[11, 12]);
    until_metric(&site, "outrigger_tls_reloads_total{listener=\"ingress.http\",outcome=\"renewed\"}", 1)
        .await;
    assert!(sends("second", "3").is_err());
    until_metric(
        &site,
        "outrigger_tls_handshake_failures_total{listener=\"ingress.http\",reason=\"revoked\"}",
        2,
    )
    .await;
    function.wait_for(|stats| stats.ended == 1).await;
    stop(process).await;
}

#[tokio::test]
async fn only_clients_with_a_certificate_that_a_rule_names_send_events() {
    let test = "only_clients_with_a_certificate_that_a_rule_names_send_events";
    if !has("curl", test) {
        return;
    }
    let function = Function::start(Program::default());
    let (site, authority) = secured(&function);
    let uri = |uri: &'static str| {
        move |params: &mut CertificateParams| {
            params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        }
    };
    authority.issue(&site, "billing", uri("spiffe://example.org/ns/prod/billing"));
    authority.issue(&site, "other", uri("spiffe://example.org/ns/test/other"));
    let ca = site.path("ca.pem");
    let site = site.set("ingress.http.tls.client_ca_file", ca.to_str().unwrap());
    let site = site.set("ingress.http.tls.client_spiffe_ids", "\"spiffe://example.org/ns/prod/*\"");
    let process = site.start().await;
    let by = |name: &str, id: &str| {
        let file = |end: &str| site.path(&format!("{name}.{end}")).to_str().unwrap().to_owned();
        curl(&site, id, &["--cert", &file("pem"), "--key", &file("key")])
    };
    assert_eq!(by("billing", "1").as_deref(), Ok("202 2"));
    assert!(by("other", "2").is_err());
    assert!(curl(&site, "3", &[]).is_err());
    let failures = "outrigger_tls_handshake_failures_total{listener=\"ingress.http\",reason=";
    until_metric(&site, &format!("{failures}\"not_allowed\"}}"), 1).await;
    until_metric(&site, &format!("{failures}\"no_certificate\"}}"), 1).await;
    process.line("no rule allows the client spiffe://example.org/ns/test/other").await;
    function.wait_for(|stats| stats.ended == 1).await;
    assert_eq!(function.log()[0].id.as_deref(), Some("1"));
    stop(process).await;
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_and_a_wrong_one_is_told_and_changes_nothing() {
    let test = "a_renewed_certificate_is_shown_and_a_wrong_one_is_told_and_changes_nothing";
    if !has("openssl", test) {
        return;
    }
    let function = Function::start(Program::default());
    let (site, authority) = secured(&function);
    let process = site.start().await;
    let put = |name: &str, end: &str| {
        std::fs::copy(site.path(&format!("{name}.{end}")), site.path(&format!("server.{end}"))).unwrap();
    };
    authority.issue(&site, "second", |_| {});
    put("second", "key");
    process.line("the private key is not that of the certificate").await;
    assert_eq!(shown(&site), "CN=server");
    put("second", "pem");
    process.line("new connections get the certificate of CN=second").await;
    assert_eq!(shown(&site), "CN=second");
    authority.issue(&site, "old", |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    put("old", "key");
    put("old", "pem");
    process.line("the certificate of CN=old expired at 2020-01-01T00:00:00Z").await;
    assert_eq!(shown(&site), "CN=second");
    until_metric(&site, "outrigger_tls_reloads_total{listener=\"ingress.http\",outcome=\"renewed\"}", 1)
        .await;
    stop(process).await;
}

#[tokio::test]
async fn check_and_run_tell_files_that_cannot_be_used() {
    let function = Function::start(Program::default());
    let (site, authority) = secured(&function);
    authority.issue(&site, "other", |_| {});
    let config = site.path("outrigger.yaml");
    let check = || async {
        std::fs::write(&config, site.yaml()).unwrap();
        site.verb(&["check", "--json", config.to_str().unwrap()]).await
    };
    let said = check().await;
    assert_eq!((said.code, said.json()["ok"].as_bool()), (Some(0), Some(true)), "{said:?}");

    std::fs::copy(site.path("other.key"), site.path("server.key")).unwrap();
    let said = check().await;
    assert_eq!(said.code, Some(2), "{said:?}");
    let problem = &said.json()["problems"][0];
    assert_eq!(problem["key"], "ingress.http.tls.key_file");
    assert!(problem["message"].as_str().unwrap().contains("is not that of the certificate"), "{problem}");
    let refused = site.refused().await;
    let line = refused.one_line(2);
    assert!(line.contains("ingress.http.tls.key_file: "), "{line}");

    authority.issue(&site, "server", |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let said = check().await;
    assert_eq!(said.code, Some(2), "{said:?}");
    let message = said.json()["problems"][0]["message"].to_string();
    assert!(message.contains("expired at 2020-01-01T00:00:00Z; renew it"), "{message}");
    let process = site.start().await; // the clock may be what is wrong, so it runs, and says so
    process.line("the certificate of CN=server expired at 2020-01-01T00:00:00Z").await;
    stop(process).await;

    std::fs::remove_file(site.path("server.pem")).unwrap();
    let said = check().await;
    assert_eq!(said.json()["problems"][0]["key"], "ingress.http.tls.certificate_file", "{said:?}");
}

#[tokio::test]
async fn a_function_behind_tls_is_called_and_one_that_is_not_believed_costs_no_event() {
    let last = Function::start(Program::default());
    let (far, authority) = secured(&last);
    let far_process = far.start().await;
    // The ingress of one is the function of the other.
    let near = Site::at(&format!("https://localhost:{}/", far.ingress.port()));
    let ca = near.path("ca.pem");
    std::fs::copy(far.path("ca.pem"), &ca).unwrap();
    let near = near.set("function.tls.ca_file", ca.to_str().unwrap());
    let near = near.set("delivery.breaker.failures", "2").set("delivery.breaker.open_max", "1s");
    let near_process = near.start().await;
    let producer = near.producer();
    let send = |id: &'static str| {
        let producer = &producer;
        async move {
            let event = outrigger_testkit::Outgoing::new(id, None);
            let mode = outrigger_testkit::Mode::Binary;
            assert_eq!(producer.send(&event, mode).await.unwrap().status(), 202);
        }
    };
    send("1").await;
    last.wait_for(|stats| stats.ended == 1).await;

    // Another authority takes over at the far end: an outage that says what to do, until we know the authority.
    let renewed = Authority::of(&far);
    drop(authority);
    renewed.issue(&far, "server", |_| {});
    far_process.line("new connections get the certificate of CN=server").await;
    stop(near_process).await;
    let near_process = near.start().await;
    send("2").await;
    near.until("an open breaker", |status| status["breaker_open"] == true).await;
    assert_eq!(near.letters().await.len(), 0);
    std::fs::copy(far.path("ca.pem"), &ca).unwrap();
    last.wait_for(|stats| stats.ended == 2).await;
    stop(near_process).await;
    stop(far_process).await;
}
