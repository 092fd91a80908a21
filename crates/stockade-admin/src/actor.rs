//! Who makes a request.

use axum::extract::FromRequestParts;
use http::{StatusCode, request::Parts};
use stockade_core::{
    client::ClientIp,
    context::{RequestContext, RequestId},
};

use crate::{
    Permission, Permissions,
    error::{ApiError, ApiResult},
};

/// An authenticated user, or a token of a user. The authentication layer adds it to the
/// extensions of a request.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) user_id: String,
    /// The name for audit records.
    pub(crate) name: String,
    pub(crate) permissions: Permissions,
    pub(crate) credential: ActorCredential,
    pub(crate) client: Option<ClientIp>,
    pub(crate) request: Option<RequestId>,
}

/// What an actor was authenticated by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ActorCredential {
    /// A session of a browser, by its id.
    Session(String),
    /// A token for automation, by its id.
    Token(String),
}

/// The extension of a request with a session, but without its CSRF token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CsrfTokenMissing;

impl Actor {
    /// The id of the session.
    ///
    /// # Errors
    /// Returns an error for tokens.
    pub(crate) fn session_id(&self) -> ApiResult<&str> {
        match &self.credential {
            ActorCredential::Session(id) => Ok(id),
            ActorCredential::Token(_) => Err(ApiError::forbidden(
                "this needs a login; tokens cannot do it",
            )),
        }
    }

    /// # Errors
    /// Returns an error if the actor does not have this permission.
    pub(crate) fn require(&self, permission: Permission) -> ApiResult<()> {
        self.require_all([permission].into_iter().collect())
    }

    /// # Errors
    /// Returns an error that lists the permissions which the actor does not have: actors cannot
    /// grant what they do not have.
    pub(crate) fn require_all(&self, permissions: Permissions) -> ApiResult<()> {
        let missing = permissions.difference(self.permissions);
        match missing == Permissions::default() {
            true => Ok(()),
            false => Err(ApiError::forbidden(format!(
                "this needs the permission {missing}, which {} does not have",
                self.name
            ))),
        }
    }
}

impl<S> FromRequestParts<S> for Actor
where
    S: Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        let actor = parts.extensions.get::<Self>().cloned();
        let context = RequestContext::of(&parts.extensions);
        let mut actor = actor.ok_or_else(|| match parts.extensions.get::<CsrfTokenMissing>() {
            Some(CsrfTokenMissing) => ApiError::new(
                StatusCode::FORBIDDEN,
                "CSRF_TOKEN",
                "the header x-csrf-token is missing or wrong",
            ),
            None => ApiError::unauthenticated("log in first"),
        })?;
        actor.client = context.and_then(RequestContext::client);
        actor.request = context.map(RequestContext::id);
        Ok(actor)
    }
}
