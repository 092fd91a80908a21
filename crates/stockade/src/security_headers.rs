//! Response headers that tell browsers to treat an API's answers as data.

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

/// Adds security headers to every response that does not have them yet.
///
/// | header | value |
/// |---|---|
/// | `X-Content-Type-Options` | `nosniff` |
/// | `X-Frame-Options` | `DENY` |
/// | `Content-Security-Policy` | `frame-ancestors 'none'` |
/// | `Referrer-Policy` | `no-referrer` |
/// | `Strict-Transport-Security` | only with [`hsts`](Self::hsts) |
///
/// A handler that sets one of them keeps its own value, so pages can have a policy of their
/// own. Put it outside of the fence, so that refusals have them, too.
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
    /// All headers but `Strict-Transport-Security`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also sends `Strict-Transport-Security` with this age: browsers then come back over TLS
    /// only. For servers that clients reach over TLS and nothing else. Zero does not send it.
    pub fn hsts(mut self, max_age: Duration) -> Self {
        self.hsts = (!max_age.is_zero()).then(|| {
            let value = format!("max-age={}", max_age.as_secs());
            HeaderValue::try_from(value).expect("digits are visible ASCII")
        });
        self
    }
}

/// One header.
type Set<S, V = HeaderValue> = SetResponseHeader<S, V>;

/// A service whose responses have security headers; made by [`SecurityHeadersLayer`].
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
