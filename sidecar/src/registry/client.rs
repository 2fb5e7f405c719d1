//! The function client over HTTP.

use super::{Brokers, Function, Home, Tune};
use crate::{config, dispatch::now};
use http::{HeaderValue, Uri};
use outrigger_core::{Call, Error, Exchange, Kind, Plugin, Result};
use outrigger_http::{
    FunctionCall, HttpSink,
    outward::{Outward, Rules},
};
use outrigger_net::{
    tls::{Authorities, ClientSettings, ClientTls, TlsError, Version},
    token::TokenFile,
};
use std::sync::Arc;

/// The function client. `tls` is needed where the URL says https; `replies` says whether a caller waits for what the
/// function answers to an event.
///
/// # Errors
/// When the URL or a setting is not what the adapter takes.
pub fn function(
    config: &config::Function,
    url: &Uri,
    tls: Option<Arc<ClientTls>>,
    replies: bool,
    plugins: &[Arc<dyn Plugin>],
) -> Result<Function> {
    let settings = client_settings(config, url, replies)?;
    let client = outrigger_http::Client::new(&settings);
    let tuning = client.tuning();
    let client = match tls {
        Some(tls) => client.secured(tls),
        None => client,
    };
    let mut exchange: Arc<dyn Exchange> = Arc::new(client);
    for plugin in plugins.iter().rev() {
        exchange = plugin.around_exchange(exchange);
    }
    let alone = FunctionCall::new(&settings, exchange.clone());
    let mut call: Arc<dyn Call> = match config.batch {
        None => Arc::new(alone),
        Some(config::Batch { events_max, bytes_max, wait }) => {
            let limits = outrigger_http::Limits { events_max, bytes_max, wait };
            Arc::new(outrigger_http::BatchCall::new(alone, limits))
        }
    };
    for plugin in plugins.iter().rev() {
        call = plugin.around_call(call);
    }
    let url = url.clone();
    let tune: Tune = Box::new(move |config| match client_settings(config, &url, replies) {
        Ok(settings) => tuning.set(&settings),
        Err(error) => tracing::error!(%error, "the function is called as before"),
    });
    Ok(Function { call, exchange, tune })
}

/// The client of a target that takes events by POST. Connects to nobody, but reads the files that are named.
///
/// # Errors
/// When the URL is not what the adapter takes, or a file cannot be used, with the setting.
pub fn target(target: &config::Target, at: &config::TargetUrl) -> Result<Arc<dyn Call>> {
    let section = format!("targets.{}", target.name);
    Ok(Arc::new(outward(&section, at, target.mode, target.concurrency)?))
}

/// Where replies and dead letters go that are sent by POST. Connects to nobody, but reads the files that are named.
///
/// # Errors
/// As [`target`].
pub(super) fn homes(config: &config::Config) -> Result<Brokers> {
    let concurrency = config.function.concurrency;
    let home = |name, section, at: Option<&config::TargetUrl>, mode| {
        let made = at.map(|at| outward(section, at, mode, concurrency).map(|call| HttpSink::new(name, call)));
        made.map(|sink| sink.map(Arc::new)).transpose()
    };
    let (replies, dead) = (&config.replies, &config.dead_letters);
    let replies = home("replies", "replies", replies.url.as_ref(), replies.mode)?;
    let dead = home("dead letters", "dead_letters", dead.url.as_ref(), config::Mode::Binary)?;
    Ok(Brokers::of(None, replies, dead))
}

impl Home for HttpSink {
    fn name(&self) -> &str {
        HttpSink::name(self)
    }

    fn trouble(&self) -> Option<String> {
        HttpSink::trouble(self)
    }
}

fn outward(
    section: &str,
    at: &config::TargetUrl,
    mode: config::Mode,
    concurrency: usize,
) -> Result<FunctionCall> {
    let invalid = |what: String| Error::new(Kind::Invalid, format!("{section}.{what}"));
    let settings = outrigger_http::Config {
        mode: match mode {
            config::Mode::Binary => outrigger_http::Mode::Binary,
            config::Mode::Structured => outrigger_http::Mode::Structured,
            config::Mode::Protobuf => outrigger_http::Mode::Protobuf,
        },
        connect_timeout: at.connect_timeout,
        timeout: at.timeout,
        idle_connections_max: concurrency,
        replies: outrigger_http::Replies::Ignored,
        ..outrigger_http::Config::new(at.url.clone())
            .map_err(|error| invalid(error.message().trim_start_matches("function.").to_owned()))?
    };
    let client = outrigger_http::Client::new(&settings);
    let client = match tls(section, at)? {
        Some(tls) => client.secured(tls),
        None => client,
    };
    let token = at.bearer_file.as_ref().map(|file| TokenFile::open(file, now())).transpose();
    let origin = at.webhook_origin.as_deref().map(HeaderValue::from_str).transpose();
    let rules = Rules {
        token: token.map_err(|error| invalid(format!("bearer_file: {error}")))?,
        origin: origin.map_err(|error| invalid(format!("webhook: {error}")))?,
        retired_wait: at.retired_wait,
    };
    let exchange = Outward::new(at.url.clone(), Arc::new(client), rules);
    Ok(FunctionCall::new(&settings, Arc::new(exchange)))
}

