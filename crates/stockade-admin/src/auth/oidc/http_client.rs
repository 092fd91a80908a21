//! The HTTP client for the provider.

use std::{error::Error, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::crypto::aws_lc_rs;
use serde::de::DeserializeOwned;
use tokio::{sync::Semaphore, time};

use super::error::OidcError;
use crate::{AdminError, OidcUrl};

const MAX_BYTES: usize = 256 * 1024;
/// For a whole request, with the wait for a free place.
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_REQUESTS: usize = 16;

/// A client with compiled-in roots. It follows no redirects.
pub(super) struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    places: Semaphore,
}

impl HttpClient {
    pub(super) fn new() -> Result<Self, AdminError> {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(aws_lc_rs::default_provider())
            .map_err(|error| {
                AdminError::new("cannot set up TLS for admin.oidc").with_source(error)
            })?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .build(connector),
            places: Semaphore::new(MAX_REQUESTS),
        })
    }

    /// Reads a JSON document. `what` names it in errors.
    pub(super) async fn get<T>(&self, what: &str, url: &str) -> Result<T, OidcError>
    where
        T: DeserializeOwned,
    {
        let request = Request::get(uri(what, url)?).header("accept", "application/json");
        let request = request.body(Full::default());
        let request = request.map_err(|error| failed(what, &error))?;
        let (status, body) = self.send(what, request).await?;
        if status != StatusCode::OK {
            return Err(OidcError::provider(format!(
                "{what}: the response has status {}",
                status.as_u16()
            )));
        }
        parse(what, &body)
    }

    /// Sends a request, and reads its response within a time and a size.
    pub(super) async fn send(
        &self,
        what: &str,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), OidcError> {
        let exchange = async {
            let _place = self.places.acquire().await;
            let response = self.client.request(request).await;
            let response = response.map_err(|error| failed(what, &error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_BYTES);
            let body = body.collect().await;
            let body = body.map_err(|error| failed(what, &*error))?;
            Ok((status, body.to_bytes()))
        };
        let seconds = TIMEOUT.as_secs();
        let timed_out = |_| OidcError::provider(format!("{what}: no response in {seconds} s"));
        time::timeout(TIMEOUT, exchange).await.map_err(timed_out)?
    }
}

/// Parses a JSON document; errors do not quote it.
pub(super) fn parse<T>(what: &str, body: &[u8]) -> Result<T, OidcError>
where
    T: DeserializeOwned,
{
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        OidcError::provider(format!(
            "{what}: the response is invalid at line {line}, column {column}"
        ))
    })
}

/// Plain HTTP is refused, except on loopback.
pub(super) fn uri(what: &str, url: &str) -> Result<http::Uri, OidcError> {
    let checked = OidcUrl::try_from(url.to_owned());
    let checked = checked.map_err(|why| OidcError::provider(format!("{what}: the URL {why}")))?;
    let uri = checked.as_str().parse();
    uri.map_err(|_| OidcError::provider(format!("{what}: the URL is invalid")))
}

fn failed(what: &str, error: &(dyn Error + 'static)) -> OidcError {
    let mut text = format!("{what}: {error}");
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    OidcError::provider(text)
}
