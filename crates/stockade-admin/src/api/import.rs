//! Imports an export, and compares its settings.

mod bans;
mod budgets;
mod keys;
mod revocations;
mod settings;
mod users;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use stockade_audit::{EventKind, SecurityEvent};
use utoipa::{IntoParams, ToSchema};

use super::{
    json::{ApiJson, ApiQuery},
    routes::Routes,
};
use crate::{
    Permission,
    actor::Actor,
    error::{ApiError, ApiResult},
    state::AdminState,
};
use bans::BanImport;
use budgets::BudgetImport;
use keys::{KeyImport, KeysReport};
use revocations::RevocationImport;
use settings::{SettingImport, SettingsReport};
use users::{RoleImport, UserImport};

/// The maximum length of an export, in bytes: that of about 80,000 keys.
const MAX_LENGTH: usize = 32 << 20;

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/import", Permission::ConfigWrite, import)
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
struct ImportQuery {
    /// Reports what would be created, and creates nothing.
    dry_run: bool,
}

/// An export. The other fields are ignored.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Import {
    format: u32,
    #[serde(default)]
    roles: Vec<RoleImport>,
    #[serde(default)]
    users: Vec<UserImport>,
    #[serde(default)]
    bans: Vec<BanImport>,
    #[serde(default)]
    keys: Vec<KeyImport>,
    #[serde(default)]
    budgets: Vec<BudgetImport>,
    #[serde(default)]
    revocations: Vec<RevocationImport>,
    settings: Option<Vec<SettingImport>>,
    #[serde(rename = "version")]
    _version: Option<String>,
    #[serde(rename = "exported_at")]
    _exported_at: Option<String>,
}

/// What was created, or would be; existing ones are skipped.
#[derive(Default, Serialize, ToSchema)]
struct Report {
    dry_run: bool,
    roles: Part,
    /// Created without a password, and disabled.
    users: Part,
    keys: KeysReport,
    bans: Part,
    /// With what was used of them.
    budgets: Part,
    /// All are skipped if this program does not revoke tokens.
    revocations: Part,
    /// Settings are not imported. `null` if the export has none, or this program does not show its
    /// own.
    settings: Option<SettingsReport>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
struct Part {
    created: Vec<String>,
    skipped: Vec<String>,
}

async fn import(
    State(state): State<AdminState>,
    actor: Actor,
    ApiQuery(query): ApiQuery<ImportQuery>,
    ApiJson(body): ApiJson<Import, MAX_LENGTH>,
) -> ApiResult<Json<Report>> {
    if body.format != 1 {
        return Err(ApiError::invalid("format", "must be 1"));
    }
    if !body.roles.is_empty() || !body.users.is_empty() {
        actor.require(Permission::UsersWrite)?;
    }
    if !body.bans.is_empty() {
        actor.require(Permission::BansWrite)?;
    }
    if !body.keys.is_empty() || !body.revocations.is_empty() {
        actor.require(Permission::KeysWrite)?;
    }
    if !body.budgets.is_empty() {
        actor.require(Permission::BudgetsWrite)?;
    }
    let mut report = Report {
        dry_run: query.dry_run,
        ..Report::default()
    };
    if let (Some(exported), Some(control)) = (body.settings, &state.0.settings) {
        actor.require(Permission::ConfigRead)?;
        report.settings = Some(settings::compare(exported, control.settings()));
    }
    let bans = bans::parse(&state, &body.bans, &mut report.bans)?;
    let budgets = budgets::parse(&state, body.budgets, &mut report.budgets)?;
    let revocations = revocations::parse(&state, body.revocations, &mut report.revocations)?;
    let keys = keys::generate(&state, body.keys, &mut report.keys).await?;
    let mut transaction = state.database().begin().await?;
    for role in &body.roles {
        users::import_role(&actor, role, &mut report.roles, &mut transaction).await?;
    }
    for user in &body.users {
        let now = state.now();
        users::import_user(&actor, user, now, &mut report.users, &mut transaction).await?;
    }
    if query.dry_run {
        transaction.rollback().await?;
        return Ok(Json(report));
    }
    budgets::insert(&state, &budgets, &mut transaction).await?;
    revocations::insert(&state, &revocations, &mut transaction).await?;
    transaction.commit().await?;
    // The task of the budgets repeats an exchange that fails, and logs it.
    let _ = state.0.budgets.exchange().await;
    budgets::record(&state, &actor, &budgets);
    revocations::record(&state, &actor, &revocations);
    if let Some(detector) = &state.0.detector {
        for (target, length, reason) in bans {
            detector.ban(target, length, reason);
        }
    }
    keys::create(&state, &actor, keys, &mut report.keys).await?;
    for (kind, part) in [
        ("roles", &report.roles),
        ("users", &report.users),
        ("bans", &report.bans),
    ] {
        for name in &part.created {
            let event = SecurityEvent::new(EventKind::Imported).subject(name.clone());
            state.record(&actor, event.detail(kind));
        }
    }
    Ok(Json(report))
}
