//! Stacks that two clients use at once.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use tower::{Layer, Service};

use crate::{
    BEARER_GOVERNOR, FENCE, Keys, ROUTER, Settings, Stack, WholeFence,
    peers::{bearer, governor},
    request::{copies, request, request_from},
    stacks::router,
};

/// Where the second client's requests come from.
const SECOND: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 9)), 50_000);

/// The router, what people put before it, and the whole fence: each of them once for each
/// client, with its own address, and behind the fence with its own key.
pub fn two_clients() -> Vec<[Stack; 2]> {
    let keys = Keys::new(2);
    let fence = Arc::new(WholeFence::new(&keys, Settings::default()));
    let one_key = [request(keys.known()), request_from(SECOND, keys.known())];
    let two_keys = [request(keys.known()), request_from(SECOND, keys.second())];
    let peers = governor().layer(bearer(keys.known()).layer(router()));
    let behind = |stack: Stack| stack.behind(fence.clone());
    vec![
        pair(ROUTER, router(), one_key.clone()),
        pair(BEARER_GOVERNOR, peers, one_key),
        pair(FENCE, fence.around(), two_keys).map(behind),
    ]
}

fn pair<S, B>(name: &'static str, service: S, requests: [Request<Full<Bytes>>; 2]) -> [Stack; 2]
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    B: Body,
{
    requests.map(|request| Stack::service(name, service.clone(), copies(request), StatusCode::OK))
}
