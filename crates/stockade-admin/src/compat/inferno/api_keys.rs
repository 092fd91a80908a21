//! API keys: keys of the guarded API, and tokens of the actor for automation.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::permissions::{self, Credential};
use crate::{
    Permission,
    actor::Actor,
    api::{
        idempotency::IdempotencyKey,
        json::{ApiJson, ApiPath},
        keys::{NewKey, create_key, directory, revoke_key},
        tokens::{create_token, delete_token},
    },
    auth::token::{self, Token},
    compat::grants::Grants,
    error::{ApiError, ApiResult},
    keys::{KeyEntry, now},
    state::AdminState,
    time::rfc3339,
};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// A century.
const MAX_DAYS: u32 = 36_500;

/// The prefix of the ids of tokens.
const TOKEN_ID: &str = "tok_";

/// A new key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    name: String,
    permissions: Vec<String>,
    expires_in_days: Option<u32>,
}

/// Lists the keys of the guarded API, and for a login the tokens of the actor.
pub(super) async fn list(
    State(state): State<AdminState>,
    actor: Actor,
) -> ApiResult<Json<Vec<Value>>> {
    let keys = directory(&state)?.all().await?;
    let mut list: Vec<_> = keys.values().map(|entry| key(entry)).collect();
    if actor.session_id().is_ok() {
        let tokens = token::list(&actor.user_id, state.database().pool()).await?;
        list.extend(tokens.iter().map(|token| token_view(token, state.now())));
    }
    Ok(Json(list))
}

pub(super) async fn create(
    State(state): State<AdminState>,
    actor: Actor,
    ApiJson(body): ApiJson<Create>,
) -> ApiResult<Response> {
    let expires = body.expires_in_days.map(|days| expiry(&state, days));
    let expires = expires.transpose()?;
    let created = match permissions::resolve(&state, &body.permissions)? {
        Credential::Key(grants) => {
            actor.require(Permission::KeysWrite)?;
            new_key(&state, &actor, body.name, grants, expires).await?
        }
        Credential::Token(grants) => {
            let name = body.name;
            let granted = grants.permissions;
            let key = IdempotencyKey::default();
            let created = create_token(&state, &actor, &key, name, granted, expires);
            let (token, secret) = created.await?;
            with_secret(token_view(&token, state.now()), &secret, grants)
        }
    };
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    actor: Actor,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<StatusCode> {
    if id.starts_with(TOKEN_ID) {
        delete_token(&state, &actor, &id).await?;
    } else {
        actor.require(Permission::KeysWrite)?;
        revoke_key(&state, &actor, &id, None).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn new_key(
    state: &AdminState,
    actor: &Actor,
    name: String,
    grants: Grants,
    expires: Option<i64>,
) -> ApiResult<Value> {
    let new = NewKey {
        name: Some(name),
        scopes: grants.scopes.clone(),
        expires_at: expires.map(rfc3339),
        ..NewKey::default()
    };
    let (entry, secret) = create_key(state, actor, new).await?;
    Ok(with_secret(key(&entry), secret.expose(), grants))
}

/// The response to a creation. Names without an effect are listed, so that no client relies on
/// them.
fn with_secret(mut view: Value, secret: &str, grants: Grants) -> Value {
    view["api_key"] = json!(secret);
    view["ignored_permissions"] = json!(grants.ignored);
    view
}

fn key(entry: &KeyEntry) -> Value {
    let view = json!(entry.view(now()));
    let scopes = entry.record.scopes.iter().map(ToString::to_string);
    let scopes: Vec<_> = scopes.collect();
    json!({
        "id": view["id"],
        "name": view["name"],
        "created_at": view["created_at"],
        "expires_at": view["expires_at"],
        "last_used": view["last_used_at"],
        "is_active": view["state"] == "active",
        "permissions": permissions::of_scopes(&scopes),
        "scopes": scopes,
    })
}

fn token_view(token: &Token, now: i64) -> Value {
    let own = token.permissions.iter().map(Permission::name);
    json!({
        "id": token.id,
        "name": token.name,
        "created_at": rfc3339(token.created),
        "expires_at": token.expires.map(rfc3339),
        "last_used": token.last_used.map(rfc3339),
        "is_active": token.expires.is_none_or(|expires| expires > now),
        "permissions": permissions::of_user(token.permissions),
        "scopes": own.collect::<Vec<_>>(),
    })
}

/// The time after this number of days.
fn expiry(state: &AdminState, days: u32) -> ApiResult<i64> {
    match days {
        1..=MAX_DAYS => Ok(state.now() + i64::from(days) * DAY_MS),
        _ => Err(ApiError::invalid("expires_in_days", "must be 1 to 36,500")),
    }
}
