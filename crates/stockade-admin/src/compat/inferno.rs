//! Inferno: logins with access tokens (JWT) and refresh tokens, and API keys, under `/api/v1/auth`.
//!
//! 1. [`login`]: the login of the API, with its throttle and one-time codes. It starts a session, as
//!    the page has them, but without a cookie.
//! 2. [`access_token`]: a JWT for 15 minutes, which is valid only as long as its session: it ends
//!    with a logout, a new password, and a user who is disabled.
//! 3. [`bearer`]: the session of the tokens. A refresh token works once; using it again ends the
//!    session, because one of the two clients has stolen it.
//! 4. [`api_keys`]: keys of the guarded API and tokens for automation, by the names of
//!    [`permissions`].

mod access_token;
mod api_keys;
mod bearer;
mod login;
mod permissions;

use http::Method;

use crate::{
    Permission,
    api::routes::{Access, Routes},
    auth::{
        Session,
        session::{self, Lifetime},
    },
    error::ApiResult,
    state::AdminState,
};

pub(crate) use access_token::AccessTokens;

pub(super) fn routes() -> Routes {
    Routes::default()
        .undescribed(Method::POST, "/login", Access::Public, login::login)
        .undescribed(Method::POST, "/refresh", Access::Public, login::refresh)
        .undescribed(
            Method::POST,
            "/logout",
            Access::Authenticated,
            login::logout,
        )
        .undescribed(
            Method::GET,
            "/api-keys",
            Permission::KeysRead,
            api_keys::list,
        )
        // These depend on what is created or deleted.
        .undescribed(
            Method::POST,
            "/api-keys",
            Access::Authenticated,
            api_keys::create,
        )
        .undescribed(
            Method::DELETE,
            "/api-keys/{id}",
            Access::Authenticated,
            api_keys::delete,
        )
}

/// The session of an access token, if neither has ended; it is used now. `None` for other
/// credentials.
pub(crate) async fn find_session(
    state: &AdminState,
    token: &str,
    now: i64,
) -> ApiResult<Option<Session>> {
    let tokens = state.0.access_tokens.as_ref();
    let Some(secret) = tokens.and_then(|tokens| tokens.verify(token, now)) else {
        return Ok(None);
    };
    let pool = state.database().pool();
    let Some(bearer) = bearer::find(&secret, pool).await? else {
        return Ok(None);
    };
    let lifetime = Lifetime::of(&state.0.config);
    Ok(session::find_by_id(&bearer.session_id, lifetime, now, pool).await?)
}
