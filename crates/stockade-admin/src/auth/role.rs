//! Roles: built-in ones, and those in the database.

use sqlx::{AnyConnection, Row as _};

use crate::{Permissions, permission::BUILT_IN_ROLES};

/// The role of the first user, which cannot be changed.
pub(crate) const ADMIN: &str = "admin";

/// The permissions of a built-in role.
pub(crate) fn built_in(name: &str) -> Option<Permissions> {
    let role = BUILT_IN_ROLES.iter().find(|(known, _)| *known == name);
    role.map(|(_, permissions)| permissions.iter().copied().collect())
}

/// The permissions of a role; `None` if it does not exist.
pub(crate) async fn permissions(
    name: &str,
    connection: &mut AnyConnection,
) -> Result<Option<Permissions>, sqlx::Error> {
    if let Some(permissions) = built_in(name) {
        return Ok(Some(permissions));
    }
    // PostgreSQL refuses a text with a zero byte.
    if name.contains('\0') {
        return Ok(None);
    }
    let query = sqlx::query("SELECT permissions FROM stockade_admin_roles WHERE name = $1");
    let row = query.bind(name).fetch_optional(connection).await?;
    row.map(|row| Ok(from_text(row.try_get(0)?))).transpose()
}

/// Permissions of a newer release are ignored.
pub(crate) fn from_text(text: &str) -> Permissions {
    let names = text.split_whitespace();
    names.filter_map(|name| name.parse().ok()).collect()
}
