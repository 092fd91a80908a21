//! Integration with axum.

use std::{convert::Infallible, fmt, net::SocketAddr, ops::Deref};

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, OptionalFromRequestParts};
use http::{Extensions, StatusCode, request::Parts};
use stockade_core::{client::PeerAddr, context::RequestContext, identity::Principal};

/// The peer from the extension [`PeerAddr`], or from axum's
/// `into_make_service_with_connect_info::<SocketAddr>()`.
pub(crate) fn peer(extensions: &Extensions) -> Option<PeerAddr> {
    if let Some(peer) = extensions.get() {
        return Some(*peer);
    }
    let ConnectInfo(peer) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(PeerAddr::from(*peer))
}

pub(crate) fn route(extensions: &Extensions) -> Option<&str> {
    extensions.get().map(MatchedPath::as_str)
}

/// Extracts the principal of an authenticated request. For other facts about the request,
/// extract [`RequestContext`] with axum's `Extension`.
///
/// ```
/// use stockade::Authenticated;
///
/// async fn hello(Authenticated(principal): Authenticated) -> String {
///     format!("hello, {}", principal.id())
/// }
///
/// async fn whoami(principal: Option<Authenticated>) -> String {
///     principal.map_or("anonymous".to_owned(), |principal| principal.id().to_owned())
/// }
/// # let _: axum::Router = axum::Router::new()
/// #     .route("/hello", axum::routing::get(hello))
/// #     .route("/whoami", axum::routing::get(whoami));
/// ```
pub struct Authenticated(
    /// The principal.
    pub Principal,
);

impl Authenticated {
    fn of(head: &Parts) -> Option<Self> {
        let context = RequestContext::of(&head.extensions)?;
        context.principal().cloned().map(Self)
    }
}

impl Deref for Authenticated {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.0
    }
}

impl<S> FromRequestParts<S> for Authenticated
where
    S: Sync,
{
    type Rejection = StatusCode;

    /// Rejects an unauthenticated request with status 401. On routes that are not public, the
    /// scope guard has refused it already.
    async fn from_request_parts(head: &mut Parts, _state: &S) -> Result<Self, StatusCode> {
        Self::of(head).ok_or(StatusCode::UNAUTHORIZED)
    }
}

impl<S> OptionalFromRequestParts<S> for Authenticated
where
    S: Sync,
{
    type Rejection = Infallible;

    async fn from_request_parts(head: &mut Parts, _state: &S) -> Result<Option<Self>, Infallible> {
        Ok(Self::of(head))
    }
}

impl fmt::Debug for Authenticated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authenticated").field(&self.0).finish()
    }
}
