//! Exports everything without secrets.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use sqlx::Row as _;
use stockade_abuse::Ban;
use stockade_audit::{EventKind, SecurityEvent};
use utoipa::ToSchema;

use super::{answer::Attachment, budgets::BudgetView, routes::Routes};
use crate::{
    Permission, Permissions, SettingView,
    actor::Actor,
    auth::{User, role, user},
    error::ApiResult,
    keys::{self, KeyEntry, KeyView},
    state::AdminState,
    time,
};

/// Where a secret was.
const NOT_EXPORTED: &str = "[not exported]";

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/export", Permission::ConfigRead, export)
}

/// Everything without secrets, for an import.
#[derive(Serialize, ToSchema)]
struct Export {
    format: u32,
    /// The release that wrote it.
    version: &'static str,
    exported_at: String,
    roles: Vec<RoleExport>,
    users: Vec<UserExport>,
    keys: Vec<KeyExport>,
    bans: Vec<BanExport>,
    budgets: Vec<BudgetView>,
    /// Empty if the program does not revoke tokens.
    revocations: Vec<RevocationExport>,
    /// `null` if the program does not show its settings.
    settings: Option<Vec<SettingView>>,
}

#[derive(Serialize, ToSchema)]
struct RoleExport {
    name: String,
    permissions: Vec<&'static str>,
}

#[derive(Serialize, ToSchema)]
struct UserExport {
    username: String,
    role: String,
    disabled: bool,
    /// `[not exported]`.
    password: &'static str,
}

#[derive(Serialize, ToSchema)]
struct KeyExport {
    #[serde(flatten)]
    key: KeyView,
    /// `[not exported]`.
    secret: &'static str,
}

#[derive(Serialize, ToSchema)]
struct BanExport {
    target: String,
    since: String,
    until: Option<String>,
    reason: String,
}

/// A revoked access token.
#[derive(Serialize, ToSchema)]
struct RevocationExport {
    jti: String,
    /// `null` if the revocation is kept for ever.
    expires_at: Option<String>,
}

/// Roles, users, keys, bans, budgets, revocations and settings. The actor needs the permissions to read all of them.
async fn export(
    State(state): State<AdminState>,
    actor: Actor,
) -> ApiResult<Attachment<Json<Export>>> {
    use Permission as P;

    let needed: Permissions = [
        P::KeysRead,
        P::BansRead,
        P::BudgetsRead,
        P::UsersRead,
        P::ConfigRead,
    ]
    .into_iter()
    .collect();
    actor.require_all(needed)?;
    let export = Export {
        format: 1,
        version: env!("CARGO_PKG_VERSION"),
        exported_at: time::rfc3339(state.now()),
        roles: roles(&state).await?,
        users: users(&state).await?,
        keys: all_keys(&state).await?,
        bans: bans(&state),
        budgets: budgets(&state).await?,
        revocations: revocations(&state),
        settings: state.0.settings.as_ref().map(|control| control.settings()),
    };
    state.record(
        &actor,
        SecurityEvent::new(EventKind::Exported).subject("administration"),
    );
    Ok(Attachment {
        disposition: "attachment; filename=\"stockade-admin.json\"",
        response: Json(export),
    })
}

async fn roles(state: &AdminState) -> ApiResult<Vec<RoleExport>> {
    let rows = sqlx::query("SELECT name, permissions FROM stockade_admin_roles ORDER BY name")
        .fetch_all(state.database().pool())
        .await?;
    let mut roles = Vec::with_capacity(rows.len());
    for row in rows {
        let text: String = row.try_get(1)?;
        let permissions = role::from_text(&text);
        roles.push(RoleExport {
            name: row.try_get(0)?,
            permissions: permissions.iter().map(Permission::name).collect(),
        });
    }
    Ok(roles)
}

async fn users(state: &AdminState) -> ApiResult<Vec<UserExport>> {
    let mut connection = state.database().pool().acquire().await?;
    let users = user::list("", i64::MAX, &mut connection).await?;
    let export = |user: User| UserExport {
        username: user.name,
        role: user.role,
        disabled: user.disabled,
        password: NOT_EXPORTED,
    };
    Ok(users.into_iter().map(export).collect())
}

async fn all_keys(state: &AdminState) -> ApiResult<Vec<KeyExport>> {
    let Some(keys) = &state.0.keys else {
        return Ok(Vec::new());
    };
    let now = keys::now();
    let keys = keys.all().await?;
    let export = |key: &Arc<KeyEntry>| KeyExport {
        key: key.view(now),
        secret: NOT_EXPORTED,
    };
    Ok(keys.values().map(export).collect())
}

fn bans(state: &AdminState) -> Vec<BanExport> {
    let bans = state.0.detector.as_ref().map(|detector| detector.bans());
    let mut bans = bans.unwrap_or_default();
    bans.sort_by_key(|ban| ban.since);
    let export = |ban: &Ban| BanExport {
        target: ban.offender.to_string(),
        since: keys::rfc3339(ban.since),
        until: ban.until.map(keys::rfc3339),
        reason: ban.reason.to_string(),
    };
    bans.iter().map(export).collect()
}

async fn budgets(state: &AdminState) -> ApiResult<Vec<BudgetView>> {
    // With what other processes have used.
    state.0.budgets.exchange().await?;
    let budgets = state.0.budgets.list();
    Ok(budgets.iter().map(BudgetView::new).collect())
}

fn revocations(state: &AdminState) -> Vec<RevocationExport> {
    let tokens = state.0.revocations.as_ref();
    let tokens = tokens.map(|tokens| tokens.list(state.now()));
    let export = |(jti, expires): (Box<str>, Option<i64>)| RevocationExport {
        jti: jti.into(),
        expires_at: expires.map(time::rfc3339),
    };
    tokens.into_iter().flatten().map(export).collect()
}
