//! By path and method a request is an event, passes, or is refused.

use crate::rig::{Through, request};
use http::Method;
use outrigger_testkit::process::get;

fn event(method: Method, path: &str) -> http::Request<http_body_util::Full<bytes::Bytes>> {
    let mut event = request(method, path, "{}");
    for (name, value) in [
        ("ce-specversion", "1.0"),
        ("ce-id", "an-event"),
        ("ce-source", "/tests"),
        ("ce-type", "com.example.test"),
        ("content-type", "application/json"),
    ] {
        event.headers_mut().insert(name, value.parse().unwrap());
    }
    event
}

async fn gateway() -> Through {
    Through::with(|site| site.set("proxy.routes", "{\"POST /events\": ingress, \"/admin/*\": refuse}")).await
}

#[tokio::test]
async fn an_event_among_the_requests_is_kept_and_delivered_as_one() {
    let through = gateway().await;
    assert_eq!(through.ask(event(Method::POST, "/events")).await.0, 202);
    through.function.until_seen(1).await;
    let seen = &through.function.seen()[0];
    assert_eq!((&seen.method, seen.target.as_str()), (&Method::POST, "/"));
    assert_eq!(seen.headers["ce-id"], "an-event");
    through.site.until("the event to be settled", |status| status["delivered"] == 1).await;

    // What is no event is told so by the ingress; another method or path passes.
    assert_eq!(through.ask(request(Method::POST, "/events", "x")).await.0, 400);
    assert_eq!(through.ask(event(Method::PUT, "/events")).await.0, 200);
    assert_eq!(through.function.seen()[1].target, "/events");
}

#[tokio::test]
async fn a_refused_path_is_refused_in_every_way_to_write_it() {
    let through = gateway().await;
    assert_eq!(through.get("/admin/x").await.0, 404);
    for trick in [
        "//admin/x",
        "/a/../admin/x",
        "/%61dmin/x",
        "/./admin/x",
        "/a%2f..%2fadmin/x",
        "/admin;a/x",
        "/a\\..\\admin",
    ] {
        let answer = through
            .raw(format!("GET {trick} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
            .await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{trick}: {answer}");
    }
    for method in ["GET", "POST", "OPTIONS"] {
        let request = format!("{method} * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = through.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{method} *: {answer}");
    }
    let absolute = b"GET http://x/admin/x HTTP/1.1\r\nhost: y\r\nconnection: close\r\n\r\n";
    assert!(through.raw(absolute).await.starts_with("HTTP/1.1 404"));
    assert_eq!(through.function.seen().len(), 0, "{:?}", through.function.seen());
    through.serves().await;
}

#[tokio::test]
async fn what_is_refused_is_counted_by_its_reason_and_told_little() {
    let through = gateway().await;
    let (_, _, body) = through.get("/admin/x").await;
    assert_eq!(body, "there is nothing at this path\n");
    let (_, metrics) = get(through.site.admin, "/metrics").await.unwrap();
    assert!(metrics.contains("outrigger_proxy_refused_total{reason=\"route\"} 1"), "{metrics}");
}

#[tokio::test]
async fn a_rule_that_makes_no_sense_is_told_with_its_place() {
    let (site, _) = crate::rig::site("http://127.0.0.1:1");
    let site = site.set("proxy.routes", "{\"/a/../b\": function, \"/c\": ingres}");
    let said = site.refused().await;
    assert_eq!(said.code, Some(2));
    for part in ["/a/../b", "a path, or a method and a path", "ingress"] {
        assert!(said.stderr.contains(part), "{part:?} in {}", said.stderr);
    }
}

#[tokio::test]
async fn a_proxy_for_everybody_must_say_so() {
    let (site, proxy) = crate::rig::site("http://127.0.0.1:1");
    let open = format!("0.0.0.0:{}", proxy.port());
    let said = site.set("proxy.listen", &open).refused().await;
    assert_eq!(said.code, Some(2));
    assert!(said.stderr.contains("proxy.listen") && said.stderr.contains("auth: none"), "{}", said.stderr);
}
