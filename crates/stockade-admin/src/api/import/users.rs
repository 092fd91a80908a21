//! Imports roles and users.

use serde::Deserialize;
use sqlx::AnyConnection;
use utoipa::ToSchema;

use super::Part;
use crate::{
    actor::Actor,
    api::roles::{check_name, parse_permissions},
    auth::{role, user},
    error::{ApiError, ApiResult},
    id::random_id,
};

#[derive(Deserialize, ToSchema)]
pub(super) struct RoleImport {
    name: String,
    permissions: Vec<String>,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct UserImport {
    username: String,
    role: String,
}

pub(super) async fn import_role(
    actor: &Actor,
    import: &RoleImport,
    part: &mut Part,
    connection: &mut AnyConnection,
) -> ApiResult<()> {
    check_name(&import.name)?;
    let permissions = parse_permissions(&import.permissions)?;
    actor.require_all(permissions)?;
    if role::permissions(&import.name, connection).await?.is_some() {
        part.skipped.push(import.name.clone());
        return Ok(());
    }
    sqlx::query("INSERT INTO stockade_admin_roles (name, permissions, version) VALUES ($1, $2, 1)")
        .bind(&import.name)
        .bind(permissions.to_string())
        .execute(connection)
        .await?;
    part.created.push(import.name.clone());
    Ok(())
}

/// Creates a user without a password, and disabled.
pub(super) async fn import_user(
    actor: &Actor,
    import: &UserImport,
    now: i64,
    part: &mut Part,
    connection: &mut AnyConnection,
) -> ApiResult<()> {
    let name = user::parse_name(&import.username)?;
    if user::by_name(&name, connection).await?.is_some() {
        part.skipped.push(name);
        return Ok(());
    }
    let permissions = role::permissions(&import.role, connection).await?;
    let permissions = permissions.ok_or_else(|| ApiError::invalid("users", "no such role"))?;
    actor.require_all(permissions)?;
    sqlx::query(
        "INSERT INTO stockade_admin_users (id, name, role, disabled, created) \
         VALUES ($1, $2, $3, 1, $4)",
    )
    .bind(random_id("usr")?)
    .bind(&name)
    .bind(&import.role)
    .bind(now)
    .execute(connection)
    .await?;
    part.created.push(name);
    Ok(())
}
