//! The tokens of the actor for automation.

use axum::{Json, extract::State, response::NoContent};
use serde::{Deserialize, Serialize};
use stockade_audit::{EventKind, SecurityEvent};
use utoipa::ToSchema;

use super::{
    answer::Created,
    idempotency::{Creation, IdempotencyKey, replayed},
    json::ApiPath,
    roles::parse_permissions,
    routes::{Access, Routes},
};
use crate::{
    Permission, Permissions,
    actor::Actor,
    auth::token::{self, Token},
    error::{ApiError, ApiResult},
    page::Page,
    state::AdminState,
    time,
};

const MAX_NAME: usize = 100;
const MAX_TOKENS: usize = 100;

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .get("/tokens", Access::Authenticated, list)
        .post("/tokens", Access::Authenticated, create)
        .delete("/tokens/{id}", Access::Authenticated, delete)
}

/// The body of a creation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Create {
    name: String,
    permissions: Vec<String>,
    expires_at: Option<String>,
}

/// A token as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
struct TokenView {
    id: String,
    name: String,
    permissions: Vec<&'static str>,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
}

/// A token with its secret, which is returned once.
#[derive(Serialize, ToSchema)]
struct TokenWithSecret {
    token: TokenView,
    secret: String,
}

async fn list(State(state): State<AdminState>, actor: Actor) -> ApiResult<Json<Page<TokenView>>> {
    actor.session_id()?;
    let tokens = token::list(&actor.user_id, state.database().pool()).await?;
    Ok(Json(Page {
        data: tokens.iter().map(view).collect(),
        next_cursor: None,
    }))
}

async fn create(
    State(state): State<AdminState>,
    actor: Actor,
    Creation { body, key }: Creation<Create>,
) -> ApiResult<Created<TokenWithSecret>> {
    let permissions = parse_permissions(&body.permissions)?;
    let expires = body.expires_at.as_deref().map(|text| {
        let time = time::parse(text).filter(|expires| *expires > state.now());
        let rule = "must be a time in the future, such as 2030-01-31T00:00:00Z";
        time.ok_or_else(|| ApiError::invalid("expires_at", rule))
    });
    let expires = expires.transpose()?;
    let created = create_token(&state, &actor, &key, body.name, permissions, expires);
    let (token, secret) = created.await?;
    let body = TokenWithSecret {
        token: view(&token),
        secret,
    };
    Ok(Created::new(&body))
}

/// Creates a token of the actor, and returns it with its secret.
pub(crate) async fn create_token(
    state: &AdminState,
    actor: &Actor,
    key: &IdempotencyKey,
    name: String,
    permissions: Permissions,
    expires: Option<i64>,
) -> ApiResult<(Token, String)> {
    // A token could otherwise outlive its expiry through another one.
    actor.session_id()?;
    if name.is_empty() || name.len() > MAX_NAME || name.contains(char::is_control) {
        let rule = "must have 1 to 100 bytes and no control characters";
        return Err(ApiError::invalid("name", rule));
    }
    actor.require_all(permissions)?;
    let mut transaction = state.database().begin().await?;
    let first = key.claim(state, actor, &mut transaction).await?;
    if let Some(id) = first {
        return Err(replayed(format!(
            "the token {id} was created by this request before; delete it, and create another one"
        )));
    }
    if token::list(&actor.user_id, &mut *transaction).await?.len() >= MAX_TOKENS {
        return Err(ApiError::conflict(
            "there are 100 tokens already; delete one first",
        ));
    }
    let (token, secret) = token::create(
        &actor.user_id,
        name,
        permissions,
        expires,
        state.now(),
        &mut *transaction,
    )
    .await?;
    key.store(actor, &token.id, &mut transaction).await?;
    transaction.commit().await?;
    let event = SecurityEvent::new(EventKind::TokenCreated).subject(token.id.clone());
    let detail = format!("name: {}; permissions: [{permissions}]", token.name);
    state.record(actor, event.detail(detail));
    Ok((token, secret))
}

async fn delete(
    State(state): State<AdminState>,
    actor: Actor,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<NoContent> {
    delete_token(&state, &actor, &id).await?;
    Ok(NoContent)
}

/// Deletes a token of the actor.
pub(crate) async fn delete_token(state: &AdminState, actor: &Actor, id: &str) -> ApiResult<()> {
    actor.session_id()?;
    if !token::delete(&actor.user_id, id, state.database().pool()).await? {
        return Err(ApiError::not_found("no such token"));
    }
    let event = SecurityEvent::new(EventKind::TokenRevoked).subject(id.to_owned());
    state.record(actor, event);
    Ok(())
}

fn view(token: &Token) -> TokenView {
    TokenView {
        id: token.id.clone(),
        name: token.name.clone(),
        permissions: token.permissions.iter().map(Permission::name).collect(),
        created_at: time::rfc3339(token.created),
        expires_at: token.expires.map(time::rfc3339),
        last_used_at: token.last_used.map(time::rfc3339),
    }
}
