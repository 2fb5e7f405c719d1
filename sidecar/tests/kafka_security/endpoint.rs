//! A token endpoint: who asks with the right secret has a token that the broker takes, until it is told otherwise.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use outrigger_testkit::kafka::SecureBroker;
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::net::TcpListener;

const SPARE_SECONDS: u64 = 3;

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A token that is said to live so many seconds. The broker lets it live a little longer, as it counts whole ones.
    Token(u64),
    /// A refusal in the words of RFC 6749, section 5.2.
    Refuse,
}

pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    state: Mutex<State>,
}

struct State {
    answer: Answer,
    secret: String,
    given: usize,
}

impl Endpoint {
    /// Serves at `address`, whose port may be 0.
    pub(crate) async fn start(address: SocketAddr, secret: &str, answer: Answer) -> Arc<Self> {
        let listener = TcpListener::bind(address).await.expect("the port is free");
        let address = listener.local_addr().expect("it has an address");
        let state = Mutex::new(State { answer, secret: secret.to_owned(), given: 0 });
        let endpoint = Arc::new(Self { address, state });
        let shared = endpoint.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let endpoint = shared.clone();
                let service = service_fn(move |request| {
                    let answer = endpoint.answer(&request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        endpoint
    }

    pub(crate) fn set(&self, answer: Answer) {
        self.state.lock().unwrap().answer = answer;
    }

    /// Takes another secret from now on, and no longer the one before.
    pub(crate) fn rotate(&self, secret: &str) {
        secret.clone_into(&mut self.state.lock().unwrap().secret);
    }

    /// How many tokens were given.
    pub(crate) fn given(&self) -> usize {
        self.state.lock().unwrap().given
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let mut state = self.state.lock().unwrap();
        let expected = format!("Basic {}", STANDARD.encode(format!("outrigger:{}", state.secret)));
        let is_right = request.headers().get("authorization").is_some_and(|value| *value == *expected);
        let (status, text) = match state.answer {
            Answer::Token(seconds) if is_right => {
                state.given += 1;
                let token = SecureBroker::token("alice", seconds + SPARE_SECONDS);
                (200, format!(r#"{{"access_token":"{token}","token_type":"bearer","expires_in":{seconds}}}"#))
            }
            _ => (401, r#"{"error":"invalid_client","error_description":"unknown client"}"#.to_owned()),
        };
        Response::builder().status(status).body(Full::from(text)).expect("an answer")
    }
}
