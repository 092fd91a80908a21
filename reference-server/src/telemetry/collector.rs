//! The connection to the collector.
//!
//! The SDK exports on threads of its own, which wait; the requests run on the server's runtime.

use std::{fmt, fs, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
};
use stockade_server_config::OtlpEndpoint;
use tokio::{runtime::Handle, time};
use zeroize::Zeroizing;

use super::ExportLog;
use crate::{StartError, config::TelemetryConfig, error_chain::chain, tls::trust_roots};

/// The timeout of a request, and of an export with its retries.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum size of a response, in bytes. It has at most the reasons why spans were rejected.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// The exporter of spans.
pub(super) fn spans(
    endpoint: &OtlpEndpoint,
    client: CollectorClient,
) -> Result<SpanExporter, ExporterBuildError> {
    SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_endpoint(endpoint.join("v1/traces"))
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(TIMEOUT)
        .build()
}

/// The exporter of metrics.
pub(super) fn metrics(
    endpoint: &OtlpEndpoint,
    client: CollectorClient,
) -> Result<MetricExporter, ExporterBuildError> {
    MetricExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_endpoint(endpoint.join("v1/metrics"))
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(TIMEOUT)
        .build()
}

/// Sends requests to the collector, with the operator's headers. Redirects are not followed.
#[derive(Clone)]
pub(super) struct CollectorClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    headers: HeaderMap,
    runtime: Handle,
    log: Arc<ExportLog>,
}

impl CollectorClient {
    /// A client on the current runtime.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read or is invalid.
    pub(super) fn new(config: &TelemetryConfig, log: Arc<ExportLog>) -> Result<Self, StartError> {
        let ca_file = config.ca_file.as_deref();
        let mut tls = trust_roots(ca_file).map_err(|error| {
            let path = ca_file.unwrap_or(Path::new("")).display();
            StartError::new(format!(
                "telemetry.ca_file: cannot use {path} as root certificates: {error}; provide a PEM \
                 file with certificates"
            ))
        })?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        let headers = config.headers_file.as_deref().map(read_headers);
        Ok(Self {
            client: Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .build(HttpsConnector::from((tcp, tls))),
            headers: headers.transpose()?.unwrap_or_default(),
            runtime: Handle::current(),
            log,
        })
    }
}

impl HttpClient for CollectorClient {
    fn send_bytes<'a, 'f>(
        &'a self,
        mut request: Request<Bytes>,
    ) -> BoxFuture<'f, Result<Response<Bytes>, HttpError>>
    where
        'a: 'f,
        Self: 'f,
    {
        request.headers_mut().extend(self.headers.clone());
        let sending = time_out(self.client.clone(), request);
        let sending = self.runtime.spawn(sending);
        let log = Arc::clone(&self.log);
        Box::pin(async move {
            let response = sending.await.unwrap_or_else(|error| Err(error.into()));
            match &response {
                Ok(response) if response.status().is_success() => {}
                Ok(response) => {
                    log.request_failed(format!("the collector answered {}", response.status()));
                }
                Err(error) => log.request_failed(chain(&**error)),
            }
            response
        })
    }
}

async fn time_out(
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let exchange = async move {
        let response = client.request(request.map(Full::new)).await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_RESPONSE_BYTES).collect().await?;
        Ok::<_, HttpError>(Response::from_parts(head, body.to_bytes()))
    };
    match time::timeout(TIMEOUT, exchange).await {
        Ok(response) => response,
        Err(_) => Err("the collector did not answer in time".into()),
    }
}

/// Reads a file with one `name: value` per line. Empty lines, and those that start with `#`, are
/// skipped.
fn read_headers(path: &Path) -> Result<HeaderMap, StartError> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(|error| {
        StartError::new(format!(
            "telemetry.headers_file: cannot read {name}: {error}"
        ))
    })?;
    let text = Zeroizing::new(text);
    let mut headers = HeaderMap::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // The line is not quoted, because it may contain a credential.
        let (header, value) = parse_header(line).ok_or_else(|| {
            StartError::new(format!(
                "telemetry.headers_file: line {} of {name} is no header: write it as \
                 `authorization: Bearer TOKEN`",
                at + 1
            ))
        })?;
        headers.insert(header, value);
    }
    Ok(headers)
}

fn parse_header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    let name = HeaderName::try_from(name.trim()).ok()?;
    let mut value = HeaderValue::try_from(value.trim()).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

impl fmt::Debug for CollectorClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the headers, which may be secrets.
        f.write_str("CollectorClient")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_headers_without_showing_their_values() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("headers");
        fs::write(
            &path,
            "# of the collector\n\nx-tenant: a\nAuthorization:  Bearer hidden\n",
        )
        .unwrap();
        let headers = read_headers(&path).unwrap();
        assert_eq!(headers.len(), 2);
        assert_eq!(headers["authorization"], "Bearer hidden");
        assert!(!format!("{headers:?}").contains("hidden"));

        for line in ["hidden", "a b: hidden", "a: hid\u{7f}den"] {
            fs::write(&path, format!("a: b\n{line}\n")).unwrap();
            let error = read_headers(&path).unwrap_err().to_string();
            assert!(error.contains("line 2 of"), "{error}");
            assert!(!error.contains("hid"), "{error}");
        }
    }
}
