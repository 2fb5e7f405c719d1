//! A proxy that keeps answers, its programmable function, and a client.

use crate::common::Site;
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use outrigger_function::{Action, Function, Match, Program, Rule, program::Payload};
use outrigger_testkit::{Process, free_port};
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// A process that keeps answers.
pub(crate) struct Keeping {
    pub(crate) site: Site,
    pub(crate) process: Process,
    pub(crate) proxy: SocketAddr,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Told {
    /// What the cache says.
    pub(crate) fn cache(&self) -> &str {
        self.headers["cache-status"].to_str().expect("text")
    }
}

impl Keeping {
    pub(crate) async fn start(function: &Function, change: impl FnOnce(Site) -> Site) -> Self {
        let (site, proxy) = site(&function.url());
        let site = change(site);
        let process = site.start().await;
        Self { site, process, proxy }
    }

    pub(crate) async fn get(&self, path: &str) -> Told {
        self.ask(Method::GET, path, &[]).await
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Told {
        ask(self.proxy, method, path, headers).await.expect("an answer")
    }
}

/// A site that keeps answers of the function at `url`, and its proxy's address.
pub(crate) fn site(url: &str) -> (Site, SocketAddr) {
    let proxy = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let site = Site::at(url).set("proxy.listen", &proxy.to_string());
    (site.set("cache.responses.bytes_max", "8MiB"), proxy)
}

/// One request over a connection of its own; the error is of an answer that broke off.
pub(crate) async fn ask(
    proxy: SocketAddr,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> hyper::Result<Told> {
    let stream = TcpStream::connect(proxy).await.expect("the proxy listens");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", "example.test");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = sender.send_request(request.body(Full::<Bytes>::default()).expect("a request")).await?;
    let (parts, body) = answer.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Told { status: parts.status.as_u16(), headers: parts.headers, body })
}

/// What answers so.
pub(crate) fn answers(headers: &[(&str, &str)], body: &str) -> Action {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Action { headers, body: Some(Payload::Text(body.to_owned())), ..Action::default() }
}

/// What answers so at a path.
pub(crate) fn at(path: &str, act: Action) -> Rule {
    Rule::new(Match { path: Some(path.to_owned()), ..Match::default() }, act)
}

/// A function that answers what is fresh for a minute.
pub(crate) fn fresh() -> Program {
    Program::always(answers(&[("cache-control", "max-age=60")], "fresh"))
}
