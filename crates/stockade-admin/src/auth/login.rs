//! Logins with a password.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use stockade_audit::{EventKind, SecurityEvent};
use utoipa::ToSchema;

use super::{
    Client, NewSession, Password, User, known_networks,
    password::Lane,
    session::{self, Lifetime},
    totp, user,
};
use crate::{
    actor::Actor,
    error::{ApiError, ApiResult},
    state::AdminState,
};

/// The body of a login.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    username: String,
    #[schema(value_type = String, format = Password)]
    password: Password,
    /// The one-time code of users who have set up such codes.
    code: Option<String>,
}

impl Login {
    pub(crate) fn new(username: String, password: Password, code: Option<String>) -> Self {
        Self {
            username,
            password,
            code,
        }
    }
}

/// A user with a new session.
pub(crate) struct LoggedIn {
    pub(crate) user: User,
    pub(crate) session: NewSession,
}

/// Verifies a password and starts a session. Unknown users, wrong passwords and disabled users
/// take the same work and have the same error.
pub(crate) async fn login(
    state: &AdminState,
    client: &Client,
    login: &Login,
    old_secret: Option<&str>,
) -> ApiResult<LoggedIn> {
    let now = state.now();
    let name = user::fold(&login.username);
    let network = client.network();
    let (found, known) = {
        let mut connection = state.database().pool().acquire().await?;
        // No user has an invalid name; PostgreSQL refuses some of them.
        let valid = user::parse_name(&name).unwrap_or_default();
        let user = user::by_name(&valid, &mut connection).await?;
        let id = user.as_ref().map_or("", |user| &*user.id);
        let known = known_networks::contains(id, network, now, &mut *connection).await?;
        (user, known)
    };
    let auth = &state.0.auth;
    let attempt = auth.throttle.begin(now, network, &name, known);
    let attempt = attempt.map_err(throttled)?;
    let lane = if known { Lane::Known } else { Lane::Other };
    let hash = found.as_ref().and_then(|user| user.password.as_deref());
    let matches = auth.passwords.verify(lane, &login.password, hash).await;
    if matches.is_err() {
        // Nothing was verified.
        auth.throttle.succeed(&attempt);
    }
    let event = failure(found.as_ref());
    let user = found.filter(|user| !user.disabled);
    let Some(user) = user.filter(|_| matches.as_ref().is_ok_and(|matches| *matches)) else {
        matches?;
        state.record_as(client, event);
        return Err(ApiError::unauthenticated(
            "the user name or the password is wrong",
        ));
    };
    auth.throttle.succeed(&attempt);
    if user.totp_ready {
        verify_code(state, client, &user, login.code.as_deref()).await?;
    }
    start_session(state, client, user, old_secret).await
}

/// The event of a failed login. Unknown names are not recorded: they may be passwords.
fn failure(user: Option<&User>) -> SecurityEvent {
    let event = SecurityEvent::new(EventKind::LoginFailed);
    match user {
        Some(user) if user.disabled => event.user(user.name.clone()).detail("disabled user"),
        Some(user) => event.user(user.name.clone()),
        None => event.detail("unknown user"),
    }
}

/// Verifies the one-time code of a user, after the password.
async fn verify_code(
    state: &AdminState,
    client: &Client,
    user: &User,
    code: Option<&str>,
) -> ApiResult<()> {
    let required = |message| ApiError::new(StatusCode::UNAUTHORIZED, "CODE_REQUIRED", message);
    let code = code.ok_or_else(|| required("a one-time code is required"))?;
    let (now, throttle) = (state.now(), &state.0.auth.throttle);
    let attempt = throttle.begin_code(now, &user.name).map_err(throttled)?;
    let secret = user.totp.as_deref().unwrap_or_default();
    let step = totp::check(secret, code, now);
    let accepted = match step {
        Some(step) => totp::use_step(&user.id, step, state.database().pool()).await?,
        None => false,
    };
    if !accepted {
        let event = SecurityEvent::new(EventKind::LoginFailed).user(user.name.clone());
        state.record_as(client, event.detail("wrong one-time code"));
        return Err(required("the one-time code is wrong or was used before"));
    }
    throttle.succeed(&attempt);
    Ok(())
}

/// Starts a session of a user who has just been authenticated, in place of the session of the
/// browser.
pub(crate) async fn start_session(
    state: &AdminState,
    client: &Client,
    mut user: User,
    old_secret: Option<&str>,
) -> ApiResult<LoggedIn> {
    let now = state.now();
    let lifetime = Lifetime::of(&state.0.config);
    let pool = state.database().pool();
    // Not in the transaction: concurrent logins could wait for each other.
    session::remove_expired(lifetime, now, pool).await?;
    known_networks::remove_expired(now, pool).await?;
    let mut transaction = state.database().begin().await?;
    if let Some(secret) = old_secret {
        session::end_by_secret(secret, &mut *transaction).await?;
    }
    known_networks::insert(&user.id, client.network(), now, &mut *transaction).await?;
    sqlx::query("UPDATE stockade_admin_users SET last_login = $1 WHERE id = $2")
        .bind(now)
        .bind(&*user.id)
        .execute(&mut *transaction)
        .await?;
    let session = session::start(&user.id, client, lifetime, now, &mut *transaction).await?;
    session::end_excess(&user.id, &mut *transaction).await?;
    transaction.commit().await?;
    user.last_login = Some(now);
    state.record_as(
        client,
        SecurityEvent::new(EventKind::Login).user(user.name.clone()),
    );
    Ok(LoggedIn { user, session })
}

/// Verifies the password of an actor again, before a change that a stolen session must not make.
///
/// # Errors
/// The error is about the field `param`.
pub(crate) async fn reauthenticate(
    state: &AdminState,
    actor: &Actor,
    client: &Client,
    password: &Password,
    param: &'static str,
) -> ApiResult<User> {
    let auth = &state.0.auth;
    let (now, network) = (state.now(), client.network());
    let attempt = auth.throttle.begin(now, network, &actor.name, true);
    let attempt = attempt.map_err(throttled)?;
    let user = {
        let mut connection = state.database().pool().acquire().await?;
        user::by_id(&actor.user_id, &mut connection).await?
    };
    let hash = user.as_ref().and_then(|user| user.password.as_deref());
    let matches = auth.passwords.verify(Lane::Known, password, hash).await?;
    let user = user.filter(|_| matches);
    let user = user.ok_or_else(|| ApiError::invalid(param, "the password is wrong"))?;
    auth.throttle.succeed(&attempt);
    Ok(user)
}

fn throttled(wait: Duration) -> ApiError {
    let error = ApiError::new(
        StatusCode::TOO_MANY_REQUESTS,
        "RATE_LIMITED",
        "too many failed logins; try again later",
    );
    error.retry_after(wait)
}
