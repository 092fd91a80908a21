//! The web page: its files, which are part of the program, and their headers.
//!
//! 1. The paths are those of a fixed table. No path of the file system is ever built from a
//!    request.
//! 2. The page has no query parameters: requests with a query are refused, so that a link such as
//!    `?next=//evil.example` has no effect anywhere.
//! 3. The content security policy allows neither inline code nor other origins, except that of
//!    the gateway, which the playground calls.

mod files;

use axum::{
    Router,
    extract::{Path, Request},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode, Uri,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
        X_CONTENT_TYPE_OPTIONS,
    },
};

use files::File;

/// The routes of the page under `/admin`. `gateway` is the URL that the playground calls.
pub(crate) fn router<S>(gateway: Option<&str>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let policy = policy(gateway);
    let secure = move |request: Request, next: Next| secure(policy.clone(), request, next);
    Router::new()
        .route("/admin", get(async || Redirect::permanent("/admin/")))
        .route("/admin/", get(async || page()))
        .route("/admin/{*path}", get(file))
        .layer(middleware::from_fn(secure))
}

/// Adds the security headers, and refuses queries.
async fn secure(policy: HeaderValue, request: Request, next: Next) -> Response {
    let mut response = match request.uri().query() {
        None => next.run(request).await,
        Some(_) => (StatusCode::BAD_REQUEST, "the page has no parameters").into_response(),
    };
    let fields = [
        (CONTENT_SECURITY_POLICY, policy),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ];
    response.headers_mut().extend(fields);
    response
}

/// The page itself is never stored, so that the browser's history shows nothing after a logout.
fn page() -> Response {
    let fields = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    (fields, files::INDEX).into_response()
}

async fn file(Path(path): Path<String>, headers: HeaderMap) -> Response {
    let Some(file) = files::find(&path) else {
        return (StatusCode::NOT_FOUND, "no such file").into_response();
    };
    let fields = [
        (CONTENT_TYPE, HeaderValue::from_static(file.content_type)),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (ETAG, file.etag.clone()),
    ];
    match is_current(&headers, file) {
        true => (StatusCode::NOT_MODIFIED, fields).into_response(),
        false => (fields, file.content).into_response(),
    }
}

/// Whether the browser has this version already (RFC 9110, section 13.1.2).
fn is_current(headers: &HeaderMap, file: &File) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter();
    let mut tags = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"));
    tags.any(|tag| tag == "*" || file.etag == tag)
}

/// `require-trusted-types-for` makes browsers refuse `innerHTML` and its like.
fn policy(gateway: Option<&str>) -> HeaderValue {
    let origin = gateway.and_then(origin).map(|origin| format!(" {origin}"));
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
         connect-src 'self'{}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        origin.unwrap_or_default()
    );
    HeaderValue::try_from(policy).expect("an origin is visible ASCII")
}

/// The origin of a URL: its scheme, host and port. `None` for other schemes than HTTP, and for
/// hosts with characters that separate the parts of a policy.
fn origin(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri
        .scheme_str()
        .filter(|it| matches!(*it, "http" | "https"))?;
    let host = uri.host()?;
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    if !host.chars().all(is_host) {
        return None;
    }
    let port = uri.port_u16().map(|port| format!(":{port}"));
    Some(format!("{scheme}://{host}{}", port.unwrap_or_default()))
}

#[cfg(test)]
mod tests;
