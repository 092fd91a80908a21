//! Login, logout and sessions.

use axum::{Extension, Json, extract::State, response::NoContent};
use http::HeaderValue;
use serde::Serialize;
use stockade_audit::{EventKind, SecurityEvent};
use utoipa::ToSchema;

use super::{
    answer::WithCookie,
    json::{ApiJson, ApiPath},
    routes::{Access, Routes},
};
use crate::{
    actor::Actor,
    auth::{self, Client, LoggedIn, Login, Session, SessionCookie, UserView, session, user},
    error::{ApiError, ApiResult},
    page::Page,
    state::AdminState,
    time::rfc3339,
};

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .post("/session", Access::Public, login)
        .get("/session", Access::Authenticated, current)
        .delete("/session", Access::Authenticated, logout)
        .get("/sessions", Access::Authenticated, list)
        .delete("/sessions", Access::Authenticated, end_others)
        .delete("/sessions/{id}", Access::Authenticated, end)
}

/// The session of the actor.
#[derive(Serialize, ToSchema)]
pub(super) struct CurrentSession {
    user: UserView,
    /// For the header `x-csrf-token` of all changes.
    csrf_token: String,
    expires_at: String,
}

/// A session of the actor, as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
struct SessionView {
    id: String,
    created_at: String,
    last_used_at: String,
    expires_at: String,
    /// The address at the login.
    client: Option<String>,
    user_agent: Option<String>,
    current: bool,
}

async fn login(
    State(state): State<AdminState>,
    client: Client,
    cookie: SessionCookie,
    ApiJson(body): ApiJson<Login>,
) -> ApiResult<WithCookie<Json<CurrentSession>>> {
    let result = auth::login(&state, &client, &body, cookie.value()).await?;
    Ok(WithCookie {
        cookie: set_cookie(&state, &cookie, &result),
        response: Json(CurrentSession::new(
            result.user.view(),
            &result.session.session,
        )),
    })
}

/// The cookie of a login.
pub(super) fn set_cookie(
    state: &AdminState,
    cookie: &SessionCookie,
    result: &LoggedIn,
) -> HeaderValue {
    let lifetime = session::Lifetime::of(&state.0.config);
    cookie.set(&result.session.secret, lifetime.max())
}

impl CurrentSession {
    pub(super) fn new(user: UserView, session: &Session) -> Self {
        Self {
            user,
            csrf_token: session.csrf.clone(),
            expires_at: rfc3339(session.expires),
        }
    }
}

async fn current(
    State(state): State<AdminState>,
    actor: Actor,
    session: Option<Extension<Session>>,
) -> ApiResult<Json<CurrentSession>> {
    actor.session_id()?;
    let Extension(session) = session.ok_or_else(|| ApiError::unauthenticated("log in first"))?;
    let mut connection = state.database().pool().acquire().await?;
    let user = user::by_id(&actor.user_id, &mut connection).await?;
    let user = user.ok_or_else(|| ApiError::unauthenticated("log in first"))?;
    Ok(Json(CurrentSession::new(user.view(), &session)))
}

async fn logout(
    State(state): State<AdminState>,
    actor: Actor,
    cookie: SessionCookie,
) -> ApiResult<WithCookie<NoContent>> {
    let id = actor.session_id()?;
    session::end(&actor.user_id, id, state.database().pool()).await?;
    state.record(&actor, SecurityEvent::new(EventKind::Logout));
    Ok(WithCookie {
        cookie: cookie.clear(),
        response: NoContent,
    })
}

async fn list(State(state): State<AdminState>, actor: Actor) -> ApiResult<Json<Page<SessionView>>> {
    let current = actor.session_id()?;
    let lifetime = session::Lifetime::of(&state.0.config);
    let pool = state.database().pool();
    let sessions = session::list(&actor.user_id, lifetime, state.now(), pool).await?;
    let view = |session: Session| SessionView {
        created_at: rfc3339(session.created),
        last_used_at: rfc3339(session.used),
        expires_at: rfc3339(session.expires),
        client: session.client,
        user_agent: session.user_agent,
        current: session.id == current,
        id: session.id,
    };
    Ok(Json(Page {
        data: sessions.into_iter().map(view).collect(),
        next_cursor: None,
    }))
}

async fn end(
    State(state): State<AdminState>,
    actor: Actor,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<NoContent> {
    actor.session_id()?;
    if !session::end(&actor.user_id, &id, state.database().pool()).await? {
        return Err(ApiError::not_found("no such session"));
    }
    state.record(&actor, SecurityEvent::new(EventKind::Logout).subject(id));
    Ok(NoContent)
}

async fn end_others(State(state): State<AdminState>, actor: Actor) -> ApiResult<NoContent> {
    let id = actor.session_id()?;
    let ended = session::end_others(&actor.user_id, id, state.database().pool()).await?;
    let event = SecurityEvent::new(EventKind::Logout).subject(actor.name.clone());
    state.record(
        &actor,
        event.detail(format!("{ended} other sessions ended")),
    );
    Ok(NoContent)
}
