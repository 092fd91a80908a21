//! Authentication of requests.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use ctutils::CtEq as _;
use http::{HeaderMap, Method, header::AUTHORIZATION};

use super::{SessionCookie, client, session, session::Lifetime, token, user};
use crate::{
    actor::{Actor, ActorCredential, CsrfTokenMissing},
    compat::inferno,
    error::{ApiError, ApiResult},
    state::AdminState,
};

/// The header with the CSRF token of the session.
const CSRF_TOKEN: &str = "x-csrf-token";

/// Adds the [`Actor`] to the extensions of a request with a valid credential. The table of routes
/// refuses the others.
pub(super) async fn authenticate(
    State(state): State<AdminState>,
    request: Request,
    next: Next,
) -> ApiResult<Response> {
    let (mut parts, body) = request.into_parts();
    client::identify(&mut parts.extensions);
    let now = state.now();
    if parts.headers.contains_key(AUTHORIZATION) {
        if let Some(secret) = bearer(&parts.headers)?
            && let Some(actor) = by_token(&state, secret, now).await?
        {
            parts.extensions.insert(actor);
        }
    } else if let Some(secret) = SessionCookie::of(&parts).value() {
        let lifetime = Lifetime::of(&state.0.config);
        let session = session::find(secret, lifetime, now, state.database().pool()).await?;
        if let Some(session) = session {
            if !is_safe(&parts.method) && !has_csrf_token(&parts.headers, &session.csrf) {
                parts.extensions.insert(CsrfTokenMissing);
            } else if let Some(actor) = by_session(&state, &session).await? {
                parts.extensions.insert(actor);
                parts.extensions.insert(session);
            }
        }
    }
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// Adds the [`Actor`] to the extensions of a request with a valid token, or a valid access token of
/// a session. Cookies have no effect.
pub(super) async fn authenticate_bearer(
    State(state): State<AdminState>,
    request: Request,
    next: Next,
) -> ApiResult<Response> {
    let (mut parts, body) = request.into_parts();
    client::identify(&mut parts.extensions);
    let now = state.now();
    if let Some(secret) = bearer(&parts.headers)? {
        let actor = match inferno::find_session(&state, secret, now).await? {
            Some(session) => by_session(&state, &session).await?,
            None => by_token(&state, secret, now).await?,
        };
        if let Some(actor) = actor {
            parts.extensions.insert(actor);
        }
    }
    Ok(next.run(Request::from_parts(parts, body)).await)
}

async fn by_session(state: &AdminState, session: &session::Session) -> ApiResult<Option<Actor>> {
    let credential = ActorCredential::Session(session.id.clone());
    let mut connection = state.database().pool().acquire().await?;
    let user = user::by_id(&session.user_id, &mut connection).await?;
    let user = user.filter(|user| !user.disabled);
    Ok(user.map(|user| Actor {
        user_id: user.id,
        name: user.name,
        permissions: user.permissions,
        credential,
        client: None,
        request: None,
    }))
}

/// The bearer credential of a request, if there is one.
///
/// # Errors
/// When there are several `Authorization` headers.
fn bearer(headers: &HeaderMap) -> ApiResult<Option<&str>> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (value, None) => value,
        _ => return Err(ApiError::unauthenticated("send one Authorization header")),
    };
    let value = value.and_then(|value| value.to_str().ok());
    let value = value.and_then(|value| value.split_once(' '));
    let value = value.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    Ok(value.map(|(_, secret)| secret))
}

async fn by_token(state: &AdminState, secret: &str, now: i64) -> ApiResult<Option<Actor>> {
    if !secret.starts_with(token::PREFIX) {
        return Ok(None);
    }
    let pool = state.database().pool();
    let Some(token) = token::find(secret, now, pool).await? else {
        return Ok(None);
    };
    let mut connection = pool.acquire().await?;
    let user = user::by_id(&token.user_id, &mut connection).await?;
    let user = user.filter(|user| !user.disabled);
    Ok(user.map(|user| Actor {
        user_id: user.id,
        name: user.name,
        permissions: token.permissions.intersection(user.permissions),
        credential: ActorCredential::Token(token.id),
        client: None,
        request: None,
    }))
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn has_csrf_token(headers: &HeaderMap, expected: &str) -> bool {
    let token = headers.get(CSRF_TOKEN);
    token.is_some_and(|token| token.as_bytes().ct_eq(expected.as_bytes()).into())
}
