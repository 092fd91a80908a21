//! Response headers that make browsers treat API responses as data.

use std::time::Duration;

use http::{
    HeaderValue,
    header::{
        CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
        X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};
use tower_http::set_header::SetResponseHeader;
use tower_layer::Layer;

/// Adds security headers to responses that lack them.
///
/// | header | value |
/// |---|---|
/// | `X-Content-Type-Options` | `nosniff` |
/// | `X-Frame-Options` | `DENY` |
/// | `Content-Security-Policy` | `frame-ancestors 'none'` |
/// | `Referrer-Policy` | `no-referrer` |
/// | `Strict-Transport-Security` | only with [`hsts`](Self::hsts) |
///
/// A value that a handler sets is kept, so pages can have their own policy. Apply the layer
/// outside of the fence, so that refusals have the headers, too.
///
/// ```
/// use axum::{Router, body::Body, routing::get};
/// use http::Request;
/// use stockade::SecurityHeadersLayer;
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app: Router = Router::new()
///     .route("/", get(|| async { "hello" }))
///     .layer(SecurityHeadersLayer::new());
///
/// let response = app.oneshot(Request::get("/").body(Body::empty())?).await?;
/// assert_eq!(response.headers()["x-content-type-options"], "nosniff");
/// assert!(!response.headers().contains_key("strict-transport-security"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct SecurityHeadersLayer {
    hsts: Option<HeaderValue>,
}

impl SecurityHeadersLayer {
    /// Adds all headers except `Strict-Transport-Security`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also adds `Strict-Transport-Security` with this age: browsers then connect only over TLS.
    /// Use it only for servers that clients always reach over TLS. Zero disables it.
    pub fn hsts(mut self, max_age: Duration) -> Self {
        self.hsts = (!max_age.is_zero()).then(|| {
            let value = format!("max-age={}", max_age.as_secs());
            HeaderValue::try_from(value).expect("digits are visible ASCII")
        });
        self
    }
}

/// A service that sets one header.
type Set<S, V = HeaderValue> = SetResponseHeader<S, V>;

/// A service that adds security headers; created by [`SecurityHeadersLayer`].
pub type SecurityHeaders<S> = Set<Set<Set<Set<Set<S>>>>, Option<HeaderValue>>;

impl<S> Layer<S> for SecurityHeadersLayer {
    type Service = SecurityHeaders<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let of = HeaderValue::from_static;
        let inner = Set::if_not_present(inner, X_CONTENT_TYPE_OPTIONS, of("nosniff"));
        let inner = Set::if_not_present(inner, X_FRAME_OPTIONS, of("DENY"));
        let policy = of("frame-ancestors 'none'");
        let inner = Set::if_not_present(inner, CONTENT_SECURITY_POLICY, policy);
        let inner = Set::if_not_present(inner, REFERRER_POLICY, of("no-referrer"));
        Set::if_not_present(inner, STRICT_TRANSPORT_SECURITY, self.hsts.clone())
    }
}
