//! The tokens for automation in the database.

use sqlx::{Any, AnyPool, Executor, Row as _, any::AnyRow};

use super::role;
use crate::{Permissions, error::ApiResult, id};

/// The prefix distinguishes tokens from keys, and lets secret scanners find them.
pub(crate) const PREFIX: &str = "sat_";
/// The last use is written at most this often.
const TOUCH_MS: i64 = 60 * 1000;

/// A token without its secret.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) name: String,
    /// Those that the token was created with; its user may have lost some of them.
    pub(crate) permissions: Permissions,
    pub(crate) created: i64,
    pub(crate) expires: Option<i64>,
    pub(crate) last_used: Option<i64>,
}

impl Token {
    pub(crate) fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            user_id: row.try_get("user_id")?,
            name: row.try_get("name")?,
            permissions: role::from_text(row.try_get("permissions")?),
            created: row.try_get("created")?,
            expires: row.try_get("expires")?,
            last_used: row.try_get("last_used")?,
        })
    }
}

/// The token of a secret, if it has not expired; it is used now.
pub(crate) async fn find(
    secret: &str,
    now: i64,
    pool: &AnyPool,
) -> Result<Option<Token>, sqlx::Error> {
    let digest = id::digest(secret);
    let row = sqlx::query(
        "SELECT * FROM stockade_admin_tokens \
         WHERE digest = $1 AND (expires IS NULL OR expires > $2)",
    )
    .bind(&*digest)
    .bind(now)
    .fetch_optional(pool)
    .await?;
    let Some(token) = row.as_ref().map(Token::from_row).transpose()? else {
        return Ok(None);
    };
    if token.last_used.is_none_or(|used| now - used >= TOUCH_MS) {
        sqlx::query("UPDATE stockade_admin_tokens SET last_used = $1 WHERE digest = $2")
            .bind(now)
            .bind(&*digest)
            .execute(pool)
            .await?;
    }
    Ok(Some(token))
}

/// The tokens of a user, newest first.
pub(crate) async fn list<'e>(
    user_id: &str,
    executor: impl Executor<'e, Database = Any>,
) -> Result<Vec<Token>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT * FROM stockade_admin_tokens WHERE user_id = $1 ORDER BY created DESC, id",
    )
    .bind(user_id)
    .fetch_all(executor)
    .await?;
    rows.iter().map(Token::from_row).collect()
}

/// Creates a token; returns it with its secret, which is not stored.
pub(crate) async fn create<'e>(
    user_id: &str,
    name: String,
    permissions: Permissions,
    expires: Option<i64>,
    now: i64,
    executor: impl Executor<'e, Database = Any>,
) -> ApiResult<(Token, String)> {
    let secret = format!("{PREFIX}{}", id::random_text::<32>()?);
    let token = Token {
        id: id::random_id("tok")?,
        user_id: user_id.to_owned(),
        name,
        permissions,
        created: now,
        expires,
        last_used: None,
    };
    sqlx::query(
        "INSERT INTO stockade_admin_tokens \
         (id, digest, user_id, name, permissions, created, expires) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&*token.id)
    .bind(id::digest(&secret))
    .bind(user_id)
    .bind(&*token.name)
    .bind(permissions.to_string())
    .bind(token.created)
    .bind(token.expires)
    .execute(executor)
    .await?;
    Ok((token, secret))
}

/// Deletes a token of a user; returns whether there was one.
pub(crate) async fn delete<'e>(
    user_id: &str,
    id: &str,
    executor: impl Executor<'e, Database = Any>,
) -> Result<bool, sqlx::Error> {
    sqlx::query("DELETE FROM stockade_admin_tokens WHERE user_id = $1 AND id = $2")
        .bind(user_id)
        .bind(id)
        .execute(executor)
        .await
        .map(|result| result.rows_affected() > 0)
}
