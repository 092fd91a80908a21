//! Cortex: API keys under `/admin/keys`.
//!
//! Cortex had numbers as ids; ours are texts. Its users and organizations are the owners and teams
//! of keys.

use axum::{Json, extract::State};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::grants::{self, Grants, Name};
use crate::{
    Permission,
    actor::Actor,
    api::{
        json::{ApiJson, ApiPath, ApiQuery},
        keys::{NewKey, create_key, directory, revoke_key},
        routes::Routes,
    },
    error::{ApiError, ApiResult},
    keys::{KeyEntry, KeyState, now},
    state::AdminState,
};

/// The scopes of Cortex; ours, such as `models:read`, are accepted, too.
const SCOPES: &[Name] = &[
    Name::key("chat", &["chat:write"]),
    Name::key("completions", &["chat:write"]),
    Name::key("embeddings", &["chat:write"]),
    Name::key("chat:read", &["chat:write"]),
];
const DEFAULT_SCOPES: &str = "chat,completions,embeddings";

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 500;

pub(super) fn routes() -> Routes {
    Routes::default()
        .undescribed(Method::GET, "/", Permission::KeysRead, list)
        .undescribed(Method::POST, "/", Permission::KeysWrite, create)
        .undescribed(Method::DELETE, "/{id}", Permission::KeysWrite, revoke)
}

/// A new key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    name: Option<String>,
    scopes: Option<Texts>,
    expires_at: Option<String>,
    ip_allowlist: Option<Texts>,
    user_id: Option<Id>,
    org_id: Option<Id>,
}

/// A list, or a text that is separated by commas.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Texts {
    Text(String),
    List(Vec<String>),
}

/// The id of a user or an organization.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Id {
    Number(u64),
    Text(String),
}

/// The filters of the list. `sort` and `include_names` have no effect.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Filter {
    include_disabled: bool,
    user_id: Option<String>,
    org_id: Option<String>,
    q: Option<String>,
    limit: Option<usize>,
    offset: usize,
}

async fn list(
    State(state): State<AdminState>,
    ApiQuery(filter): ApiQuery<Filter>,
) -> ApiResult<Json<Vec<Value>>> {
    let limit = filter.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let search = filter.q.as_ref().map(|text| text.to_lowercase());
    let keys = directory(&state)?.all().await?;
    let is_enabled = |key: &KeyEntry| key.state(now()) != KeyState::Revoked;
    let keys = keys.values();
    let keys = keys
        .filter(|key| filter.include_disabled || is_enabled(key))
        .filter(|key| search.as_ref().is_none_or(|text| key.contains(text)))
        .map(|key| item(key))
        .filter(|item| is(&item["user_id"], filter.user_id.as_ref()))
        .filter(|item| is(&item["org_id"], filter.org_id.as_ref()));
    Ok(Json(keys.skip(filter.offset).take(limit).collect()))
}

async fn create(
    State(state): State<AdminState>,
    actor: Actor,
    ApiJson(body): ApiJson<Create>,
) -> ApiResult<Json<Value>> {
    let scopes = body.scopes;
    let scopes = scopes.unwrap_or_else(|| Texts::Text(DEFAULT_SCOPES.to_owned()));
    let grants = resolve(&state, &scopes.into_list())?;
    let new = NewKey {
        name: body.name,
        owner: body.user_id.map(Id::into_text),
        team: body.org_id.map(Id::into_text),
        networks: body.ip_allowlist.map(Texts::into_list).unwrap_or_default(),
        expires_at: body.expires_at.map(with_offset),
        scopes: grants.scopes,
        ..NewKey::default()
    };
    let (entry, key) = create_key(&state, &actor, new).await?;
    let mut created = item(&entry);
    created["token"] = json!(key.expose());
    Ok(Json(created))
}

async fn revoke(
    State(state): State<AdminState>,
    actor: Actor,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<Json<Value>> {
    revoke_key(&state, &actor, &id, None).await?;
    Ok(Json(json!({ "status": "ok" })))
}

fn resolve(state: &AdminState, scopes: &[String]) -> ApiResult<Grants> {
    let mut grants = Grants::default();
    for (at, scope) in scopes.iter().enumerate() {
        match grants::find(state, &[SCOPES], scope, format!("scopes[{at}]")) {
            Ok(name) => grants.add(name),
            Err(_) if scope.contains(':') => grants.add_scope(scope),
            Err(error) => return Err(error),
        }
    }
    match grants.scopes.is_empty() {
        true => Err(ApiError::invalid(
            "scopes",
            "none of them has an effect here",
        )),
        false => Ok(grants),
    }
}

/// A key as Cortex showed it.
fn item(entry: &KeyEntry) -> Value {
    let view = json!(entry.view(now()));
    let scopes: Vec<_> = entry
        .record
        .scopes
        .iter()
        .map(ToString::to_string)
        .collect();
    json!({
        "id": view["id"],
        "prefix": format!("sk_{}", entry.record.id),
        "name": view["name"],
        "scopes": scopes.join(","),
        "expires_at": view["expires_at"],
        "last_used_at": view["last_used_at"],
        "created_at": view["created_at"],
        "disabled": view["state"] == "revoked",
        "user_id": view["owner"],
        "username": view["owner"],
        "org_id": view["team"],
        "org_name": view["team"],
    })
}

fn is(value: &Value, wanted: Option<&String>) -> bool {
    wanted.is_none_or(|wanted| value == wanted.as_str())
}

/// Times of Cortex have no offset: they are in UTC.
fn with_offset(time: String) -> String {
    let has_date_and_time = time.len() >= "2026-01-31T12:00:00".len();
    let has_offset =
        time.ends_with(['Z', 'z']) || time.get(19..).is_some_and(|end| end.contains(['+', '-']));
    match has_date_and_time && !has_offset {
        true => time + "Z",
        false => time,
    }
}

impl Texts {
    fn into_list(self) -> Vec<String> {
        match self {
            Self::List(list) => list,
            Self::Text(text) => {
                let parts = text.split(',').map(str::trim);
                parts
                    .filter(|part| !part.is_empty())
                    .map(str::to_owned)
                    .collect()
            }
        }
    }
}

impl Id {
    fn into_text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_without_offset_are_in_utc() {
        for (time, expected) in [
            ("2030-01-31T12:00:00", "2030-01-31T12:00:00Z"),
            ("2030-01-31T12:00:00.5", "2030-01-31T12:00:00.5Z"),
            ("2030-01-31T12:00:00-01:00", "2030-01-31T12:00:00-01:00"),
            ("2030-01-31T12:00:00Z", "2030-01-31T12:00:00Z"),
            ("tomorrow", "tomorrow"),
        ] {
            assert_eq!(with_offset(time.to_owned()), expected);
        }
    }
}
