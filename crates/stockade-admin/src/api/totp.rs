//! The one-time codes of the actor.

use axum::{Json, extract::State, response::NoContent};
use serde::{Deserialize, Serialize};
use stockade_audit::{EventKind, SecurityEvent};
use utoipa::ToSchema;

use super::{
    json::ApiJson,
    routes::{Access, Routes},
};
use crate::{
    actor::Actor,
    auth::{Client, Password, reauthenticate, totp, user},
    error::{ApiError, ApiResult},
    state::AdminState,
};

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .post("/totp", Access::Authenticated, start)
        .put("/totp", Access::Authenticated, confirm)
        .delete("/totp", Access::Authenticated, remove)
}

/// The body of a confirmation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Confirm {
    code: String,
}

/// The body of a removal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reauthentication {
    #[schema(value_type = String, format = Password)]
    password: Password,
}

/// A secret that is not confirmed yet.
#[derive(Serialize, ToSchema)]
struct TotpSecret {
    /// In base32.
    secret: String,
    /// For authenticators, as a QR code.
    uri: String,
}

/// Creates a secret, which has no effect until it is confirmed. Needs the password: a stolen session
/// could lock out the user otherwise.
async fn start(
    State(state): State<AdminState>,
    actor: Actor,
    client: Client,
    ApiJson(body): ApiJson<Reauthentication>,
) -> ApiResult<Json<TotpSecret>> {
    actor.session_id()?;
    reauthenticate(&state, &actor, &client, &body.password, "password").await?;
    let (secret, uri) = totp::generate(&actor.name)?;
    let result =
        sqlx::query("UPDATE stockade_admin_users SET totp = $1 WHERE id = $2 AND totp_ready = 0")
            .bind(&*secret)
            .bind(&*actor.user_id)
            .execute(state.database().pool())
            .await?;
    match result.rows_affected() {
        0 => Err(ApiError::conflict(
            "one-time codes are set up already; remove them first",
        )),
        _ => Ok(Json(TotpSecret { secret, uri })),
    }
}

/// Confirms the secret by a code; logins need a code from now on.
async fn confirm(
    State(state): State<AdminState>,
    actor: Actor,
    ApiJson(body): ApiJson<Confirm>,
) -> ApiResult<NoContent> {
    actor.session_id()?;
    let mut connection = state.database().pool().acquire().await?;
    let user = user::by_id(&actor.user_id, &mut connection).await?;
    let secret = user
        .filter(|user| !user.totp_ready)
        .and_then(|user| user.totp);
    let secret = secret.ok_or_else(|| ApiError::conflict("start with POST /admin/v1/totp"))?;
    let step = totp::check(&secret, &body.code, state.now());
    let step = step.ok_or_else(|| ApiError::invalid("code", "the code is wrong"))?;
    let result = sqlx::query(
        "UPDATE stockade_admin_users SET totp_ready = 1, totp_step = $1, version = version + 1 \
         WHERE id = $2 AND totp = $3 AND totp_ready = 0",
    )
    .bind(step)
    .bind(&*actor.user_id)
    .bind(&*secret)
    .execute(&mut *connection)
    .await?;
    if result.rows_affected() == 0 {
        return Err(ApiError::conflict("the secret was replaced; start again"));
    }
    record(&state, &actor, "one-time codes: off → on");
    Ok(NoContent)
}

/// Removes the codes; needs the password, so that a stolen session cannot do it.
async fn remove(
    State(state): State<AdminState>,
    actor: Actor,
    client: Client,
    ApiJson(body): ApiJson<Reauthentication>,
) -> ApiResult<NoContent> {
    actor.session_id()?;
    reauthenticate(&state, &actor, &client, &body.password, "password").await?;
    sqlx::query(
        "UPDATE stockade_admin_users SET totp = NULL, totp_ready = 0, version = version + 1 \
         WHERE id = $1",
    )
    .bind(&*actor.user_id)
    .execute(state.database().pool())
    .await?;
    record(&state, &actor, "one-time codes: on → off");
    Ok(NoContent)
}

fn record(state: &AdminState, actor: &Actor, detail: &'static str) {
    let event = SecurityEvent::new(EventKind::UserChanged).subject(actor.name.clone());
    state.record(actor, event.detail(detail));
}
