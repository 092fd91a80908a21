//! Changes of users, which keep an administrator.

use axum::{extract::State, response::NoContent};
use serde::Deserialize;
use sqlx::{AnyConnection, Row as _};
use stockade_audit::{EventKind, SecurityEvent};
use utoipa::ToSchema;

use super::{etag, find, require_role, tagged};
use crate::{
    actor::Actor,
    api::{
        etag::{IfMatch, Tagged},
        json::{ApiJson, ApiPath},
    },
    auth::{Lane, Password, User, UserView, session},
    error::{ApiError, ApiResult},
    state::AdminState,
};

/// The body of a change; missing fields stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    role: Option<String>,
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<Password>,
    disabled: Option<bool>,
    /// `false` removes the one-time codes of a user who has lost them.
    has_totp: Option<bool>,
}

pub(super) async fn change(
    State(state): State<AdminState>,
    actor: Actor,
    ApiPath(id): ApiPath<String>,
    condition: IfMatch,
    ApiJson(body): ApiJson<Change>,
) -> ApiResult<Tagged<UserView>> {
    {
        // Before the password is hashed, which takes time.
        let mut connection = state.database().pool().acquire().await?;
        check(&actor, &id, &condition, &body, &mut connection).await?;
    }
    let hash = match &body.password {
        Some(password) => Some(state.0.auth.passwords.hash(Lane::Known, password).await?),
        None => None,
    };
    let mut transaction = state.database().begin().await?;
    lock_admins(&mut transaction).await?;
    let before = check(&actor, &id, &condition, &body, &mut transaction).await?;
    let mut after = before.clone();
    after.version += 1;
    after.role = body.role.unwrap_or(after.role);
    after.disabled = body.disabled.unwrap_or(after.disabled);
    if hash.is_some() {
        after.password = hash;
    }
    if body.has_totp == Some(false) {
        (after.totp, after.totp_ready) = (None, false);
    }
    store(&after, &mut transaction).await?;
    if after.disabled || after.password != before.password {
        session::end_all(&id, &mut *transaction).await?;
    }
    require_an_admin(&mut transaction).await?;
    let user = find(&id, &mut transaction).await?;
    transaction.commit().await?;
    let event = SecurityEvent::new(EventKind::UserChanged).subject(user.name.clone());
    state.record(&actor, event.detail(differences(&before, &user)));
    Ok(tagged(&user))
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    actor: Actor,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<NoContent> {
    let mut transaction = state.database().begin().await?;
    lock_admins(&mut transaction).await?;
    let user = find(&id, &mut transaction).await?;
    actor.require_all(user.permissions)?;
    // Also deletes the sessions and the tokens.
    sqlx::query("DELETE FROM stockade_admin_users WHERE id = $1")
        .bind(&*id)
        .execute(&mut *transaction)
        .await?;
    require_an_admin(&mut transaction).await?;
    transaction.commit().await?;
    let event = SecurityEvent::new(EventKind::UserDeleted).subject(user.name);
    state.record(&actor, event.detail(format!("role: {}", user.role)));
    Ok(NoContent)
}

/// Returns the user before the change, if the actor may make it.
///
/// A user with more permissions than the actor is out of reach: with a new password, the actor
/// could log in as that user.
async fn check(
    actor: &Actor,
    id: &str,
    condition: &IfMatch,
    body: &Change,
    connection: &mut AnyConnection,
) -> ApiResult<User> {
    let user = find(id, connection).await?;
    actor.require_all(user.permissions)?;
    condition.check(&etag(&user))?;
    if let Some(role) = &body.role {
        require_role(actor, role, connection).await?;
    }
    if let Some(password) = &body.password {
        if actor.user_id == user.id {
            let rule = "change your own password with POST /admin/v1/password";
            return Err(ApiError::invalid("password", rule));
        }
        password.check(&user.name, "password")?;
    }
    match body.has_totp {
        Some(true) => Err(ApiError::invalid(
            "has_totp",
            "only users can set up their codes",
        )),
        Some(false) if actor.user_id == user.id => {
            let rule = "remove your own codes with DELETE /admin/v1/totp";
            Err(ApiError::invalid("has_totp", rule))
        }
        _ => Ok(user),
    }
}

async fn store(user: &User, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE stockade_admin_users SET role = $1, password = $2, totp = $3, totp_ready = $4, \
         disabled = $5, version = $6 WHERE id = $7",
    )
    .bind(&*user.role)
    .bind(user.password.as_deref())
    .bind(user.totp.as_deref())
    .bind(i64::from(user.totp_ready))
    .bind(i64::from(user.disabled))
    .bind(user.version)
    .bind(&*user.id)
    .execute(connection)
    .await
    .map(drop)
}

/// Serialises the changes of administrators in PostgreSQL: two of them could otherwise remove
/// each other.
async fn lock_admins(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE stockade_admin_users SET version = version WHERE role = 'admin'")
        .execute(connection)
        .await
        .map(drop)
}

async fn require_an_admin(connection: &mut AnyConnection) -> ApiResult<()> {
    let row = sqlx::query(
        "SELECT count(*) FROM stockade_admin_users WHERE role = 'admin' AND disabled = 0",
    )
    .fetch_one(connection)
    .await?;
    match row.try_get::<i64, _>(0)? {
        0 => Err(ApiError::conflict(
            "this is the last user with the role admin; give it to another user first",
        )),
        _ => Ok(()),
    }
}

/// What changed, without secrets.
fn differences(before: &User, after: &User) -> String {
    let mut changes = Vec::new();
    if before.role != after.role {
        changes.push(format!("role: {} → {}", before.role, after.role));
    }
    if before.disabled != after.disabled {
        changes.push(format!(
            "disabled: {} → {}",
            before.disabled, after.disabled
        ));
    }
    if before.password != after.password {
        changes.push("new password".to_owned());
    }
    if before.totp_ready != after.totp_ready {
        changes.push("one-time codes: removed".to_owned());
    }
    match changes.is_empty() {
        true => "no difference".to_owned(),
        false => changes.join("; "),
    }
}
