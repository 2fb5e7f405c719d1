//! Beside the function: our token, leave to send, the granted rate, and one that is retired.

mod common;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{cx, event};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use outrigger_core::{Body, BoxFuture, Call, CallCx, Exchange, Kind, Result};
use outrigger_http::{
    Config, FunctionCall,
    outward::{Outward, Rules},
};
use outrigger_net::token::TokenFile;
use tokio::time::Instant;

/// What answers in turn, and what it was asked.
#[derive(Default)]
struct Site {
    answers: Mutex<VecDeque<Response<()>>>,
    asked: Mutex<Vec<(String, Instant)>>,
}

impl Exchange for Site {
    fn send<'a>(&'a self, request: Request<Body>, _cx: &'a CallCx) -> BoxFuture<'a, Result<Response<Body>>> {
        Box::pin(async move {
            let header =
                |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            let (origin, token) = (header("webhook-request-origin"), header("authorization"));
            let line = [Some(request.method().to_string()), origin, token].into_iter().flatten();
            self.asked.lock().unwrap().push((line.collect::<Vec<_>>().join(" "), Instant::now()));
            let answer = self.answers.lock().unwrap().pop_front().unwrap_or_else(|| status(204));
            Ok(answer.map(|()| Empty::new().map_err(|never| match never {}).boxed_unsync()))
        })
    }
}

fn status(status: u16) -> Response<()> {
    let mut answer = Response::new(());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer
}

fn grants(origin: &str, rate: Option<&str>) -> Response<()> {
    let mut answer = status(200);
    answer.headers_mut().insert("webhook-allowed-origin", HeaderValue::from_str(origin).unwrap());
    if let Some(rate) = rate {
        answer.headers_mut().insert("webhook-allowed-rate", HeaderValue::from_str(rate).unwrap());
    }
    answer
}

struct Fixture {
    site: Arc<Site>,
    call: FunctionCall,
}

impl Fixture {
    fn new(asks: bool, token: Option<TokenFile>, answers: Vec<Response<()>>) -> Self {
        let site = Arc::new(Site { answers: Mutex::new(answers.into()), ..Site::default() });
        let origin = asks.then(|| HeaderValue::from_static("events.example.com"));
        let rules = Rules { token, origin, retired_wait: Duration::from_mins(10) };
        let config = Config::new("https://audit.example.com/hook?code=s3cret".parse().unwrap()).unwrap();
        let outward = Outward::new(config.url.clone(), site.clone(), rules);
        Self { site, call: FunctionCall::new(&config, Arc::new(outward)) }
    }

    async fn send(&self) -> Result<u16> {
        Ok(self.call.call(&[event("1")], &cx()).await?[0].status)
    }

    fn asked(&self) -> Vec<String> {
        self.site.asked.lock().unwrap().iter().map(|(line, _)| line.clone()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn leave_is_asked_for_once_and_the_granted_rate_is_kept() {
    let f = Fixture::new(true, None, vec![grants("events.example.com", Some("120"))]);
    for _ in 0..3 {
        assert_eq!(f.send().await.unwrap(), 204);
    }
    assert_eq!(f.asked(), ["OPTIONS events.example.com", "POST", "POST", "POST"]);
    let times: Vec<_> = f.site.asked.lock().unwrap().iter().map(|(_, at)| *at).collect();
    assert!(times[3] - times[1] >= Duration::from_millis(990), "two a second are granted");
}

#[tokio::test(start_paused = true)]
async fn without_consent_nothing_is_sent_and_no_attempt_counts() {
    for answer in [status(200), grants("other.example.com", None), status(403)] {
        let f = Fixture::new(true, None, vec![answer, grants("*", None)]);
        let error = f.send().await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (Kind::Unreachable, false), "{error}");
        assert!(error.message().contains("https://audit.example.com/hook?… grants"), "{error}");
        assert!(error.message().contains("no leave to send"), "{error}");
        assert_eq!(f.send().await.unwrap(), 204, "the next one asks anew");
        assert_eq!(f.asked(), ["OPTIONS events.example.com", "OPTIONS events.example.com", "POST"]);
    }
}

#[tokio::test(start_paused = true)]
async fn leave_that_is_taken_back_is_asked_for_again() {
    let f = Fixture::new(true, None, vec![grants("*", None), status(403), grants("*", None)]);
    assert_eq!(f.send().await.unwrap_err().http_status(), Some(403));
    assert_eq!(f.send().await.unwrap(), 204);
    assert_eq!(f.asked(), ["OPTIONS events.example.com", "POST", "OPTIONS events.example.com", "POST"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_retired_is_left_alone_for_its_time() {
    let f = Fixture::new(false, None, vec![status(410)]);
    let error = f.send().await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (Kind::Unreachable, false), "{error}");
    assert!(error.message().starts_with("https://audit.example.com/hook?… says"), "{error}");
    tokio::time::advance(Duration::from_secs(599)).await;
    assert!(f.send().await.unwrap_err().message().contains("retired"));
    assert_eq!(f.asked().len(), 1, "it was not asked");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(f.send().await.unwrap(), 204);
}

#[tokio::test]
async fn our_token_is_sent_with_both_requests() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "s3cret\n").unwrap();
    let token = TokenFile::open(path, std::time::Instant::now()).unwrap();
    let f = Fixture::new(true, Some(token), vec![grants("*", None)]);
    f.send().await.unwrap();
    assert_eq!(f.asked(), ["OPTIONS events.example.com Bearer s3cret", "POST Bearer s3cret"]);
}
