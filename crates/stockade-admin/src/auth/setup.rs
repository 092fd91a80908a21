//! The first user, created with a one-time token that the program prints at its start.

use serde::Deserialize;
use sqlx::Row as _;
use stockade_audit::{EventKind, SecurityEvent};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::{Client, LoggedIn, Password, login::start_session, password::Lane, role, user};
use crate::{
    AdminError,
    error::{ApiError, ApiResult},
    id,
    state::AdminState,
};

const LIFETIME_MS: i64 = 24 * 3_600_000;

/// The body of a setup.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setup {
    #[schema(value_type = String, format = Password)]
    token: SetupToken,
    username: String,
    #[schema(value_type = String, format = Password)]
    password: Password,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct SetupToken(Zeroizing<String>);

impl std::fmt::Debug for SetupToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Whether there is no user yet.
pub(crate) async fn is_required(state: &AdminState) -> Result<bool, sqlx::Error> {
    Ok(user::count(state.database().pool()).await? == 0)
}

/// Replaces the token; `None` if there is a user.
pub(crate) async fn create_token(state: &AdminState) -> Result<Option<String>, AdminError> {
    let token = id::random_text::<32>()?;
    let stored = store_token(state, &token).await.map_err(|error| {
        AdminError::new("cannot store the setup token of the administration").with_source(error)
    })?;
    Ok(stored.then_some(token))
}

async fn store_token(state: &AdminState, token: &str) -> Result<bool, sqlx::Error> {
    let mut transaction = state.database().begin().await?;
    if user::count(&mut *transaction).await? > 0 {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO stockade_admin_setup (id, digest, expires) VALUES (1, $1, $2) \
         ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, expires = excluded.expires",
    )
    .bind(id::digest(token))
    .bind(state.now() + LIFETIME_MS)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(true)
}

/// Creates the first user, with the role `admin`, and logs in.
pub(crate) async fn run(
    state: &AdminState,
    client: &Client,
    setup: &Setup,
    old_secret: Option<&str>,
) -> ApiResult<LoggedIn> {
    let digest = id::digest(&setup.token.0);
    // Before the password is hashed: only the holder of the token can cause that work.
    if !is_current(state, &digest).await? {
        return Err(wrong_token());
    }
    let name = user::parse_name(&setup.username)?;
    setup.password.check(&name, "password")?;
    let passwords = &state.0.auth.passwords;
    let password = passwords.hash(Lane::Known, &setup.password).await?;
    let mut transaction = state.database().begin().await?;
    // Of concurrent requests, one deletes the row.
    let used = sqlx::query("DELETE FROM stockade_admin_setup WHERE digest = $1 AND expires > $2")
        .bind(&*digest)
        .bind(state.now())
        .execute(&mut *transaction)
        .await?;
    if used.rows_affected() != 1 || user::count(&mut *transaction).await? > 0 {
        return Err(wrong_token());
    }
    let id = user::create(
        &name,
        role::ADMIN,
        &password,
        state.now(),
        &mut *transaction,
    )
    .await?;
    let user = user::by_id(&id, &mut transaction).await?;
    let user = user.ok_or(sqlx::Error::RowNotFound)?;
    transaction.commit().await?;
    let event = SecurityEvent::new(EventKind::UserCreated).user(name.clone());
    state.record_as(
        client,
        event
            .subject(name)
            .detail("role: admin; by the setup token"),
    );
    start_session(state, client, user, old_secret).await
}

/// The lookup is by a digest, so its time reveals nothing about the token.
async fn is_current(state: &AdminState, digest: &str) -> Result<bool, sqlx::Error> {
    let row =
        sqlx::query("SELECT count(*) FROM stockade_admin_setup WHERE digest = $1 AND expires > $2")
            .bind(digest)
            .bind(state.now())
            .fetch_one(state.database().pool())
            .await?;
    Ok(row.try_get::<i64, _>(0)? == 1)
}

fn wrong_token() -> ApiError {
    let error = ApiError::unauthenticated(
        "the setup token is wrong, used or expired; restart the program for a new one",
    );
    error.param("token")
}
