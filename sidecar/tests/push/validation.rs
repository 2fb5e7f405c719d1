//! Event Grid's handshakes: the validation event, its URL, and OPTIONS.

use crate::{
    common::{Site, authority::Authority},
    rig::{behind_tls, open_to_all, post},
};
use outrigger_function::{Function, Match, Program, Rule, program::Action};
use outrigger_testkit::process::WAIT_MAX;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

const VALIDATION: [(&str, &str); 2] =
    [("content-type", "application/json; charset=utf-8"), ("aeg-event-type", "SubscriptionValidation")];

fn validation(url: &str) -> String {
    json!([{
        "id": "2d1781af-3a4c-4d7c-bd0c-e34b19da4e66", "topic": "/subscriptions/1", "subject": "",
        "data": {"validationCode": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6", "validationUrl": url},
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "eventTime": "2018-01-25T22:12:19.4556811Z",
        "metadataVersion": "1", "dataVersion": "1",
    }])
    .to_string()
}

async fn options(site: &Site, path: &str, origin: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(site.ingress).await.unwrap();
    let request = format!(
        "OPTIONS {path} HTTP/1.1\r\nhost: o\r\nconnection: close\r\nWebHook-Request-Origin: {origin}\r\n\
         WebHook-Request-Callback: http://169.254.169.254/x\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer.to_lowercase())
}

#[tokio::test]
async fn a_subscription_is_confirmed_by_its_code_and_the_event_reaches_nobody() {
    let function = Function::start(Program::default());
    let site = open_to_all(&function);
    let process = site.start().await;
    let answer = post(&site, "/eventgrid", &VALIDATION, validation("https://rp.eventgrid.azure.net/x")).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/json; charset=utf-8");
    assert_eq!(answer.body(), r#"{"validationResponse":"512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}"#);
    process.line("an event subscription is confirmed").await;

    let deletion = validation("").replace("SubscriptionValidationEvent", "SubscriptionDeletedEvent");
    let told = [VALIDATION[0], ("aeg-event-type", "SubscriptionDeletion")];
    assert_eq!(post(&site, "/eventgrid", &told, deletion).await.status(), 200);
    process.line("an event subscription was deleted").await;
    assert_eq!((function.stats().received, site.letters().await.len()), (0, 0));
}

#[tokio::test]
async fn who_does_not_show_the_secret_confirms_nothing() {
    let function = Function::start(Program::default());
    let site =
        open_to_all(&function).set("ingress.eventgrid_webhook", "{path: /eventgrid, secret_file: secret}");
    std::fs::write(site.path("secret"), "s3cret").unwrap();
    let _process = site.start().await;
    let body = validation("https://rp.eventgrid.azure.net/x");
    assert_eq!(post(&site, "/eventgrid", &VALIDATION, body.clone()).await.status(), 401);
    let shown = post(&site, "/eventgrid?access_token=s3cret", &VALIDATION, body).await;
    assert_eq!(shown.status(), 200);
}

#[tokio::test]
async fn a_subscription_of_cloudevents_is_granted_by_options_and_another_origin_is_not() {
    let function = Function::start(Program::default());
    let site = open_to_all(&function);
    let _process = site.start().await;
    let (status, answer) = options(&site, "/eventgrid", "eventgrid.azure.net").await;
    assert_eq!(status, 200);
    assert!(answer.contains("webhook-allowed-origin: eventgrid.azure.net\r\n"), "{answer}");
    assert!(answer.contains("webhook-allowed-rate: *\r\n"), "{answer}");
    for (path, origin) in
        [("/eventgrid", "evil.example"), ("/pubsub", "eventgrid.azure.net"), ("/", "eventgrid.azure.net")]
    {
        let (status, answer) = options(&site, path, origin).await;
        assert_eq!((status, answer.contains("webhook-allowed")), (200, false), "{path} {origin}: {answer}");
    }
}

/// A site that follows validation URLs to a server behind TLS on localhost, and that server.
async fn following(server: &Function, function: &Function, hosts: &str) -> (Site, u16) {
    let site = open_to_all(function);
    let authority = Authority::of(&site);
    authority.issue(&site, "server", |_| {});
    let address = server.url().trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
    let port = behind_tls(&site, address).await.port();
    let webhook = format!(
        "{{path: /eventgrid, auth: none, validation: follow, validation_hosts: [{hosts}], validation_ca_file: ca.pem}}"
    );
    (site.set("ingress.eventgrid_webhook", &webhook), port)
}

#[tokio::test]
async fn a_validation_url_is_followed_to_a_listed_host_after_the_answer_and_no_redirect_is() {
    let moved = Action { redirect: Some("/elsewhere".to_owned()), ..Action::status(302) };
    let program =
        Program::default().rule(Rule::new(Match { path: Some("/moved".to_owned()), ..Match::any() }, moved));
    let (server, function) = (Function::start(program), Function::start(Program::default()));
    let (site, port) = following(&server, &function, "localhost").await;
    let process = site.start().await;
    let url = |path: &str| format!("https://localhost:{port}{path}");
    let answer = post(&site, "/eventgrid", &VALIDATION, validation(&url("/validate?id=t0ken"))).await;
    assert_eq!((answer.status().as_u16(), answer.body().len()), (200, 0));
    process.line("a handshake is confirmed").await;
    let seen = server.log();
    assert_eq!((&*seen[0].method, &*seen[0].path), ("GET", "/validate"));

    post(&site, "/eventgrid", &VALIDATION, validation(&url("/moved"))).await;
    process.line("its URL answers otherwise").await;
    assert_eq!(server.stats().received, 2, "the redirect was not followed");
    assert!(!process.log().contains("t0ken"), "what confirms is in no line of the log");
    assert_eq!(function.stats().received, 0);
}

#[tokio::test]
async fn a_validation_url_that_leads_elsewhere_is_not_followed() {
    let (server, function) = (Function::start(Program::default()), Function::start(Program::default()));
    let (site, port) = following(&server, &function, "eventgrid.azure.net").await;
    let process = site.start().await;
    for url in [
        format!("https://localhost:{port}/validate"),
        format!("https://127.0.0.1:{port}/validate"),
        server.url(),
        "https://169.254.169.254/latest/meta-data".to_owned(),
    ] {
        let answer = post(&site, "/eventgrid", &VALIDATION, validation(&url)).await;
        assert_eq!((answer.status().as_u16(), answer.body().len()), (200, 0), "{url}");
    }
    timeout(WAIT_MAX, process.line("its validationUrl is not followed")).await.unwrap();
    assert_eq!(server.stats().received, 0);
}
