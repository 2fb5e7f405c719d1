//! The rows of the fault matrix that a function client meets, over real sockets.

mod common;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use common::{Fixture, call_to, cx, event, one};
use outrigger_core::{Call, Kind, Retry};
use outrigger_function::{Action, Fault, Function, Match, Program, Rule, program::Payload, server::Setup};
use outrigger_http::Replies;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket},
};

/// Long enough for any answer, short enough for a test that waits for it to pass.
const SOON: Duration = Duration::from_secs(1);

fn faulty(fault: Fault) -> Program {
    Program::always(Action { body: Some(Payload::Bytes(1000)), ..Action::fault(fault) })
}

#[tokio::test]
async fn row_12_a_server_error_is_an_attempt_with_its_status() {
    for status in [500, 502, 503, 504] {
        let error = Fixture::start(Program::always(Action::status(status))).one().await.unwrap_err();
        assert_eq!((error.kind(), error.http_status(), error.sent()), (Kind::Status, Some(status), true));
    }
}

#[tokio::test]
async fn row_12_a_reset_or_a_close_without_an_answer_is_an_attempt() {
    for fault in [Fault::ResetBefore, Fault::CloseBefore] {
        let f = Fixture::start(faulty(fault));
        let error = f.one().await.unwrap_err();
        assert_eq!((error.kind(), error.sent(), error.retry()), (Kind::Interrupted, true, Retry::Temporary));
        assert_eq!(f.function.stats().received, 1, "it was sent once and not again behind our back");
    }
}

#[tokio::test]
async fn row_12_a_refused_connection_is_no_attempt_and_says_what_to_do() {
    let f = Fixture::start(Program::default());
    let address = f.function.addr();
    tokio::task::spawn_blocking(|| f.function.stop()).await.unwrap();
    let error = one(&f.call, &event("1")).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (Kind::Unreachable, false));
    assert_eq!(error.message(), format!("{address}: connection refused; is the function running?"));
}

#[tokio::test]
async fn row_13_the_wait_that_the_function_asks_for_is_told() {
    for status in [429, 503] {
        let action = Action { retry_after: Some("7".to_owned()), ..Action::status(status) };
        let error = Fixture::start(Program::always(action)).one().await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)), "{status}");
    }
}

#[tokio::test]
async fn row_14_a_refusal_is_told_with_its_reason() {
    for status in [400, 415, 422] {
        let action = Action { status: Some(status), ..Action::text("not such an event") };
        let error = Fixture::start(Program::always(action)).one().await.unwrap_err();
        assert_eq!((error.http_status(), error.message()), (Some(status), "not such an event"));
    }
}

#[tokio::test]
async fn row_15_a_redirect_is_not_followed() {
    let elsewhere = Function::start(Program::default());
    for status in [301, 302, 303, 307, 308] {
        let redirect = Action { redirect: Some(elsewhere.url()), ..Action::status(status) };
        let error = Fixture::start(Program::always(redirect)).one().await.unwrap_err();
        assert_eq!((error.kind(), error.http_status()), (Kind::Status, Some(status)));
        assert!(error.message().contains(&elsewhere.url()), "{error}");
    }
    assert_eq!(elsewhere.stats().received, 0);
}

#[tokio::test]
async fn row_16_headers_or_half_a_body_and_then_silence_end_at_the_total_deadline() {
    for fault in [Fault::StallHeaders, Fault::StallBody, Fault::Hang] {
        let f = Fixture::with(faulty(fault), |config| config.timeout = SOON);
        let started = Instant::now();
        let error = f.one().await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (Kind::TimedOut, true), "{fault:?}: {error}");
        assert!(started.elapsed() >= SOON && started.elapsed() < 20 * SOON, "{fault:?}");
    }
}

#[tokio::test]
async fn row_16_a_callers_sooner_deadline_holds() {
    let f = Fixture::start(faulty(Fault::StallBody));
    let cx = outrigger_core::CallCx { deadline: Some(Instant::now() + SOON), ..cx() };
    let error = f.call.call(&[event("1")], &cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::TimedOut);
}

#[tokio::test]
async fn row_16_a_stalled_failure_is_known_by_its_status() {
    let stalled = Action { status: Some(422), ..Action::fault(Fault::StallBody) };
    let f = Fixture::with(Program::always(stalled), |config| config.timeout = SOON);
    let error = f.one().await.unwrap_err();
    assert_eq!(error.http_status(), Some(422));
    assert!(error.message().starts_with("xxx"), "what came of its body is told: {error}");
}

