//! Speaking OTLP: spans by opentelemetry-otlp's exporter, metrics by its messages, over the same connection.

use crate::{
    config::{Export, Protocol},
    invalid,
    metrics::{self, Family},
    post::Post,
};
use bytes::Bytes;
use flate2::{Compression as Level, write::GzEncoder};
use http::{HeaderMap, HeaderValue, Request, Uri, header};
use opentelemetry_http::HttpClient as _;
use opentelemetry_otlp::{
    Compression, SpanExporter, WithExportConfig as _, WithHttpConfig as _, WithTonicConfig as _,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, metrics_service_client::MetricsServiceClient,
};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanExporter as _},
};
use outrigger_core::Result;
use prost::Message as _;
use std::{io::Write as _, time::SystemTime};
use tonic::{
    codec::CompressionEncoding,
    metadata::MetadataMap,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

/// A collector, as it is spoken to. To be made and used within a runtime.
pub(crate) struct Collector {
    spans: Option<SpanExporter>,
    metrics: Option<Metrics>,
    resource: Vec<(String, String)>,
    started: SystemTime,
}

/// What a request by HTTP is made of.
struct Posting {
    post: Post,
    url: Uri,
    headers: HeaderMap,
    gzip: bool,
}

/// The way of metrics.
enum Metrics {
    Grpc(Box<(MetricsServiceClient<Channel>, MetadataMap)>),
    Http(Box<Posting>),
}

impl Collector {
    /// Connects nowhere yet.
    pub(crate) fn new(export: &Export) -> Result<Self> {
        let headers: HeaderMap = export.headers.iter().cloned().collect();
        let (spans, metrics) = match export.protocol {
            Protocol::Grpc => grpc(export, &headers)?,
            Protocol::Http => http(export, &headers)?,
        };
        let spans = spans.map(|mut spans| {
            spans.set_resource(&resource(export));
            spans
        });
        Ok(Self { spans, metrics, resource: export.resource.clone(), started: SystemTime::now() })
    }

    /// Sends spans; false where they are lost.
    pub(crate) async fn spans(&self, spans: Vec<SpanData>) -> std::result::Result<(), String> {
        match &self.spans {
            Some(exporter) => exporter.export(spans).await.map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }

    /// Sends what is counted.
    pub(crate) async fn metrics(&self, families: Vec<Family>) -> std::result::Result<(), String> {
        let Some(metrics) = &self.metrics else { return Ok(()) };
        let request = metrics::request(families, &self.resource, (self.started, SystemTime::now()));
        match metrics {
            Metrics::Grpc(calling) => {
                let (client, metadata) = &**calling;
                let request =
                    tonic::Request::from_parts(metadata.clone(), tonic::Extensions::default(), request);
                let sent = client.clone().export(request).await;
                sent.map(drop).map_err(|status| status.to_string())
            }
            Metrics::Http(posting) => {
                let Posting { post, url, .. } = &**posting;
                let answer =
                    post.send_bytes(posted(&request, posting)?).await.map_err(|error| error.to_string())?;
                let status = answer.status();
                if status.is_success() { Ok(()) } else { Err(format!("{url}: status {status}")) }
            }
        }
    }
}

type Ways = (Option<SpanExporter>, Option<Metrics>);

fn grpc(export: &Export, headers: &HeaderMap) -> Result<Ways> {
    let metadata = MetadataMap::from_headers(headers.clone());
    let spans = match &export.traces {
        None => None,
        Some(url) => {
            let exporter = SpanExporter::builder()
                .with_tonic()
                .with_channel(channel(export, url)?)
                .with_timeout(export.timeout)
                .with_metadata(metadata.clone());
            let exporter = if export.gzip { exporter.with_compression(Compression::Gzip) } else { exporter };
            Some(exporter.build().map_err(invalid)?)
        }
    };
    let metrics = match &export.metrics {
        None => None,
        Some(url) => {
            let client = MetricsServiceClient::new(channel(export, url)?);
            let client = if export.gzip { client.send_compressed(CompressionEncoding::Gzip) } else { client };
            Some(Metrics::Grpc(Box::new((client, metadata))))
        }
    };
    Ok((spans, metrics))
}

fn channel(export: &Export, url: &Uri) -> Result<Channel> {
    let endpoint = Endpoint::from(url.clone()).timeout(export.timeout).connect_timeout(export.timeout);
    if url.scheme_str() != Some("https") {
        return Ok(endpoint.connect_lazy());
    }
    let tls = match &export.tls.ca {
        Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    let tls = match &export.tls.pair {
        Some((certificate, key)) => tls.identity(Identity::from_pem(certificate, key)),
        None => tls,
    };
    Ok(endpoint.tls_config(tls).map_err(invalid)?.connect_lazy())
}

fn http(export: &Export, headers: &HeaderMap) -> Result<Ways> {
    let post = Post::new(export.tls.client.clone(), export.timeout);
    let spans = match &export.traces {
        None => None,
        Some(url) => {
            let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
            let named = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
            let exporter = SpanExporter::builder()
                .with_http()
                .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
                .with_http_client(post.clone())
                .with_endpoint(url.to_string())
                .with_timeout(export.timeout)
                .with_headers(named);
            let exporter = if export.gzip { exporter.with_compression(Compression::Gzip) } else { exporter };
            Some(exporter.build().map_err(invalid)?)
        }
    };
    let (gzip, headers) = (export.gzip, headers.clone());
    let metrics =
        export.metrics.clone().map(|url| Metrics::Http(Box::new(Posting { post, url, headers, gzip })));
    Ok((spans, metrics))
}

fn posted(
    request: &ExportMetricsServiceRequest,
    Posting { url, headers, gzip, .. }: &Posting,
) -> std::result::Result<Request<Bytes>, String> {
    let mut body = request.encode_to_vec();
    let mut posted = Request::post(url.clone());
    if *gzip {
        let mut packed = GzEncoder::new(Vec::new(), Level::fast());
        body = packed.write_all(&body).and_then(|()| packed.finish()).map_err(|error| error.to_string())?;
        posted = posted.header(header::CONTENT_ENCODING, "gzip");
    }
    let posted = posted.header(header::CONTENT_TYPE, "application/x-protobuf");
    let mut posted = posted.body(Bytes::from(body)).map_err(|error| error.to_string())?;
    posted.headers_mut().extend(headers.clone());
    Ok(posted)
}

fn resource(export: &Export) -> Resource {
    let named = export.resource.iter().map(|(name, value)| {
        opentelemetry::KeyValue::new(name.clone(), opentelemetry::Value::from(value.clone()))
    });
    Resource::builder_empty().with_attributes(named).build()
}
