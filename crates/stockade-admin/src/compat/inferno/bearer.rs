//! The sessions that are used with access tokens and refresh tokens.

use sqlx::{Any, AnyPool, Executor, Row as _};

use crate::{
    error::ApiResult,
    id::{digest, random_text},
};

/// Distinguishes refresh tokens from other secrets.
const PREFIX: &str = "srt_";

/// The tokens of a session.
pub(super) struct Bearer {
    pub(super) session_id: String,
}

/// A refresh token: `srt_`, the secret of the session, a dot, and a secret that is used once.
pub(super) struct RefreshToken {
    /// The secret that all tokens of the session contain.
    pub(super) sid: String,
    once: String,
}

impl RefreshToken {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (sid, once) = text.strip_prefix(PREFIX)?.split_once('.')?;
        Some(Self {
            sid: sid.to_owned(),
            once: once.to_owned(),
        })
    }

    pub(super) fn expose(&self) -> String {
        format!("{PREFIX}{}.{}", self.sid, self.once)
    }

    /// The token that follows in the same session.
    fn next(&self) -> ApiResult<Self> {
        Ok(Self {
            sid: self.sid.clone(),
            once: random_text::<32>()?,
        })
    }
}

/// Lets a session be used with tokens; returns the first refresh token.
pub(super) async fn start<'e>(
    session_id: &str,
    executor: impl Executor<'e, Database = Any>,
) -> ApiResult<RefreshToken> {
    let token = RefreshToken {
        sid: random_text::<32>()?,
        once: random_text::<32>()?,
    };
    sqlx::query(
        "INSERT INTO stockade_admin_bearers (digest, session_id, refresh) VALUES ($1, $2, $3)",
    )
    .bind(digest(&token.sid))
    .bind(session_id)
    .bind(digest(&token.once))
    .execute(executor)
    .await?;
    Ok(token)
}

/// The session whose tokens contain this secret.
pub(super) async fn find(sid: &str, pool: &AnyPool) -> Result<Option<Bearer>, sqlx::Error> {
    let row = sqlx::query("SELECT session_id FROM stockade_admin_bearers WHERE digest = $1")
        .bind(digest(sid))
        .fetch_optional(pool)
        .await?;
    match row {
        Some(row) => Ok(Some(Bearer {
            session_id: row.try_get(0)?,
        })),
        None => Ok(None),
    }
}

/// Replaces a refresh token; `None` if it was used before.
pub(super) async fn rotate(
    token: &RefreshToken,
    pool: &AnyPool,
) -> ApiResult<Option<RefreshToken>> {
    let next = token.next()?;
    let result = sqlx::query(
        "UPDATE stockade_admin_bearers SET refresh = $1 WHERE digest = $2 AND refresh = $3",
    )
    .bind(digest(&next.once))
    .bind(digest(&token.sid))
    .bind(digest(&token.once))
    .execute(pool)
    .await?;
    Ok((result.rows_affected() == 1).then_some(next))
}
