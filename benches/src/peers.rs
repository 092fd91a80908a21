//! What people use for the same jobs today, put around the router once.

use std::time::Duration;

use axum::{Router, body::Body};
use bytes::Bytes;
use governor::middleware::StateInformationMiddleware;
use http::{
    HeaderName, Request, StatusCode,
    header::{AUTHORIZATION, COOKIE},
};
use http_body_util::Full;
use tower::{Layer, ServiceBuilder};
use tower_governor::{
    GovernorLayer, governor::GovernorConfigBuilder, key_extractor::PeerIpKeyExtractor,
};
use tower_http::{
    limit::RequestBodyLimitLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    sensitive_headers::SetSensitiveRequestHeadersLayer,
    trace::TraceLayer,
    validate_request::ValidateRequestHeaderLayer,
};

use crate::{Stack, stack::exchange, stacks::router};

/// One shared bearer token, by tower-http.
pub const BEARER: &str = "Router + bearer";
/// A limit by address with headers, by tower_governor.
pub const GOVERNOR: &str = "Router + tower_governor + headers";
/// The same limit, reached.
pub const GOVERNOR_REFUSED: &str = "Router + tower_governor + headers, 429";
/// Both of them: what a careful person puts before a model today.
pub const BEARER_GOVERNOR: &str = "Router + bearer + tower_governor + headers";
/// Both, and what else tower-http has for an API: traces, request ids, a body limit,
/// sensitive headers.
pub const TOWER_HTTP_SET: &str = "Router + bearer + tower_governor + tower-http set";

/// The peers' stacks.
pub(crate) fn peers(
    key: &str,
    good: impl Fn() -> Request<Full<Bytes>> + Clone + Send + 'static,
) -> Vec<Stack> {
    const BODY_LIMIT: usize = 20 * 1024 * 1024;
    let ok = StatusCode::OK;
    let id = HeaderName::from_static("x-request-id");
    let set = ServiceBuilder::new()
        .layer(SetSensitiveRequestHeadersLayer::new([
            AUTHORIZATION,
            COOKIE,
        ]))
        .layer(SetRequestIdLayer::new(id.clone(), MakeRequestUuid))
        .layer(TraceLayer::new_for_http())
        .layer(PropagateRequestIdLayer::new(id))
        .layer(RequestBodyLimitLayer::new(BODY_LIMIT));
    vec![
        Stack::service(BEARER, bearer(key).layer(router()), good.clone(), ok),
        Stack::service(GOVERNOR, governor().layer(router()), good.clone(), ok),
        Stack::service(
            BEARER_GOVERNOR,
            governor().layer(bearer(key).layer(router())),
            good.clone(),
            ok,
        ),
        Stack::service(
            TOWER_HTTP_SET,
            set.service(governor().layer(bearer(key).layer(router()))),
            good.clone(),
            ok,
        ),
        Stack::service(
            GOVERNOR_REFUSED,
            exhausted(&good).layer(router()),
            good,
            StatusCode::TOO_MANY_REQUESTS,
        ),
    ]
}

/// Bearer and governor around the router, put on once with `Router::layer`.
pub fn bearer_governor_router(key: &str) -> Router {
    let both = ServiceBuilder::new().layer(governor());
    router().layer(both.layer(bearer(key)))
}

#[expect(deprecated, reason = "it is what people use")]
pub(crate) fn bearer(
    key: &str,
) -> ValidateRequestHeaderLayer<tower_http::auth::require_authorization::Bearer<Body>> {
    ValidateRequestHeaderLayer::bearer(key)
}

pub(crate) type Governor = GovernorLayer<PeerIpKeyExtractor, StateInformationMiddleware, Body>;

/// A limit by the peer's address that nobody reaches.
pub(crate) fn governor() -> Governor {
    // The product of both has to be less than 2^64 nanoseconds.
    limit(Duration::from_millis(1), 1_000_000_000)
}

/// A limit by the peer's address: so many at once, and one more each period.
fn limit(period: Duration, burst: u32) -> Governor {
    let config = GovernorConfigBuilder::default()
        .period(period)
        .burst_size(burst)
        .use_headers()
        .finish();
    GovernorLayer::new(config.expect("neither is zero"))
}

/// A limit that this request has used up.
fn exhausted(request: &impl Fn() -> Request<Full<Bytes>>) -> Governor {
    let layer = limit(Duration::from_secs(3_600), 1);
    exchange(layer.layer(router()), request());
    layer
}
