//! Keys: list, create, rotate and revoke.

mod create;
mod fields;
mod list;
mod rotate;
mod update;

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use stockade_audit::{EventKind, SecurityEvent};
use stockade_key_auth::{KeyChange, KeyId};
use utoipa::ToSchema;

use super::{
    etag::Tagged,
    json::{ApiJson, ApiPath},
    routes::Routes,
};
use crate::{
    Permission,
    actor::Actor,
    error::{ApiError, ApiResult},
    keys::{KeyDirectory, KeyEntry, KeyView, add_last_uses, now},
    state::AdminState,
};

pub(crate) use create::{NewKey, create_key};

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .get("/keys", Permission::KeysRead, list::list)
        .post("/keys", Permission::KeysWrite, create::create)
        .post("/keys/rotate", Permission::KeysWrite, rotate::rotate_all)
        .get("/keys/{id}", Permission::KeysRead, get)
        .patch("/keys/{id}", Permission::KeysWrite, update::update)
        .post("/keys/{id}/rotate", Permission::KeysWrite, rotate::rotate)
        .post("/keys/{id}/revoke", Permission::KeysWrite, revoke)
}

/// The body of a revocation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Revoke {
    /// For the audit log.
    reason: Option<String>,
}

/// A key with its secret, which is returned once.
#[derive(Serialize, ToSchema)]
struct KeyWithSecret {
    key: KeyView,
    secret: String,
}

async fn get(
    State(state): State<AdminState>,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<Tagged<KeyView>> {
    let entry = directory(&state)?.find(&id).await?;
    let mut views = [entry.view(now())];
    add_last_uses(&mut views, state.database()).await?;
    let [item] = views;
    Ok(Tagged {
        tag: entry.etag(),
        item,
    })
}

async fn revoke(
    State(state): State<AdminState>,
    actor: Actor,
    ApiPath(id): ApiPath<String>,
    ApiJson(body): ApiJson<Revoke>,
) -> ApiResult<Json<KeyView>> {
    let entry = revoke_key(&state, &actor, &id, body.reason).await?;
    Ok(Json(entry.view(now())))
}

/// Revokes a key; the reason is for the audit log.
pub(crate) async fn revoke_key(
    state: &AdminState,
    actor: &Actor,
    id: &str,
    reason: Option<String>,
) -> ApiResult<Arc<KeyEntry>> {
    let id = key_id(id)?;
    let reason = fields::text("reason", reason)?;
    let change = KeyChange::Revoke { at: now() };
    let entry = directory(state)?.change(id.clone(), change).await?;
    let reason = reason.map(|reason| format!(": {reason}"));
    let detail = format!("revoked{}", reason.unwrap_or_default());
    changed(state, actor, &id, detail);
    Ok(entry)
}

/// Records who changed a key. The fence records what happened to it, as every process does which
/// uses the key, in an event of another kind and without a user.
pub(super) fn changed(state: &AdminState, actor: &Actor, id: &KeyId, detail: String) {
    let event = SecurityEvent::new(EventKind::KeyChanged).subject(id.to_string());
    state.record(actor, event.detail(detail));
}

fn tagged(entry: &KeyEntry) -> Tagged<KeyView> {
    Tagged {
        tag: entry.etag(),
        item: entry.view(now()),
    }
}

pub(crate) fn directory(state: &AdminState) -> ApiResult<&KeyDirectory> {
    let keys = state.0.keys.as_ref();
    keys.ok_or_else(|| ApiError::not_found("this program has no keys"))
}

fn key_id(text: &str) -> ApiResult<KeyId> {
    text.parse()
        .map_err(|_| ApiError::not_found("no key has this id"))
}
