//! Idempotency keys: a creation that is sent again creates nothing.
//!
//! 1. The key is claimed and the response is stored in the transaction of the creation, so that a
//!    repeated request has the same response. A failed creation stores nothing.
//! 2. A response with a secret is not stored. A repeated request has an error with the id instead.
//! 3. API keys are in a store of their own: the id of a new one is stored before it is created. A
//!    repeated request finds it, whether the first one succeeded, failed or is still running.
//! 4. Requests are stored as a digest that includes the idempotency key, and so is that key: a body
//!    may contain a password, which could be guessed by a digest of the body only.

use axum::extract::{FromRequest, Request};
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use sqlx::{AnyConnection, Row as _};

use super::json::{LIMIT, parse_json, read_json};
use crate::{
    actor::Actor,
    error::{ApiError, ApiResult},
    id::digest,
    state::AdminState,
};

/// How long a request is remembered: a day.
const KEPT: i64 = 24 * 60 * 60 * 1_000;

const MAX_LENGTH: usize = 255;

/// A request that creates something: its JSON body, and the header `Idempotency-Key`.
#[derive(Debug)]
pub(super) struct Creation<T> {
    pub(super) body: T,
    pub(super) key: IdempotencyKey,
}

/// The key of a request, if it has one.
#[derive(Debug, Default)]
pub(crate) struct IdempotencyKey(Option<Digests>);

#[derive(Debug)]
struct Digests {
    key: String,
    request: String,
}

impl IdempotencyKey {
    /// Claims the key; the response of the first request if there was one.
    ///
    /// # Errors
    /// When the first request was another one.
    pub(super) async fn claim(
        &self,
        state: &AdminState,
        actor: &Actor,
        connection: &mut AnyConnection,
    ) -> ApiResult<Option<String>> {
        let Some(digests) = &self.0 else {
            return Ok(None);
        };
        let now = state.now();
        sqlx::query("DELETE FROM stockade_admin_idempotency WHERE created < $1")
            .bind(now - KEPT)
            .execute(&mut *connection)
            .await?;
        // Waits for a transaction that has claimed the same key.
        let inserted = sqlx::query(
            "INSERT INTO stockade_admin_idempotency (actor, key, request, status, response, \
             created) VALUES ($1, $2, $3, $4, '', $5) ON CONFLICT (actor, key) DO NOTHING",
        )
        .bind(&actor.user_id)
        .bind(&digests.key)
        .bind(&digests.request)
        .bind(i64::from(StatusCode::CREATED.as_u16()))
        .bind(now)
        .execute(&mut *connection)
        .await?;
        if inserted.rows_affected() > 0 {
            return Ok(None);
        }
        let row = sqlx::query(
            "SELECT request, response FROM stockade_admin_idempotency \
             WHERE actor = $1 AND key = $2",
        )
        .bind(&actor.user_id)
        .bind(&digests.key)
        .fetch_one(connection)
        .await?;
        let first: String = row.try_get("request")?;
        match first == digests.request {
            true => Ok(Some(row.try_get("response")?)),
            false => Err(ApiError::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "IDEMPOTENCY_KEY_REUSED",
                "another request was sent with this idempotency-key; use a new one",
            )),
        }
    }

    /// Stores the response for repeated requests.
    pub(super) async fn store(
        &self,
        actor: &Actor,
        response: &str,
        connection: &mut AnyConnection,
    ) -> Result<(), sqlx::Error> {
        let Some(digests) = &self.0 else {
            return Ok(());
        };
        sqlx::query(
            "UPDATE stockade_admin_idempotency SET response = $1 WHERE actor = $2 AND key = $3",
        )
        .bind(response)
        .bind(&actor.user_id)
        .bind(&digests.key)
        .execute(connection)
        .await
        .map(drop)
    }

    /// Stores the id of an item before it is created. Returns the id of the first request with the
    /// same key, and whether there was such a request.
    ///
    /// # Errors
    /// When the first request was another one.
    pub(super) async fn id(
        &self,
        state: &AdminState,
        actor: &Actor,
        id: String,
    ) -> ApiResult<(String, bool)> {
        if self.0.is_none() {
            return Ok((id, false));
        }
        let mut transaction = state.database().begin().await?;
        let first = self.claim(state, actor, &mut transaction).await?;
        if first.is_none() {
            self.store(actor, &id, &mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(match first {
            Some(first) => (first, true),
            None => (id, false),
        })
    }
}

impl<S, T> FromRequest<S> for Creation<T>
where
    S: Sync,
    T: DeserializeOwned,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> ApiResult<Self> {
        let key = read_key(request.headers())?;
        let route = format!("{} {}", request.method(), request.uri().path());
        let bytes = read_json(request, LIMIT).await?;
        let body = parse_json(&bytes)?;
        let key = key.map(|key| {
            // Valid: it was parsed.
            let text = String::from_utf8_lossy(&bytes);
            Digests {
                request: digest(&format!("{key}\n{route}\n{text}")),
                key: digest(&key),
            }
        });
        Ok(Self {
            body,
            key: IdempotencyKey(key),
        })
    }
}

fn read_key(headers: &HeaderMap) -> ApiResult<Option<String>> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let value = value.to_str().ok();
    let value = value.filter(|value| (1..=MAX_LENGTH).contains(&value.len()));
    let value = value.ok_or_else(|| {
        ApiError::invalid("idempotency-key", "must have 1 to 255 characters of ASCII")
    })?;
    Ok(Some(value.to_owned()))
}

/// The error of a repeated request whose response had a secret.
pub(super) fn replayed(message: String) -> ApiError {
    ApiError::new(StatusCode::CONFLICT, "IDEMPOTENT_REPLAY", message)
}
