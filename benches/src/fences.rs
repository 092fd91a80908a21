//! Limits, bans, and the whole fence.

use std::{net::SocketAddr, sync::Arc};

use axum::extract::ConnectInfo;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use stockade_abuse::{AbuseGuard, AbusePolicy, Detector};
use stockade_core::{
    client::PeerAddr,
    context::ContextGuard,
    guard::{Guard, GuardLayer},
};
use stockade_rate_limit::{KeyExtractor, Limit, Limits, Quota, RateLimit};
use tower::Layer;

use crate::{
    Keys, Settings, Stack, WholeFence,
    keys::generated,
    request::{copies, request},
    stack::exchange,
    stacks::router,
};

/// A limit by address with one quota and its headers, behind a context.
pub const RATE_LIMIT: &str = "Router + context + rate limit";
/// The same limit, reached.
pub const RATE_LIMIT_REFUSED: &str = "Router + context + rate limit, 429";
/// Bans and offences, for a client that never offended.
pub const ABUSE: &str = "Router + context + abuse";
/// [`WholeFence`].
pub const FENCE: &str = "Router + whole fence";
/// All of it, with the records chained.
pub const FENCE_CHAINED: &str = "Router + whole fence, chained records";
/// All of it, and a well-formed key that nobody was given.
pub const FENCE_REFUSED: &str = "Router + whole fence, 401";
/// All of it, and a limit by address that was reached.
pub const FENCE_LIMITED: &str = "Router + whole fence, 429";
/// All of it, put on with `Router::layer`, which boxes, and lets it know the route.
pub const BOXED_FENCE: &str = "`Router::layer`(whole fence)";

/// The stacks of limits and bans alone.
pub(crate) fn limits_and_bans(
    good: impl Fn() -> Request<Full<Bytes>> + Clone + Send + 'static,
) -> Vec<Stack> {
    let ok = StatusCode::OK;
    let limited = |count| {
        let limit = Limit::new("ip", KeyExtractor::client_ip()).quota(Quota::per_day(count));
        RateLimit::new(Limits::new([limit]).expect("one limit")).into_layer()
    };
    let reached = limited(1);
    exchange(context().layer(reached.layer(router())), good());
    let detector = Detector::new(AbusePolicy::new());
    vec![
        Stack::service(
            RATE_LIMIT,
            context().layer(limited(100_000_000).layer(router())),
            good.clone(),
            ok,
        ),
        Stack::service(
            RATE_LIMIT_REFUSED,
            context().layer(reached.layer(router())),
            good.clone(),
            StatusCode::TOO_MANY_REQUESTS,
        ),
        Stack::service(
            ABUSE,
            context().layer(AbuseGuard::new(detector).into_layer().layer(router())),
            good,
            ok,
        ),
    ]
}

/// The stacks of the whole fence.
pub(crate) fn fences(keys: &Keys) -> Vec<Stack> {
    let ok = StatusCode::OK;
    let good = copies(request(keys.known()));
    let stale = copies(request(generated("stranger").expose()));
    let fence = |settings| Arc::new(WholeFence::new(keys, settings));
    let plain = fence(Settings::default());
    let chained = fence(Settings {
        audit: "key_file = \"audit.key\"\n",
        ..Settings::default()
    });
    let limited = fence(Settings {
        by_ip: "1/day",
        ..Settings::default()
    });
    exchange(limited.around(), good());
    let boxed = router().layer(plain.layer());
    vec![
        Stack::service(FENCE, plain.around(), good.clone(), ok).behind(plain.clone()),
        Stack::service(FENCE_CHAINED, chained.around(), good.clone(), ok).behind(chained),
        Stack::service(
            FENCE_REFUSED,
            plain.around(),
            stale,
            StatusCode::UNAUTHORIZED,
        )
        .behind(plain.clone()),
        Stack::service(
            FENCE_LIMITED,
            limited.around(),
            good.clone(),
            StatusCode::TOO_MANY_REQUESTS,
        )
        .behind(limited),
        Stack::service(BOXED_FENCE, boxed, good, ok).behind(plain),
    ]
}

/// The context of a request, from the peer that axum found.
pub fn context() -> GuardLayer<ContextGuard> {
    ContextGuard::new()
        .peer(|extensions| {
            let ConnectInfo(peer) = extensions.get::<ConnectInfo<SocketAddr>>()?;
            Some(PeerAddr::from(*peer))
        })
        .into_layer()
}
