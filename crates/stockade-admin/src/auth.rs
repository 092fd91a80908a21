//! Login and authentication.
//!
//! 1. [`host`]: the host of a request must be allowed, which protects from DNS rebinding.
//! 2. Requests of other sites are refused by `Sec-Fetch-Site` and `Origin`.
//! 3. [`authenticate`]: a session cookie or a token makes an [`Actor`](crate::actor::Actor).
//! 4. The table of routes checks the permissions of the actor.

mod authenticate;
mod client;
mod cookie;
mod host;
mod known_networks;
mod login;
pub(crate) mod oidc;
mod password;
pub(crate) mod role;
pub(crate) mod session;
pub(crate) mod setup;
mod throttle;
pub(crate) mod token;
pub(crate) mod totp;
pub(crate) mod user;

use axum::{Router, middleware, response::IntoResponse as _};
use http::StatusCode;
use tower_http::csrf::{CsrfLayer, ProtectionError};

use crate::{error::ApiError, state::AdminState};

pub(crate) use client::Client;
pub(crate) use cookie::SessionCookie;
pub(crate) use login::{LoggedIn, Login, login, reauthenticate};
pub(crate) use password::{Lane, Password, Passwords};
pub(crate) use session::{NewSession, Session};
pub(crate) use throttle::Throttle;
pub(crate) use user::{User, UserView};

/// What logins share.
#[derive(Debug, Default)]
pub(crate) struct Auth {
    pub(crate) passwords: Passwords,
    pub(crate) throttle: Throttle,
}

/// Authenticates the requests of the API.
pub(crate) fn authenticated(api: Router, state: &AdminState) -> Router {
    let authenticate = authenticate::authenticate;
    api.layer(middleware::from_fn_with_state(state.clone(), authenticate))
}

/// Authenticates requests by a bearer credential only, never by a cookie.
pub(crate) fn authenticated_by_bearer(routes: Router, state: &AdminState) -> Router {
    let authenticate = authenticate::authenticate_bearer;
    routes.layer(middleware::from_fn_with_state(state.clone(), authenticate))
}

/// Refuses requests of other sites and to unknown hosts.
pub(crate) fn protected(router: Router, state: &AdminState) -> Router {
    let refuse = |_: ProtectionError| {
        let error = ApiError::new(
            StatusCode::FORBIDDEN,
            "CROSS_SITE",
            "the request comes from another site",
        );
        error.into_response()
    };
    router
        .layer(CsrfLayer::new().with_rejection_response(refuse))
        .layer(middleware::from_fn_with_state(state.clone(), host::check))
}
