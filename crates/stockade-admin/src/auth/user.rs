//! The users in the database.

use serde::Serialize;
use sqlx::{Any, AnyConnection, Executor, Row as _, any::AnyRow};
use utoipa::ToSchema;

use super::role;
use crate::{
    Permission, Permissions,
    error::{ApiError, ApiResult},
    id,
    time::rfc3339,
};

const MAX_NAME: usize = 64;

/// A user.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) role: String,
    /// A PHC string.
    pub(crate) password: Option<String>,
    pub(crate) totp: Option<String>,
    pub(crate) totp_ready: bool,
    pub(crate) disabled: bool,
    pub(crate) version: i64,
    pub(crate) created: i64,
    pub(crate) last_login: Option<i64>,
    /// Those of the role.
    pub(crate) permissions: Permissions,
}

/// A user as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserView {
    id: String,
    username: String,
    role: String,
    permissions: Vec<&'static str>,
    has_totp: bool,
    disabled: bool,
    created_at: String,
    last_login_at: Option<String>,
}

impl User {
    pub(crate) fn view(&self) -> UserView {
        UserView {
            id: self.id.clone(),
            username: self.name.clone(),
            role: self.role.clone(),
            permissions: self.permissions.iter().map(Permission::name).collect(),
            has_totp: self.totp_ready,
            disabled: self.disabled,
            created_at: rfc3339(self.created),
            last_login_at: self.last_login.map(rfc3339),
        }
    }

    /// Reads a row, and then the permissions of the role.
    async fn from_row(row: AnyRow, connection: &mut AnyConnection) -> Result<Self, sqlx::Error> {
        let role: String = row.try_get("role")?;
        let permissions = role::permissions(&role, connection).await?;
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            password: row.try_get("password")?,
            totp: row.try_get("totp")?,
            totp_ready: row.try_get::<i64, _>("totp_ready")? != 0,
            disabled: row.try_get::<i64, _>("disabled")? != 0,
            version: row.try_get("version")?,
            created: row.try_get("created")?,
            last_login: row.try_get("last_login")?,
            permissions: permissions.unwrap_or_default(),
            role,
        })
    }
}

/// Validates a new user name, in lower case.
pub(crate) fn parse_name(name: &str) -> ApiResult<String> {
    let name = fold(name);
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"._@+-".contains(&byte);
    match name.len() {
        1..=MAX_NAME if name.bytes().all(valid) => Ok(name),
        _ => Err(ApiError::invalid(
            "username",
            "must have 1 to 64 characters of a-z, 0-9, `.`, `_`, `@`, `+` and `-`",
        )),
    }
}

/// User names do not depend on the case.
pub(crate) fn fold(name: &str) -> String {
    name.to_ascii_lowercase()
}

pub(crate) async fn by_id(
    id: &str,
    connection: &mut AnyConnection,
) -> Result<Option<User>, sqlx::Error> {
    let query = sqlx::query("SELECT * FROM stockade_admin_users WHERE id = $1").bind(id);
    match query.fetch_optional(&mut *connection).await? {
        Some(row) => User::from_row(row, connection).await.map(Some),
        None => Ok(None),
    }
}

pub(crate) async fn by_name(
    name: &str,
    connection: &mut AnyConnection,
) -> Result<Option<User>, sqlx::Error> {
    let query = sqlx::query("SELECT * FROM stockade_admin_users WHERE name = $1").bind(name);
    match query.fetch_optional(&mut *connection).await? {
        Some(row) => User::from_row(row, connection).await.map(Some),
        None => Ok(None),
    }
}

/// The user of an identity provider, by issuer and subject.
pub(crate) async fn by_subject(
    subject: &str,
    connection: &mut AnyConnection,
) -> Result<Option<User>, sqlx::Error> {
    let query = sqlx::query("SELECT * FROM stockade_admin_users WHERE subject = $1").bind(subject);
    match query.fetch_optional(&mut *connection).await? {
        Some(row) => User::from_row(row, connection).await.map(Some),
        None => Ok(None),
    }
}

/// Up to `limit` users whose names come after this one.
pub(crate) async fn list(
    after: &str,
    limit: i64,
    connection: &mut AnyConnection,
) -> Result<Vec<User>, sqlx::Error> {
    let query =
        sqlx::query("SELECT * FROM stockade_admin_users WHERE name > $1 ORDER BY name LIMIT $2");
    let query = query.bind(after).bind(limit);
    let mut users = Vec::new();
    for row in query.fetch_all(&mut *connection).await? {
        users.push(User::from_row(row, connection).await?);
    }
    Ok(users)
}

pub(crate) async fn count<'e>(
    executor: impl Executor<'e, Database = Any>,
) -> Result<i64, sqlx::Error> {
    let row = sqlx::query("SELECT count(*) FROM stockade_admin_users")
        .fetch_one(executor)
        .await?;
    row.try_get(0)
}

/// Creates a user with a hashed password, and returns the id.
///
/// # Errors
/// When the name is taken.
pub(crate) async fn create<'e>(
    name: &str,
    role: &str,
    password: &str,
    now: i64,
    executor: impl Executor<'e, Database = Any>,
) -> ApiResult<String> {
    let id = id::random_id("usr")?;
    let query = sqlx::query(
        "INSERT INTO stockade_admin_users (id, name, role, password, created) \
         VALUES ($1, $2, $3, $4, $5)",
    );
    let query = query
        .bind(&*id)
        .bind(name)
        .bind(role)
        .bind(password)
        .bind(now);
    match query.execute(executor).await {
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            Err(ApiError::conflict("the user name is taken").param("username"))
        }
        result => Ok(result.map(|_| id)?),
    }
}

/// Creates a user of an identity provider, without a password.
pub(crate) async fn create_external<'e>(
    name: &str,
    role: &str,
    subject: &str,
    now: i64,
    executor: impl Executor<'e, Database = Any>,
) -> ApiResult<()> {
    sqlx::query(
        "INSERT INTO stockade_admin_users (id, name, role, subject, created) \
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(id::random_id("usr")?)
    .bind(name)
    .bind(role)
    .bind(subject)
    .bind(now)
    .execute(executor)
    .await?;
    Ok(())
}

/// Changes the role of a user.
pub(crate) async fn set_role<'e>(
    id: &str,
    role: &str,
    executor: impl Executor<'e, Database = Any>,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE stockade_admin_users SET role = $1, version = version + 1 WHERE id = $2")
        .bind(role)
        .bind(id)
        .execute(executor)
        .await
        .map(drop)
}
