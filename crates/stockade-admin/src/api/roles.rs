//! Roles: built-in ones, and own ones.

use axum::{Json, extract::State, response::NoContent};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row as _};
use stockade_audit::{EventKind, SecurityEvent};
use utoipa::ToSchema;

use super::{answer::Changed, idempotency::Creation, json::ApiPath, routes::Routes};
use crate::{
    Permission, Permissions,
    actor::Actor,
    auth::role,
    error::{ApiError, ApiResult},
    page::Page,
    permission::BUILT_IN_ROLES,
    state::AdminState,
};

const MAX_NAME: usize = 64;
const MAX_ROLES: usize = 200;

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .get("/roles", Permission::UsersRead, list)
        .put("/roles/{name}", Permission::UsersWrite, put)
        .delete("/roles/{name}", Permission::UsersWrite, delete)
}

/// The body of a creation or a change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Put {
    permissions: Vec<String>,
}

/// A role as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
struct RoleView {
    name: String,
    permissions: Vec<&'static str>,
    built_in: bool,
    /// The number of its users.
    users: i64,
}

async fn list(State(state): State<AdminState>) -> ApiResult<Json<Page<RoleView>>> {
    let mut connection = state.database().pool().acquire().await?;
    let mut data = Vec::new();
    for (name, permissions) in BUILT_IN_ROLES {
        let permissions = permissions.iter().copied().collect();
        data.push(view(name.to_owned(), permissions, true, &mut connection).await?);
    }
    for (name, permissions) in own_roles(&mut connection).await? {
        data.push(view(name, permissions, false, &mut connection).await?);
    }
    let next_cursor = None;
    Ok(Json(Page { data, next_cursor }))
}

async fn put(
    State(state): State<AdminState>,
    actor: Actor,
    ApiPath(name): ApiPath<String>,
    Creation { body, key }: Creation<Put>,
) -> ApiResult<Changed<RoleView>> {
    check_name(&name)?;
    let permissions = parse_permissions(&body.permissions)?;
    actor.require_all(permissions)?;
    let mut transaction = state.database().begin().await?;
    let first = key.claim(&state, &actor, &mut transaction).await?;
    if let Some(first) = first {
        return Ok(Changed::stored(first));
    }
    let before = role::permissions(&name, &mut transaction).await?;
    // Otherwise, an actor could weaken users with more permissions.
    actor.require_all(before.unwrap_or_default())?;
    if before.is_none() && own_roles(&mut transaction).await?.len() >= MAX_ROLES {
        return Err(ApiError::conflict("there are 200 roles already"));
    }
    sqlx::query(
        "INSERT INTO stockade_admin_roles (name, permissions, version) VALUES ($1, $2, 1) \
         ON CONFLICT (name) DO UPDATE SET permissions = excluded.permissions, \
         version = stockade_admin_roles.version + 1",
    )
    .bind(&*name)
    .bind(permissions.to_string())
    .execute(&mut *transaction)
    .await?;
    let view = view(name.clone(), permissions, false, &mut transaction).await?;
    let stored = Changed::new(&view);
    key.store(&actor, stored.text(), &mut transaction).await?;
    transaction.commit().await?;
    let before = before.map_or("none".to_owned(), |before| format!("[{before}]"));
    record(
        &state,
        &actor,
        name,
        format!("permissions: {before} → [{permissions}]"),
    );
    Ok(stored)
}

async fn delete(
    State(state): State<AdminState>,
    actor: Actor,
    ApiPath(name): ApiPath<String>,
) -> ApiResult<NoContent> {
    check_name(&name)?;
    let mut transaction = state.database().begin().await?;
    let before = role::permissions(&name, &mut transaction).await?;
    let before = before.ok_or_else(|| ApiError::not_found("no such role"))?;
    actor.require_all(before)?;
    if users(&name, &mut transaction).await? > 0 {
        return Err(ApiError::conflict(
            "the role has users; give them another role first",
        ));
    }
    sqlx::query("DELETE FROM stockade_admin_roles WHERE name = $1")
        .bind(&*name)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    record(
        &state,
        &actor,
        name,
        format!("permissions: [{before}] → none"),
    );
    Ok(NoContent)
}

fn record(state: &AdminState, actor: &Actor, name: String, detail: String) {
    let event = SecurityEvent::new(EventKind::RoleChanged).subject(name);
    state.record(actor, event.detail(detail));
}

async fn own_roles(
    connection: &mut AnyConnection,
) -> Result<Vec<(String, Permissions)>, sqlx::Error> {
    let rows = sqlx::query("SELECT name, permissions FROM stockade_admin_roles ORDER BY name")
        .fetch_all(connection)
        .await?;
    let role = |row: &sqlx::any::AnyRow| {
        let permissions = role::from_text(row.try_get("permissions")?);
        Ok((row.try_get("name")?, permissions))
    };
    rows.iter().map(role).collect()
}

async fn view(
    name: String,
    permissions: Permissions,
    built_in: bool,
    connection: &mut AnyConnection,
) -> Result<RoleView, sqlx::Error> {
    Ok(RoleView {
        users: users(&name, connection).await?,
        name,
        permissions: permissions.iter().map(Permission::name).collect(),
        built_in,
    })
}

async fn users(name: &str, connection: &mut AnyConnection) -> Result<i64, sqlx::Error> {
    sqlx::query("SELECT count(*) FROM stockade_admin_users WHERE role = $1")
        .bind(name)
        .fetch_one(connection)
        .await?
        .try_get(0)
}

pub(super) fn check_name(name: &str) -> ApiResult<()> {
    if role::built_in(name).is_some() {
        return Err(ApiError::conflict("built-in roles cannot be changed"));
    }
    let valid = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    match name.len() {
        1..=MAX_NAME if name.bytes().all(valid) => Ok(()),
        _ => Err(ApiError::invalid(
            "name",
            "must have 1 to 64 characters of a-z, 0-9, `.`, `_` and `-`",
        )),
    }
}

/// Parses a list of names; an error names the first unknown one.
pub(super) fn parse_permissions(names: &[String]) -> ApiResult<Permissions> {
    let parse = |(at, name): (usize, &String)| {
        let permission = name.parse::<Permission>();
        permission
            .map_err(|error| ApiError::invalid(format!("permissions[{at}]"), error.to_string()))
    };
    names.iter().enumerate().map(parse).collect()
}
