//! Replaces the secrets of keys.

use std::{collections::HashSet, time::Duration};

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use stockade_key_auth::{DEFAULT_GRACE, GeneratedKey, KeyChange, KeyId};
use utoipa::ToSchema;

use super::{KeyWithSecret, changed, directory, key_id, now};
use crate::{
    AdminError,
    actor::Actor,
    api::json::{ApiJson, ApiPath},
    error::{ApiError, ApiResult, ErrorBody},
    keys::KeyView,
    state::AdminState,
};

/// The maximum grace period: a year.
const MAX_GRACE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotate {
    /// How long the previous secret is still accepted; a day by default.
    grace_secs: Option<u64>,
}

pub(super) async fn rotate(
    State(state): State<AdminState>,
    actor: Actor,
    ApiPath(id): ApiPath<String>,
    ApiJson(body): ApiJson<Rotate>,
) -> ApiResult<Json<KeyWithSecret>> {
    let grace = grace(body.grace_secs)?;
    let id = key_id(&id)?;
    rotate_one(&state, &actor, id, grace).await.map(Json)
}

/// The maximum number of keys in one request.
const MAX_IDS: usize = 100;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RotateAll {
    ids: Vec<String>,
    grace_secs: Option<u64>,
}

/// The results in the order of the request.
#[derive(Serialize, ToSchema)]
pub(super) struct Rotations {
    data: Vec<Rotation>,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Rotation {
    Rotated {
        id: String,
        key: Box<KeyView>,
        secret: String,
    },
    Failed {
        id: String,
        error: ErrorBody,
    },
}

/// Rotates several keys. Each has a result of its own: the key and its secret, or an error.
pub(super) async fn rotate_all(
    State(state): State<AdminState>,
    actor: Actor,
    ApiJson(body): ApiJson<RotateAll>,
) -> ApiResult<Json<Rotations>> {
    let grace = grace(body.grace_secs)?;
    if !(1..=MAX_IDS).contains(&body.ids.len()) {
        return Err(ApiError::invalid("ids", "must have 1 to 100 items"));
    }
    let mut seen = HashSet::new();
    if let Some(at) = body.ids.iter().position(|id| !seen.insert(id)) {
        // Its first new secret would be valid for the grace period only.
        return Err(ApiError::invalid(format!("ids[{at}]"), "is there twice"));
    }
    let mut results = Vec::with_capacity(body.ids.len());
    for id in &body.ids {
        let result = match key_id(id) {
            Ok(id) => rotate_one(&state, &actor, id, grace).await,
            Err(error) => Err(error),
        };
        let id = id.clone();
        results.push(match result {
            Ok(KeyWithSecret { key, secret }) => Rotation::Rotated {
                id,
                key: Box::new(key),
                secret,
            },
            Err(error) => Rotation::Failed {
                id,
                error: error.body(),
            },
        });
    }
    Ok(Json(Rotations { data: results }))
}

/// Checks a grace period in seconds.
pub(super) fn grace(secs: Option<u64>) -> ApiResult<Duration> {
    let grace = secs.map_or(DEFAULT_GRACE, Duration::from_secs);
    match grace <= MAX_GRACE {
        true => Ok(grace),
        false => Err(ApiError::invalid("grace_secs", "must be at most a year")),
    }
}

/// Rotates a key, and returns it with its new secret.
pub(super) async fn rotate_one(
    state: &AdminState,
    actor: &Actor,
    id: KeyId,
    grace: Duration,
) -> ApiResult<KeyWithSecret> {
    let key = generate(id.clone())?;
    let at = now();
    let change = KeyChange::Rotate {
        hash: key.digest().into(),
        grace,
        at,
    };
    let entry = directory(state)?.change(id.clone(), change).await?;
    let detail = format!("rotated: grace period of {}s", grace.as_secs());
    changed(state, actor, &id, detail);
    Ok(KeyWithSecret {
        key: entry.view(at),
        secret: key.expose().to_owned(),
    })
}

pub(super) fn generate(id: KeyId) -> ApiResult<GeneratedKey> {
    let key = GeneratedKey::new("sk", id);
    Ok(key.map_err(|error| AdminError::new("cannot generate a key").with_source(error))?)
}
