//! HTTP client for key sets.

use std::{fmt, future::Future, net::IpAddr, pin::Pin};

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header::ACCEPT};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::crypto::aws_lc_rs;

use super::{JwksError, JwksErrorKind};

/// A transport for key sets; implement it for a proxy or other trust anchors.
pub trait JwksFetch: Send + Sync + 'static {
    /// Names the source in logs, metrics and readiness.
    fn name(&self) -> String {
        "JWKS".to_owned()
    }

    /// Fetches the document. The future is dropped on time-out.
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<Bytes, JwksError>> + Send + '_>>;
}

/// Fetches a key set over HTTPS with Mozilla's trust anchors, compiled in.
///
/// Connections are reused, responses are limited to 256 KiB, redirects are not followed, and
/// neither proxy variables nor files are read.
///
/// ```
/// use stockade_jwt::HttpFetch;
///
/// assert!(HttpFetch::new("https://login.example.com/jwks.json").is_ok());
/// // A key set that anyone on the network can replace verifies nothing.
/// assert!(HttpFetch::new("http://login.example.com/jwks.json").is_err());
/// ```
pub struct HttpFetch {
    url: Uri,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

/// Key sets of large identity providers have about ten KiB.
const MAX_SIZE: usize = 256 * 1024;

impl HttpFetch {
    /// Creates a client for an `https` URL.
    ///
    /// # Errors
    /// Returns an error for other schemes, and for URLs with a user name or password.
    pub fn new(url: &str) -> Result<Self, JwksError> {
        let url = parse(url)?;
        if url.scheme_str() != Some("https") {
            return Err(refused("the scheme is not https"));
        }
        Self::with_url(url)
    }

    /// Creates a client that also allows plain `http` to loopback addresses such as `127.0.0.1`.
    /// Over plain `http`, an attacker on the path could supply keys.
    ///
    /// # Errors
    /// As for [`new`](Self::new), and for plain `http` to other hosts.
    pub fn dangerous_plain_loopback(url: &str) -> Result<Self, JwksError> {
        let url = parse(url)?;
        let host = url.host().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        // Names could resolve to any address, including `localhost`.
        let loopback = address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        match url.scheme_str() {
            Some("https") => Self::with_url(url),
            Some("http") if loopback => Self::with_url(url),
            _ => Err(refused("plain http is limited to loopback addresses")),
        }
    }

    fn with_url(url: Uri) -> Result<Self, JwksError> {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(aws_lc_rs::default_provider())
            .map_err(|error| JwksError::new(JwksErrorKind::Transport, error))?
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self { url, client })
    }
}

impl JwksFetch for HttpFetch {
    fn name(&self) -> String {
        // Omits the query, which may contain a secret.
        let host = self.url.authority().map_or("", |host| host.as_str());
        format!("JWKS {host}{}", self.url.path())
    }

    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<Bytes, JwksError>> + Send + '_>> {
        Box::pin(async move {
            let request = Request::get(self.url.clone())
                .header(ACCEPT, "application/jwk-set+json, application/json")
                .body(Empty::new())
                .map_err(|error| JwksError::new(JwksErrorKind::Url, error))?;
            let response = self
                .client
                .request(request)
                .await
                .map_err(|error| JwksError::new(JwksErrorKind::Transport, error))?;
            if response.status() != StatusCode::OK {
                let status = format!("the response status is {}", response.status());
                return Err(JwksError::new(JwksErrorKind::Status, status));
            }
            let body = Limited::new(response.into_body(), MAX_SIZE).collect().await;
            body.map(|body| body.to_bytes()).map_err(|error| {
                let kind = match error.is::<LengthLimitError>() {
                    true => JwksErrorKind::TooLarge,
                    false => JwksErrorKind::Transport,
                };
                JwksError::new(kind, error)
            })
        })
    }
}

fn parse(url: &str) -> Result<Uri, JwksError> {
    let url: Uri = url
        .parse()
        .map_err(|error: http::uri::InvalidUri| JwksError::new(JwksErrorKind::Url, error))?;
    match url.authority() {
        None => Err(refused("the URL has no host")),
        Some(authority) if authority.as_str().contains('@') => Err(refused(
            "the URL has a user name or password, which would appear in logs",
        )),
        Some(_) => Ok(url),
    }
}

fn refused(why: &'static str) -> JwksError {
    JwksError::new(JwksErrorKind::Url, why)
}

impl fmt::Debug for HttpFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFetch")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_https_and_loopback_http_only() {
        for (url, plain, loopback) in [
            ("https://id.example.com/jwks.json", true, true),
            ("http://127.0.0.1:8080/jwks", false, true),
            ("http://[::1]/jwks", false, true),
            ("http://localhost/jwks", false, false),
            ("http://id.example.com/jwks", false, false),
            ("http://127.0.0.1.example.com/", false, false),
            ("https://user:secret@id.example.com/", false, false),
            ("file:///etc/passwd", false, false),
            ("/jwks", false, false),
            ("", false, false),
        ] {
            assert_eq!(HttpFetch::new(url).is_ok(), plain, "{url}");
            let open = HttpFetch::dangerous_plain_loopback(url);
            assert_eq!(open.is_ok(), loopback, "{url}");
        }
    }
}
