//! The sessions in the database.

use std::time::Duration;

use sqlx::{Any, Executor, Row as _, any::AnyRow};

use super::Client;
use crate::{AdminConfig, error::ApiResult, id};

/// A login ends the oldest sessions of a user with more than this number.
const MAX_SESSIONS: i64 = 50;
/// The last use is written at most this often.
const TOUCH_MS: i64 = 30 * 1000;

/// A session that has not ended.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) csrf: String,
    pub(crate) created: i64,
    pub(crate) used: i64,
    pub(crate) expires: i64,
    pub(crate) client: Option<String>,
    pub(crate) user_agent: Option<String>,
}

/// A session with its secret, which is in the cookie only.
pub(crate) struct NewSession {
    pub(crate) secret: String,
    pub(crate) session: Session,
}

/// When sessions end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    idle_ms: i64,
    max_ms: i64,
}

impl Lifetime {
    pub(crate) fn of(config: &AdminConfig) -> Self {
        Self {
            idle_ms: i64::from(config.session_idle_minutes.get()) * 60_000,
            max_ms: i64::from(config.session_max_hours.get()) * 3_600_000,
        }
    }

    /// The absolute lifetime.
    pub(crate) fn max(self) -> Duration {
        Duration::from_millis(self.max_ms.unsigned_abs())
    }
}

impl Session {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            user_id: row.try_get("user_id")?,
            csrf: row.try_get("csrf")?,
            created: row.try_get("created")?,
            used: row.try_get("used")?,
            expires: row.try_get("expires")?,
            client: row.try_get("client")?,
            user_agent: row.try_get("user_agent")?,
        })
    }
}

/// Starts a session. Its id and secret are always new.
pub(crate) async fn start<'e>(
    user_id: &str,
    client: &Client,
    lifetime: Lifetime,
    now: i64,
    executor: impl Executor<'e, Database = Any>,
) -> ApiResult<NewSession> {
    let secret = id::random_text::<32>()?;
    let session = Session {
        id: id::random_id("ses")?,
        user_id: user_id.to_owned(),
        csrf: id::random_text::<32>()?,
        created: now,
        used: now,
        expires: now.saturating_add(lifetime.max_ms),
        client: client.ip.map(|ip| ip.to_string()),
        user_agent: client.user_agent.clone(),
    };
    sqlx::query(
        "INSERT INTO stockade_admin_sessions \
         (digest, id, user_id, csrf, created, used, expires, client, user_agent) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(id::digest(&secret))
    .bind(&*session.id)
    .bind(user_id)
    .bind(&*session.csrf)
    .bind(session.created)
    .bind(session.used)
    .bind(session.expires)
    .bind(session.client.as_deref())
    .bind(session.user_agent.as_deref())
    .execute(executor)
    .await?;
    Ok(NewSession { secret, session })
}

/// Ends the oldest sessions of a user with too many of them.
pub(crate) async fn end_excess<'e>(
    user_id: &str,
    executor: impl Executor<'e, Database = Any>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM stockade_admin_sessions WHERE user_id = $1 AND id NOT IN \
         (SELECT id FROM stockade_admin_sessions WHERE user_id = $1 \
         ORDER BY created DESC, id LIMIT $2)",
    )
    .bind(user_id)
    .bind(MAX_SESSIONS)
    .execute(executor)
    .await
    .map(drop)
}

/// The session of a secret, if it has not ended; it is used now.
pub(crate) async fn find(
    secret: &str,
    lifetime: Lifetime,
    now: i64,
    pool: &sqlx::AnyPool,
) -> Result<Option<Session>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT * FROM stockade_admin_sessions WHERE digest = $1 AND expires > $2 AND used > $3",
    )
    .bind(id::digest(secret))
    .bind(now)
    .bind(now - lifetime.idle_ms)
    .fetch_optional(pool)
    .await?;
    used(row, lifetime, now, pool).await
}

