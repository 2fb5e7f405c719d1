//! Speaking OTLP: a message to the collector, by gRPC or HTTP, tried again where that may help. Nothing here reads the
//! environment: what a way is made of stands in its configuration.

use crate::{
    answer::{Failure, words},
    config::{Protocol, Way},
    invalid,
    post::Post,
};
use http::{HeaderMap, uri::PathAndQuery};
use opentelemetry_proto::tonic::collector::{
    metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse},
    trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
};
use outrigger_core::Result;
use outrigger_net::client::reason;
use prost::Message;
use std::{future::Future, time::Duration};
use tokio::time::{Instant, sleep, timeout_at};
use tonic::{
    client::Grpc,
    codec::CompressionEncoding,
    metadata::MetadataMap,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_prost::ProstCodec;

/// So often one message is sent at most.
const TRIES_MAX: u32 = 5;
/// How long the second try waits, where the collector says nothing else; each further one twice as long.
const WAIT_FIRST: Duration = Duration::from_millis(100);

/// What OTLP carries.
pub(crate) trait Told: Message + Clone + 'static {
    /// What it is answered with.
    type Answer: Message + Default + 'static;
    /// The method of gRPC.
    const METHOD: &'static str;

    /// How many parts of it the collector did not take, and why.
    fn refused(answer: Self::Answer) -> Option<Refused>;
}

/// What a collector did not take of a message that it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) count: u64,
    pub(crate) why: String,
}

impl Refused {
    fn of(count: i64, why: &str) -> Option<Self> {
        let count = u64::try_from(count).unwrap_or(0);
        (count > 0 || !why.is_empty()).then(|| Self { count, why: words(why) })
    }
}

impl Told for ExportTraceServiceRequest {
    type Answer = ExportTraceServiceResponse;
    const METHOD: &'static str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

    fn refused(answer: Self::Answer) -> Option<Refused> {
        answer.partial_success.and_then(|part| Refused::of(part.rejected_spans, &part.error_message))
    }
}

impl Told for ExportMetricsServiceRequest {
    type Answer = ExportMetricsServiceResponse;
    const METHOD: &'static str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

    fn refused(answer: Self::Answer) -> Option<Refused> {
        answer.partial_success.and_then(|part| Refused::of(part.rejected_data_points, &part.error_message))
    }
}

/// The way to a collector for one kind of message. To be made and used within a runtime.
pub(crate) struct Line {
    speech: Speech,
    timeout: Duration,
}

enum Speech {
    Grpc(Box<Call>),
    Http(Box<Post>),
}

struct Call {
    client: Grpc<Channel>,
    metadata: MetadataMap,
}

impl Line {
    /// Connects nowhere yet.
    pub(crate) fn new(way: &Way) -> Result<Self> {
        let speech = match way.protocol {
            Protocol::Grpc => Speech::Grpc(Box::new(Call::new(way)?)),
            Protocol::Http => Speech::Http(Box::new(Post::new(way))),
        };
        Ok(Self { speech, timeout: way.timeout })
    }

    /// Sends a message, within the way's timeout for all tries together.
    ///
    /// # Cancellation
    /// Dropping the future leaves it open whether the collector has it.
    pub(crate) async fn tell<T: Told>(&self, message: &T) -> std::result::Result<Option<Refused>, Failure> {
        let answer = match &self.speech {
            Speech::Grpc(call) => retried(self.timeout, async || call.once(message).await).await,
            Speech::Http(post) => {
                let body = post.packed(message)?;
                retried(self.timeout, async || post.once(body.clone()).await).await
            }
        };
        answer.map(T::refused)
    }
}

