//! Login, refresh and logout.

use axum::{Json, extract::State};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use stockade_audit::{EventKind, SecurityEvent};

use super::{
    access_token::LIFETIME_SECS,
    bearer::{self, RefreshToken},
    permissions,
};
use crate::{
    actor::Actor,
    api::json::ApiJson,
    auth::{
        self, Client, Password, User,
        session::{self, Lifetime},
        user,
    },
    error::{ApiError, ApiResult},
    state::AdminState,
    time::rfc3339,
};

/// The body of a login.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    username: String,
    password: Password,
    /// The one-time code of users who have set up such codes.
    totp_code: Option<String>,
}

/// The body of a refresh.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Refresh {
    refresh_token: String,
}

pub(super) async fn login(
    State(state): State<AdminState>,
    client: Client,
    ApiJson(body): ApiJson<Login>,
) -> ApiResult<Json<Value>> {
    let login = auth::Login::new(body.username, body.password, body.totp_code);
    let logged_in = auth::login(&state, &client, &login, None).await?;
    // The secret of the cookie is dropped: the session is used with tokens only.
    let session = &logged_in.session.session;
    let refresh = bearer::start(&session.id, state.database().pool()).await?;
    tokens(&state, &logged_in.user, &refresh).map(Json)
}

pub(super) async fn refresh(
    State(state): State<AdminState>,
    client: Client,
    ApiJson(body): ApiJson<Refresh>,
) -> ApiResult<Json<Value>> {
    let invalid = || ApiError::unauthenticated("the refresh token is invalid; log in again");
    let token = RefreshToken::parse(&body.refresh_token).ok_or_else(invalid)?;
    let pool = state.database().pool();
    let bearer = bearer::find(&token.sid, pool).await?.ok_or_else(invalid)?;
    let lifetime = Lifetime::of(&state.0.config);
    let session = session::find_by_id(&bearer.session_id, lifetime, state.now(), pool).await?;
    let session = session.ok_or_else(invalid)?;
    let user = {
        let mut connection = pool.acquire().await?;
        user::by_id(&session.user_id, &mut connection).await?
    };
    let user = user.filter(|user| !user.disabled).ok_or_else(invalid)?;
    let Some(next) = bearer::rotate(&token, pool).await? else {
        session::end(&user.id, &session.id, pool).await?;
        let event = SecurityEvent::new(EventKind::Logout).user(user.name.clone());
        let event = event.subject(session.id);
        let detail = "a refresh token was used twice; its session was ended";
        state.record_as(&client, event.detail(detail));
        return Err(invalid());
    };
    tokens(&state, &user, &next).map(Json)
}

pub(super) async fn logout(State(state): State<AdminState>, actor: Actor) -> ApiResult<StatusCode> {
    let id = actor.session_id()?;
    session::end(&actor.user_id, id, state.database().pool()).await?;
    state.record(&actor, SecurityEvent::new(EventKind::Logout));
    Ok(StatusCode::NO_CONTENT)
}

/// The response with new tokens.
fn tokens(state: &AdminState, user: &User, refresh: &RefreshToken) -> ApiResult<Value> {
    let now = state.now();
    let tokens = state.0.access_tokens.as_ref();
    let tokens = tokens.ok_or_else(|| ApiError::not_found("no such route"))?;
    let access = tokens.sign(user, &refresh.sid, now)?;
    Ok(json!({
        "access_token": access,
        // Its name in older releases of Inferno.
        "token": access,
        "refresh_token": refresh.expose(),
        "token_type": "Bearer",
        "expires_in": LIFETIME_SECS,
        "expires_at": rfc3339((now / 1_000 + LIFETIME_SECS) * 1_000),
        "user": {
            "id": user.id,
            "username": user.name,
            "role": user.role,
            "permissions": permissions::of_user(user.permissions),
            "is_active": !user.disabled,
            "created_at": rfc3339(user.created),
            "last_login": user.last_login.map(rfc3339),
        },
    }))
}