/// The session with this id, if it has not ended; it is used now. The id is not a secret: the
/// caller has verified another credential.
pub(crate) async fn find_by_id(
    id: &str,
    lifetime: Lifetime,
    now: i64,
    pool: &sqlx::AnyPool,
) -> Result<Option<Session>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT * FROM stockade_admin_sessions WHERE id = $1 AND expires > $2 AND used > $3",
    )
    .bind(id)
    .bind(now)
    .bind(now - lifetime.idle_ms)
    .fetch_optional(pool)
    .await?;
    used(row, lifetime, now, pool).await
}

/// The session of a row, which is used now.
async fn used(
    row: Option<AnyRow>,
    lifetime: Lifetime,
    now: i64,
    pool: &sqlx::AnyPool,
) -> Result<Option<Session>, sqlx::Error> {
    let Some(session) = row.as_ref().map(Session::from_row).transpose()? else {
        return Ok(None);
    };
    if now - session.used >= TOUCH_MS.min(lifetime.idle_ms / 4) {
        sqlx::query("UPDATE stockade_admin_sessions SET used = $1 WHERE id = $2")
            .bind(now)
            .bind(&*session.id)
            .execute(pool)
            .await?;
    }
    Ok(Some(session))
}

/// The sessions of a user that have not ended, newest first.
pub(crate) async fn list<'e>(
    user_id: &str,
    lifetime: Lifetime,
    now: i64,
    executor: impl Executor<'e, Database = Any>,
) -> Result<Vec<Session>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT * FROM stockade_admin_sessions \
         WHERE user_id = $1 AND expires > $2 AND used > $3 ORDER BY created DESC, id LIMIT 500",
    )
    .bind(user_id)
    .bind(now)
    .bind(now - lifetime.idle_ms)
    .fetch_all(executor)
    .await?;
    rows.iter().map(Session::from_row).collect()
}

/// Ends the session of a secret, if there is one.
pub(crate) async fn end_by_secret<'e>(
    secret: &str,
    executor: impl Executor<'e, Database = Any>,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM stockade_admin_sessions WHERE digest = $1")
        .bind(id::digest(secret))
        .execute(executor)
        .await
        .map(drop)
}

/// Ends a session of a user; returns whether there was one.
pub(crate) async fn end<'e>(
    user_id: &str,
    id: &str,
    executor: impl Executor<'e, Database = Any>,
) -> Result<bool, sqlx::Error> {
    sqlx::query("DELETE FROM stockade_admin_sessions WHERE user_id = $1 AND id = $2")
        .bind(user_id)
        .bind(id)
        .execute(executor)
        .await
        .map(|result| result.rows_affected() > 0)
}

/// Ends all sessions of a user but one; returns their number.
pub(crate) async fn end_others<'e>(
    user_id: &str,
    id: &str,
    executor: impl Executor<'e, Database = Any>,
) -> Result<u64, sqlx::Error> {
    sqlx::query("DELETE FROM stockade_admin_sessions WHERE user_id = $1 AND id <> $2")
        .bind(user_id)
        .bind(id)
        .execute(executor)
        .await
        .map(|result| result.rows_affected())
}

/// Ends all sessions of a user; returns their number.
pub(crate) async fn end_all<'e>(
    user_id: &str,
    executor: impl Executor<'e, Database = Any>,
) -> Result<u64, sqlx::Error> {
    end_others(user_id, "", executor).await
}

/// Removes sessions that have expired.
pub(crate) async fn remove_expired<'e>(
    lifetime: Lifetime,
    now: i64,
    executor: impl Executor<'e, Database = Any>,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM stockade_admin_sessions WHERE expires <= $1 OR used <= $2")
        .bind(now)
        .bind(now - lifetime.idle_ms)
        .execute(executor)
        .await
        .map(drop)
}

/// Gives a session a new secret, and returns it; the old cookie is refused.
pub(crate) async fn rotate<'e>(
    id: &str,
    executor: impl Executor<'e, Database = Any>,
) -> ApiResult<String> {
    let secret = id::random_text::<32>()?;
    sqlx::query("UPDATE stockade_admin_sessions SET digest = $1 WHERE id = $2")
        .bind(id::digest(&secret))
        .bind(id)
        .execute(executor)
        .await?;
    Ok(secret)
}
