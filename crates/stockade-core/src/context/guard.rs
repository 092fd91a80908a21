//! The outermost guard: resolves the client's address and answers with the request's id.

use std::fmt;

use http::{Extensions, HeaderMap, HeaderName, StatusCode};
use tower_layer::Layer;

use crate::{
    client::{ClientIp, PeerAddr, TrustedProxies},
    context::RequestId,
    guard::{Check, Guard, GuardLayer, Guarded, Head, NoWait, ResponseHook},
    refusal::{Refusal, Responder},
};

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Resolves the client's address by the rules of [`TrustedProxies`], and answers with
/// `X-Request-Id`.
///
/// Put it outermost. Without it the client is the socket's peer, and responses have no id.
///
/// ```
/// use std::{convert::Infallible, net::SocketAddr};
///
/// use bytes::Bytes;
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use stockade_core::{
///     client::PeerAddr,
///     context::{ContextLayer, RequestContext},
/// };
/// use tower::{ServiceBuilder, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let service = ServiceBuilder::new()
///     .layer(ContextLayer::new())
///     .service_fn(|request: Request<Full<Bytes>>| async move {
///         let client = RequestContext::of(request.extensions()).unwrap().client();
///         let client = client.map(|client| client.to_string()).unwrap_or_default();
///         Ok::<_, Infallible>(Response::new(Full::new(client.into())))
///     });
///
/// let peer = PeerAddr::from(SocketAddr::from(([203, 0, 113, 7], 4711)));
/// let known = Request::builder().extension(peer).body(Full::default()).unwrap();
/// let response = service.clone().oneshot(known).await.unwrap();
/// assert_eq!(response.status(), StatusCode::OK);
/// assert!(response.headers().contains_key("x-request-id"));
///
/// // Without a peer address the server is set up incorrectly.
/// let unknown = Request::new(Full::default());
/// let response = service.oneshot(unknown).await.unwrap();
/// assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
/// # }
/// ```
#[derive(Clone)]
pub struct ContextGuard {
    proxies: TrustedProxies,
    peer: fn(&Extensions) -> Option<PeerAddr>,
}

impl ContextGuard {
    /// Takes the peer from a [`PeerAddr`] in the extensions, and trusts no proxy.
    pub fn new() -> Self {
        Self {
            proxies: TrustedProxies::default(),
            peer: |extensions| extensions.get().copied(),
        }
    }

    /// Trusts these proxies to name their client.
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// Takes the peer from somewhere else, such as axum's `ConnectInfo<SocketAddr>`.
    pub fn peer(mut self, peer: fn(&Extensions) -> Option<PeerAddr>) -> Self {
        self.peer = peer;
        self
    }
}

impl Default for ContextGuard {
    fn default() -> Self {
        Self::new()
    }
}

/// The remedy for a request without a peer address, for each server.
const NO_PEER: &str = "no peer address. axum: serve with \
    `app.into_make_service_with_connect_info::<SocketAddr>()`; a fence reads it by itself, and a \
    `ContextLayer` with `.peer(…)`. tonic: read `TcpConnectInfo` with `.peer(…)`. hyper: insert a `PeerAddr` into \
    `request.extensions_mut()` for each connection";

impl Guard for ContextGuard {
    const NAME: &'static str = "context";
    type Pass = ClientIp;
    type Hook = RequestIdHeader;
    type Wait = NoWait;

    fn check(&self, head: &Head) -> Check<ClientIp, Self::Wait> {
        match (self.peer)(&head.extensions) {
            Some(peer) => Check::Pass(self.proxies.resolve(peer, &head.headers)),
            None => Check::Refuse(Refusal::not_configured(NO_PEER)),
        }
    }

    fn admit(&self, client: ClientIp, head: &mut Head) -> RequestIdHeader {
        RequestIdHeader(head.context_of_client(client).id())
    }
}

/// The tower layer of a [`ContextGuard`], with its options.
///
/// ```
/// use stockade_core::{
///     client::{ForwardingHeader, TrustedProxies},
///     context::ContextLayer,
/// };
///
/// let proxies = TrustedProxies::new(ForwardingHeader::XForwardedFor, ["10.0.0.0/8".parse()?]);
/// let layer = ContextLayer::new().trusted_proxies(proxies);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ContextLayer(GuardLayer<ContextGuard>);

impl ContextLayer {
    /// A layer with the options of [`ContextGuard::new`].
    pub fn new() -> Self {
        Self::from(ContextGuard::new())
    }

    /// See [`ContextGuard::trusted_proxies`].
    pub fn trusted_proxies(self, proxies: TrustedProxies) -> Self {
        Self(self.0.map(|guard| guard.trusted_proxies(proxies)))
    }

    /// See [`ContextGuard::peer`].
    pub fn peer(self, peer: fn(&Extensions) -> Option<PeerAddr>) -> Self {
        Self(self.0.map(|guard| guard.peer(peer)))
    }

    /// Answers refusals with this responder.
    pub fn responder(self, responder: Responder) -> Self {
        Self(self.0.responder(responder))
    }
}

impl From<ContextGuard> for ContextLayer {
    fn from(guard: ContextGuard) -> Self {
        Self(GuardLayer::new(guard))
    }
}

impl<S> Layer<S> for ContextLayer {
    type Service = Guarded<S, ContextGuard>;

    fn layer(&self, inner: S) -> Self::Service {
        self.0.layer(inner)
    }
}

impl fmt::Debug for ContextGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextGuard")
            .field("proxies", &self.proxies)
            .finish_non_exhaustive()
    }
}

/// Puts the request's id on its response.
#[derive(Debug)]
pub struct RequestIdHeader(RequestId);

impl ResponseHook for RequestIdHeader {
    const UNTIL_BODY_END: bool = false;

    fn on_response(&mut self, _status: StatusCode, headers: &mut HeaderMap) {
        headers.insert(&X_REQUEST_ID, self.0.into());
    }
}
