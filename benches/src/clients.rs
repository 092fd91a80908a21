//! Stacks that two clients use concurrently.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use http::StatusCode;
use tower::Layer;

use crate::{
    FENCE, Keys, ROUTER, Settings, Stack, WholeFence,
    request::{request, request_from},
    routers::router,
};

/// The second client's address.
const SECOND: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 9)), 50_000);

/// The router and the whole fence, each once for each client, who have different addresses
/// and, for the fence, different keys.
pub fn two_clients() -> [[Stack; 2]; 2] {
    let keys = Keys::new(2);
    let fence = Arc::new(WholeFence::new(&keys, Settings::default()));
    let requests = || [request(keys.known()), request_from(SECOND, keys.second())];
    let (bare, fenced) = (router(), fence.layer().layer(router()));
    let ok = StatusCode::OK;
    [
        requests().map(|request| Stack::service(ROUTER, bare.clone(), request, ok)),
        requests().map(|request| {
            Stack::service(FENCE, fenced.clone(), request, ok).behind(Arc::clone(&fence))
        }),
    ]
}
