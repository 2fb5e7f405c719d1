//! Several events in one request, over real sockets.

mod common;

use std::{sync::Arc, time::Duration};

use common::{cx, event};
use futures_util::future::join_all;
use outrigger_core::{Call, CallCx, Error, Event, Kind, Reply, Result};
use outrigger_function::{Function, Match, Program, Rule, program::Action};
use outrigger_http::{BatchCall, Client, Config, FunctionCall, Limits, Mode};

const LIMITS: Limits = Limits { events_max: 4, bytes_max: 1 << 20, wait: Duration::from_millis(20) };

fn batches(function: &Function, mode: Mode, limits: Limits) -> Arc<BatchCall> {
    let mut config = Config::new(function.url().parse().unwrap()).unwrap();
    config.mode = mode;
    Arc::new(BatchCall::new(FunctionCall::new(&config, Arc::new(Client::new(&config))), limits))
}

async fn one(call: &BatchCall, event: &Event, cx: &CallCx) -> Result<Reply> {
    let mut replies = call.call(std::slice::from_ref(event), cx).await?;
    assert_eq!(replies.len(), 1);
    Ok(replies.remove(0))
}

/// Calls with these ids at once; the statuses, of failures too.
async fn all(call: &BatchCall, ids: &[&str]) -> Vec<u16> {
    let calls = ids.iter().map(|id| async {
        let event = event(id);
        match one(call, &event, &cx()).await {
            Ok(reply) => reply.status,
            Err(error) => error.http_status().unwrap_or_else(|| panic!("{error}")),
        }
    });
    join_all(calls).await
}

/// The ids of each request.
fn requests(function: &Function) -> Vec<Vec<String>> {
    function.log().into_iter().map(|record| record.batch).collect()
}

#[tokio::test]
async fn calls_at_the_same_time_share_requests_of_bounded_size() {
    let function = Function::start(Program::default());
    let call = batches(&function, Mode::Structured, LIMITS);
    assert_eq!(all(&call, &["1", "2", "3", "4", "5", "6"]).await, [200; 6]);
    let mut seen = requests(&function);
    seen.sort();
    assert_eq!(seen, [vec!["1", "2", "3", "4"], vec!["5", "6"]]);
    let record = &function.log()[0];
    assert!(record.headers.contains(&("content-type".into(), "application/cloudevents-batch+json".into())));
}

#[tokio::test]
async fn a_batch_may_be_one_of_protobuf() {
    let function = Function::start(Program::default());
    let call = batches(&function, Mode::Protobuf, LIMITS);
    assert_eq!(all(&call, &["1", "2"]).await, [200; 2]);
    let [record] = &function.log()[..] else { panic!("one request") };
    let body = record.body.clone().unwrap();
    let events = outrigger_core::event::proto::decode_batch(body).unwrap();
    let events: Vec<Event> = events.into_iter().map(std::result::Result::unwrap).collect();
    assert_eq!(events, [event("1"), event("2")]);
}

#[tokio::test]
async fn bytes_are_bounded_and_a_large_event_goes_alone() {
    let function = Function::start(Program::default());
    let size = event("1").size();
    let limits = Limits { bytes_max: size * 2, ..LIMITS };
    let call = batches(&function, Mode::Structured, limits);
    let large = event("l").with_data("text/plain", vec![b'x'; size * 2].into()).unwrap();
    let (small, large_cx) = (all(&call, &["1", "2", "3"]), cx());
    let (statuses, large) = tokio::join!(small, one(&call, &large, &large_cx));
    assert_eq!((statuses, large.unwrap().status), (vec![200; 3], 200));
    let mut seen = requests(&function);
    seen.sort();
    assert_eq!(seen, [vec!["1", "2"], vec!["3"], vec!["l"]]);
}

#[tokio::test]
async fn a_success_names_the_events_that_failed() {
    let body = r#"{"batchItemFailures": [{"itemIdentifier": "2"}, {"itemIdentifier": "3", "status": 422}]}"#;
    let function = Function::start(Program::always(Action::text(body)));
    let call = batches(&function, Mode::Structured, LIMITS);
    assert_eq!(all(&call, &["1", "2", "3", "4"]).await, [200, 500, 422, 200]);
    assert_eq!(function.stats().received, 1);
}

