//! The client of a request.

use std::{convert::Infallible, net::SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use http::{Extensions, header::USER_AGENT, request::Parts};
use stockade_core::{
    client::{ClientBucket, ClientIp, PeerAddr},
    context::{RequestContext, RequestId},
};

/// IPv6 clients own whole networks.
const V6_LENGTH: u8 = 64;
/// Longer user agents are cut.
const MAX_USER_AGENT: usize = 256;

/// Who sends a request, authenticated or not.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) ip: Option<ClientIp>,
    pub(crate) request: Option<RequestId>,
    pub(crate) user_agent: Option<String>,
}

impl Client {
    /// The network that attempts are counted by; all clients with an unknown address share one.
    pub(super) fn network(&self) -> Option<ClientBucket> {
        self.ip.map(|ip| ip.bucket(V6_LENGTH))
    }
}

/// Makes sure that the request has a context with the client's address.
pub(super) fn identify(extensions: &mut Extensions) {
    let peer = extensions
        .get()
        .map(|ConnectInfo(address): &ConnectInfo<SocketAddr>| PeerAddr::from(*address));
    let context = RequestContext::get_or_insert(extensions);
    if let (None, Some(peer)) = (context.client(), peer) {
        context.set_client(peer.into());
    }
}

impl<S> FromRequestParts<S> for Client
where
    S: Sync,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let context = RequestContext::of(&parts.extensions);
        let user_agent = parts.headers.get(USER_AGENT);
        let user_agent = user_agent.map(|value| String::from_utf8_lossy(value.as_bytes()));
        Ok(Self {
            ip: context.and_then(RequestContext::client),
            request: context.map(RequestContext::id),
            user_agent: user_agent.map(|text| text.chars().take(MAX_USER_AGENT).collect()),
        })
    }
}