#[tokio::test]
async fn row_17_a_host_that_swallows_connections_is_given_up_at_the_connect_timeout() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let full = socket.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    // Nobody accepts, so the kernel completes these few and then drops what asks for a connection.
    let queued: Vec<_> = (0..2).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    let call = call_to(&format!("http://{address}"), |config| config.connect_timeout = SOON);
    let error = one(&call, &event("1")).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (Kind::Unreachable, false));
    assert_eq!(error.message(), format!("{address}: no connection within 1000 ms"));
    drop(queued);
}

#[tokio::test]
async fn row_17_a_connection_that_fell_silent_is_closed_and_not_used_again() {
    let silent_once = Program::default().rule(Rule::new(Match::id("silent"), Action::fault(Fault::Hang)));
    let f = Fixture::with(silent_once, |config| config.timeout = SOON);
    f.one().await.unwrap();
    let error = f.send(&event("silent")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::TimedOut);
    f.function.wait_for(|stats| stats.gone + stats.faulted >= 1).await;
    f.send(&event("2")).await.unwrap();
    assert_eq!(f.function.stats().connections, 2);
}

#[tokio::test]
async fn row_17_a_timeout_closes_the_idle_connections_too() {
    let held = Rule::new(Match::any(), Action::hold("gate")).times(2);
    let silent = Rule::new(Match::id("silent"), Action::fault(Fault::Hang));
    let f = Fixture::with(Program::default().rule(held).rule(silent), |config| config.timeout = 10 * SOON);
    let both = futures_util::future::join(f.one(), f.one());
    let ((first, second), ()) = futures_util::future::join(both, async {
        f.function.wait_for(|stats| stats.held == 2).await;
        f.function.open("gate");
    })
    .await;
    assert!(first.is_ok() && second.is_ok());
    // Two connections are idle now; the silent one and the other may lead to the same vanished host.
    let cx = outrigger_core::CallCx { deadline: Some(Instant::now() + SOON), ..cx() };
    let error = f.call.call(&[event("silent")], &cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::TimedOut);
    f.send(&event("2")).await.unwrap();
    assert_eq!(f.function.stats().connections, 3);
}

#[tokio::test]
async fn row_18_a_success_that_breaks_off_is_a_failure_where_the_reply_is_used() {
    for fault in [Fault::Truncate, Fault::ResetBody] {
        let error = Fixture::start(faulty(fault)).one().await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (Kind::Interrupted, true), "{fault:?}");
    }
}

#[tokio::test]
async fn row_18_a_success_that_breaks_off_or_stalls_is_one_where_replies_are_ignored() {
    for fault in [Fault::Truncate, Fault::ResetBody, Fault::StallBody] {
        let f = Fixture::with(faulty(fault), |config| {
            config.replies = Replies::Ignored;
            config.timeout = SOON;
        });
        assert_eq!(f.one().await.unwrap().status, 200, "{fault:?}");
    }
}

#[tokio::test]
async fn a_function_that_came_back_is_called_on_a_new_connection_without_a_failure() {
    let f = Fixture::start(Program::default());
    f.one().await.unwrap();
    let address = f.function.addr();
    tokio::task::spawn_blocking(|| f.function.stop()).await.unwrap();
    let again = Function::start_with(Setup { address, ..Setup::default() }).unwrap();
    one(&f.call, &event("2")).await.unwrap();
    assert_eq!(again.stats().received, 1);
}

#[tokio::test]
async fn a_function_that_closes_after_each_answer_is_called_anew_each_time() {
    let closing = Action { close: true, ..Action::text("bye") };
    let f = Fixture::start(Program::always(closing));
    for n in 0..5 {
        f.send(&event(&n.to_string())).await.unwrap();
    }
    assert_eq!(f.function.stats().connections, 5);
}

#[tokio::test]
async fn a_port_that_speaks_something_else_may_be_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let call = call_to(&format!("http://{}", listener.local_addr().unwrap()), |_| {});
    let ssh = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").await.unwrap();
        stream
    });
    let error = one(&call, &event("1")).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (Kind::Interrupted, Retry::Temporary));
    assert!(error.message().contains("not HTTP/1.1"), "{error}");
    drop(ssh.await);
}