#[tokio::test]
async fn a_refusal_of_all_is_no_verdict_on_each() {
    let poison = Rule::new(Match::id("2"), Action::status(422));
    let first = Rule::new(Match::nth(1), Action::status(422));
    let function = Function::start(Program::default().rule(first).rule(poison));
    let call = batches(&function, Mode::Structured, LIMITS);
    assert_eq!(all(&call, &["1", "2", "3", "4"]).await, [200, 422, 200, 200]);
    let mut seen = requests(&function);
    assert_eq!(seen.remove(0), ["1", "2", "3", "4"]);
    seen.sort();
    assert_eq!(seen, [["1"], ["2"], ["3"], ["4"]]);
}

#[tokio::test]
async fn an_outage_fails_all_and_what_failed_before_goes_alone() {
    let function = Function::start(Program::always(Action::status(503)));
    let call = batches(&function, Mode::Structured, LIMITS);
    assert_eq!(all(&call, &["1", "2", "3", "4"]).await, [503; 4]);
    assert_eq!(function.stats().received, 1);
    let again = CallCx { attempt: 2, ..cx() };
    assert_eq!(one(&call, &event("1"), &again).await.unwrap_err().http_status(), Some(503));
    assert_eq!(requests(&function)[1], ["1"]);
}

#[tokio::test]
async fn a_reply_event_and_failures_that_cannot_be_read_fail_the_attempt() {
    let reply = outrigger_function::program::Reply::default();
    for answer in [
        Action { reply: Some(reply), ..Action::default() },
        Action::text(r#"{"batchItemFailures": [{"itemIdentifier": "another"}]}"#),
    ] {
        let function = Function::start(Program::always(answer));
        let call = batches(&function, Mode::Structured, LIMITS);
        let error: Error = one(&call, &event("1"), &cx()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::BadAnswer, "{error}");
    }
}

#[tokio::test]
async fn whoever_waits_no_longer_is_left_out_and_the_others_go() {
    let function = Function::start(Program::always(Action::hold("gate")));
    let call = batches(&function, Mode::Structured, Limits { wait: Duration::from_millis(50), ..LIMITS });
    let given_up = {
        let call = call.clone();
        tokio::spawn(async move { one(&call, &event("gone"), &cx()).await })
    };
    let stays = {
        let call = call.clone();
        tokio::spawn(async move { one(&call, &event("stays"), &cx()).await })
    };
    tokio::task::yield_now().await;
    given_up.abort();
    function.wait_for(|stats| stats.held == 1).await;
    function.open("gate");
    assert_eq!(stays.await.unwrap().unwrap().status, 200);
    assert_eq!(requests(&function), [["stays"]]);
}

#[tokio::test]
async fn a_callers_own_deadline_ends_his_wait_alone() {
    let function = Function::start(Program::always(Action::hold("gate")));
    let call = batches(&function, Mode::Structured, LIMITS);
    let soon = std::time::Instant::now() + Duration::from_millis(100);
    let (hasty, patient) = (CallCx { deadline: Some(soon), ..cx() }, cx());
    let (first, second) = (event("1"), event("2"));
    let patient = one(&call, &second, &patient);
    let hasty = async {
        let error = one(&call, &first, &hasty).await.unwrap_err();
        function.open("gate");
        error
    };
    let (error, reply) = tokio::join!(hasty, patient);
    assert_eq!(error.kind(), Kind::TimedOut);
    assert_eq!(reply.unwrap().status, 200);
}

#[tokio::test]
async fn a_request_that_nobody_waits_for_is_dropped() {
    let function = Function::start(Program::always(Action::hold("gate")));
    let call = batches(&function, Mode::Structured, LIMITS);
    let waiting = {
        let call = call.clone();
        tokio::spawn(async move { one(&call, &event("1"), &cx()).await })
    };
    function.wait_for(|stats| stats.held == 1).await;
    waiting.abort();
    // Its connection goes with it, which the function sees.
    function.wait_for(|stats| stats.running == 0).await;
}
