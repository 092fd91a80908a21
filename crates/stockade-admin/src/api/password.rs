//! The password of the actor.

use axum::{extract::State, response::NoContent};
use serde::Deserialize;
use stockade_audit::{EventKind, SecurityEvent};
use utoipa::ToSchema;

use super::{
    answer::WithCookie,
    json::ApiJson,
    routes::{Access, Routes},
};
use crate::{
    actor::Actor,
    auth::{Client, Lane, Password, SessionCookie, reauthenticate, session},
    error::{ApiError, ApiResult},
    state::AdminState,
};

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/password", Access::Authenticated, change)
}

/// The body of a change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Change {
    #[schema(value_type = String, format = Password)]
    current: Password,
    #[schema(value_type = String, format = Password)]
    new: Password,
}

/// Changes the password, ends all other sessions, and gives the present one a new secret.
async fn change(
    State(state): State<AdminState>,
    actor: Actor,
    client: Client,
    cookie: SessionCookie,
    ApiJson(body): ApiJson<Change>,
) -> ApiResult<WithCookie<NoContent>> {
    let session = actor.session_id()?;
    body.new.check(&actor.name, "new")?;
    if body.new == body.current {
        return Err(ApiError::invalid(
            "new",
            "must differ from the current password",
        ));
    }
    reauthenticate(&state, &actor, &client, &body.current, "current").await?;
    let hash = state.0.auth.passwords.hash(Lane::Known, &body.new).await?;
    let mut transaction = state.database().begin().await?;
    sqlx::query(
        "UPDATE stockade_admin_users SET password = $1, version = version + 1 WHERE id = $2",
    )
    .bind(hash)
    .bind(&*actor.user_id)
    .execute(&mut *transaction)
    .await?;
    session::end_others(&actor.user_id, session, &mut *transaction).await?;
    let secret = session::rotate(session, &mut *transaction).await?;
    transaction.commit().await?;
    let event = SecurityEvent::new(EventKind::UserChanged).subject(actor.name.clone());
    state.record(
        &actor,
        event.detail("new password; all other sessions ended"),
    );
    let lifetime = session::Lifetime::of(&state.0.config);
    Ok(WithCookie {
        cookie: cookie.set(&secret, lifetime.max()),
        response: NoContent,
    })
}