/// TLS toward it, where its URL says https.
fn tls(section: &str, at: &config::TargetUrl) -> Result<Option<Arc<ClientTls>>> {
    if at.url.scheme_str() != Some("https") {
        return Ok(None);
    }
    let settings = ClientSettings {
        section: section.to_owned(),
        authorities: at.ca.clone().map_or(Authorities::System, Authorities::File),
        pair: None,
        version_min: Version::default(),
    };
    let told = |error: TlsError| {
        let lines = error.problems.into_iter().map(|(key, what)| format!("{key}: {what}"));
        Error::new(Kind::Invalid, lines.collect::<Vec<_>>().join("; "))
    };
    ClientTls::open(settings).map(|tls| Some(Arc::new(tls))).map_err(told)
}

fn client_settings(config: &config::Function, url: &Uri, replies: bool) -> Result<outrigger_http::Config> {
    Ok(outrigger_http::Config {
        mode: match config.mode {
            config::FunctionMode::Event(config::Mode::Binary) => outrigger_http::Mode::Binary,
            config::FunctionMode::Event(config::Mode::Structured) => outrigger_http::Mode::Structured,
            config::FunctionMode::Event(config::Mode::Protobuf) => outrigger_http::Mode::Protobuf,
            config::FunctionMode::Raw => outrigger_http::Mode::Raw,
        },
        protocol: match config.protocol {
            config::Protocol::Http1 => outrigger_http::Protocol::Http1,
            config::Protocol::H2c => outrigger_http::Protocol::H2c,
        },
        connect_timeout: config.connect_timeout,
        idle_timeout: config.idle_timeout,
        timeout: config.timeout,
        idle_connections_max: config.concurrency,
        replies: if replies { outrigger_http::Replies::Used } else { outrigger_http::Replies::Ignored },
        reply_bytes_max: config.reply_bytes_max,
        ..outrigger_http::Config::new(url.clone())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::{BodyExt as _, Empty};
    use outrigger_core::{Body, BoxFuture, CallCx, Event, Reply, TargetId};
    use std::sync::{Mutex, PoisonError};

    type Log = Arc<Mutex<Vec<String>>>;

    /// Stands around the call and the exchange, and writes down when it is passed. The last one answers.
    #[derive(Clone)]
    struct Spy {
        name: &'static str,
        answers: bool,
        log: Log,
    }

    impl Spy {
        fn passed(&self, place: &str) {
            self.log.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{place} {}", self.name));
        }
    }

    impl Plugin for Spy {
        fn name(&self) -> &str {
            self.name
        }

        fn around_call(&self, inner: Arc<dyn Call>) -> Arc<dyn Call> {
            Arc::new(Around(self.clone(), inner))
        }

        fn around_exchange(&self, inner: Arc<dyn Exchange>) -> Arc<dyn Exchange> {
            Arc::new(Around(self.clone(), inner))
        }
    }

    struct Around<T>(Spy, T);

    impl Call for Around<Arc<dyn Call>> {
        fn call<'a>(&'a self, events: &'a [Event], cx: &'a CallCx) -> BoxFuture<'a, Result<Vec<Reply>>> {
            self.0.passed("call");
            self.1.call(events, cx)
        }
    }

    impl Exchange for Around<Arc<dyn Exchange>> {
        fn send<'a>(
            &'a self,
            request: Request<Body>,
            cx: &'a CallCx,
        ) -> BoxFuture<'a, Result<Response<Body>>> {
            self.0.passed("exchange");
            if !self.0.answers {
                return self.1.send(request, cx);
            }
            let nothing = Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync();
            Box::pin(std::future::ready(Ok(Response::new(nothing))))
        }
    }

    #[tokio::test]
    async fn of_every_pair_the_first_in_the_list_is_passed_first_at_each_place() {
        let text = "function: {url: \"http://127.0.0.1:1\"}";
        let config = config::read(&config::Nothing, "f", text, &[], config::Purpose::Look).unwrap();
        let names = ["cache", "trace", "another"];
        for (first, second) in
            names.iter().flat_map(|a| names.iter().map(move |b| (*a, *b))).filter(|(a, b)| a != b)
        {
            let log = Log::default();
            let spy = |name, answers| Arc::new(Spy { name, answers, log: log.clone() }) as Arc<dyn Plugin>;
            let plugins = [spy(first, false), spy(second, true)];
            let url = config.function.url.clone().unwrap();
            let function = function(&config.function, &url, None, true, &plugins).unwrap();
            let cx = CallCx::first(TargetId("function".into()));
            function.call.call(&[Event::new("1", "/s", "t").unwrap()], &cx).await.unwrap();
            let passed = log.lock().unwrap().clone();
            let places = ["call", "exchange"].into_iter();
            let expected: Vec<_> =
                places.flat_map(|at| [first, second].map(|name| format!("{at} {name}"))).collect();
            assert_eq!(passed, expected);
        }
    }
}
