//! Revocations of access tokens.

use axum::{Json, extract::State, response::NoContent};
use serde::{Deserialize, Serialize};
use stockade_audit::{EventKind, SecurityEvent};
use utoipa::ToSchema;

use super::{idempotency::Creation, routes::Routes};
use crate::{
    Permission, RevokedTokens,
    actor::Actor,
    error::{ApiError, ApiResult},
    state::AdminState,
    time,
};

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .get("/revocations", Permission::KeysRead, count)
        .post("/revocations", Permission::KeysWrite, revoke)
}

/// The token to revoke.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Revocation {
    jti: String,
    /// When the token expires; without it, the revocation is kept for ever.
    expires_at: Option<String>,
    reason: Option<String>,
}

/// The number of revoked tokens that have not expired.
#[derive(Debug, Serialize, ToSchema)]
struct Count {
    revoked: usize,
}

async fn count(State(state): State<AdminState>) -> ApiResult<Json<Count>> {
    let revoked = tokens(&state)?.len();
    Ok(Json(Count { revoked }))
}

async fn revoke(
    State(state): State<AdminState>,
    actor: Actor,
    Creation { body, key }: Creation<Revocation>,
) -> ApiResult<NoContent> {
    let tokens = tokens(&state)?;
    if !RevokedTokens::is_id(&body.jti) {
        let text = "must have 1 to 256 bytes and no control characters";
        return Err(ApiError::invalid("jti", text));
    }
    if tokens.is_full() {
        return Err(ApiError::conflict(
            "too many tokens are revoked; use shorter lifetimes",
        ));
    }
    let expires = body.expires_at.map(|text| {
        let text = time::parse(&text);
        text.ok_or_else(|| {
            ApiError::invalid("expires_at", "must be a time such as 2026-01-31T12:00:00Z")
        })
    });
    let expires = expires.transpose()?;
    let mut transaction = state.database().begin().await?;
    let first = key.claim(&state, &actor, &mut transaction).await?;
    if first.is_some() {
        return Ok(NoContent);
    }
    tokens.insert(&body.jti, expires, &mut *transaction).await?;
    transaction.commit().await?;
    let mut event =
        SecurityEvent::new(EventKind::TokenRevoked).subject(format!("jti:{}", body.jti));
    if let Some(reason) = body.reason {
        event = event.detail(reason);
    }
    state.record(&actor, event);
    Ok(NoContent)
}

fn tokens(state: &AdminState) -> ApiResult<&RevokedTokens> {
    let tokens = state.0.revocations.as_ref();
    tokens.ok_or_else(|| {
        ApiError::conflict(
            "set admin.revoke_tokens = true to revoke tokens, and restart the server",
        )
    })
}