/// What `once` comes to at last.
async fn retried<A, F>(within: Duration, once: impl Fn() -> F) -> std::result::Result<A, Failure>
where
    F: Future<Output = std::result::Result<A, Failure>>,
{
    let deadline = Instant::now() + within;
    let mut wait = WAIT_FIRST;
    let mut last = None;
    for tries in 1.. {
        let (after, why) = match timeout_at(deadline, once()).await {
            Ok(Err(Failure::Later { after, why })) => (after, why),
            Ok(ended) => return ended,
            Err(_) => {
                let why = last.map_or_else(String::new, |why| format!("; before that: {why}"));
                return Err(Failure::Lost(format!("no answer within {within:?}{why}")));
            }
        };
        // Whoever else was turned away does not come again at the same time.
        let pause = after.unwrap_or_else(|| wait.mul_f64(0.5 + fastrand::f64() / 2.0));
        // A collector may ask for a pause that no clock has.
        let is_late = Instant::now().checked_add(pause).is_none_or(|at| at >= deadline);
        if tries == TRIES_MAX || is_late {
            return Err(Failure::Lost(why));
        }
        sleep(pause).await;
        (wait, last) = (wait * 2, Some(why));
    }
    unreachable!("the last try returns")
}

impl Call {
    fn new(way: &Way) -> Result<Self> {
        let headers: HeaderMap = way.headers.iter().cloned().collect();
        let client = Grpc::new(channel(way)?);
        let client = if way.gzip { client.send_compressed(CompressionEncoding::Gzip) } else { client };
        // Whoever is sent gzip may answer so.
        let client = client.accept_compressed(CompressionEncoding::Gzip);
        Ok(Self { client, metadata: MetadataMap::from_headers(headers) })
    }

    async fn once<T: Told>(&self, message: &T) -> std::result::Result<T::Answer, Failure> {
        let mut client = self.client.clone();
        let later = |error: tonic::transport::Error| Failure::Later { after: None, why: reason(&error) };
        client.ready().await.map_err(later)?;
        let (metadata, extensions) = (self.metadata.clone(), tonic::Extensions::default());
        let request = tonic::Request::from_parts(metadata, extensions, message.clone());
        let codec = ProstCodec::<T, T::Answer>::default();
        let answer = client.unary(request, PathAndQuery::from_static(T::METHOD), codec).await;
        answer.map(tonic::Response::into_inner).map_err(|status| Failure::of_grpc(&status))
    }
}

fn channel(way: &Way) -> Result<Channel> {
    let endpoint = Endpoint::from(way.url.clone()).timeout(way.timeout).connect_timeout(way.timeout);
    if way.url.scheme_str() != Some("https") {
        return Ok(endpoint.connect_lazy());
    }
    let tls = match &way.tls.ca {
        Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    let tls = match &way.tls.pair {
        Some((certificate, key)) => tls.identity(Identity::from_pem(certificate, key)),
        None => tls,
    };
    Ok(endpoint.tls_config(tls).map_err(invalid)?.connect_lazy())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const SECOND: Duration = Duration::from_secs(1);

    fn later(after: Option<Duration>) -> Failure {
        Failure::Later { after, why: "busy".to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_be_taken_later_is_sent_again_after_the_time_that_was_asked_for() {
        let (tries, began) = (Cell::new(0), Instant::now());
        let sent = retried(10 * SECOND, async || {
            tries.set(tries.get() + 1);
            if tries.get() < 3 { Err(later(Some(SECOND))) } else { Ok(7) }
        });
        assert_eq!(sent.await, Ok(7));
        assert_eq!((tries.get(), began.elapsed().as_secs()), (3, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_by_its_tries_its_time_and_what_will_never_be_taken() {
        let (tries, began) = (Cell::new(0), Instant::now());
        let fails = async |failure: Failure| {
            tries.set(0);
            let once = async || {
                tries.set(tries.get() + 1);
                Err::<(), _>(failure.clone())
            };
            retried(10 * SECOND, once).await
        };
        assert_eq!(fails(later(None)).await, Err(Failure::Lost("busy".to_owned())));
        assert!(tries.get() == TRIES_MAX && began.elapsed() < 2 * SECOND, "{:?}", began.elapsed());
        assert_eq!(fails(later(Some(11 * SECOND))).await, Err(Failure::Lost("busy".to_owned())));
        assert_eq!(tries.get(), 1, "it would come too late");
        let large = Failure::TooLarge("5".to_owned());
        assert_eq!((fails(large.clone()).await, tries.get()), (Err(large), 1));
        let hangs = async || std::future::pending::<std::result::Result<(), _>>().await;
        let Err(Failure::Lost(why)) = retried(SECOND, hangs).await else { panic!("it ends") };
        assert_eq!(why, "no answer within 1s");
    }
}
