//! Bans: list, add and lift.

mod history;
mod list;

use std::time::Duration;

use axum::{extract::State, response::NoContent};
use serde::{Deserialize, Deserializer};
use stockade_abuse::{Detector, Offender};
use stockade_audit::{EventKind, SecurityEvent};
use utoipa::ToSchema;

use super::{answer::Created, idempotency::Creation, json::ApiPath, routes::Routes};
use crate::{
    Permission,
    actor::Actor,
    error::{ApiError, ApiResult},
    state::AdminState,
};
use list::BanView;

/// Ten years; a longer ban is a permanent one.
const MAX_SECS: u64 = 10 * 365 * 24 * 60 * 60;
const MAX_REASON: usize = 200;

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .get("/bans", Permission::BansRead, list::list)
        .post("/bans", Permission::BansWrite, ban)
        .delete("/bans/{target}", Permission::BansWrite, lift)
        .get(
            "/bans/{target}/history",
            Permission::BansRead,
            history::history,
        )
}

/// A new ban.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewBan {
    /// `192.0.2.1`, `2001:db8::/64` or `key:ID`.
    target: String,
    /// Permanent if it is `null`; it must be present, so that nothing is banned permanently by
    /// mistake.
    #[serde(deserialize_with = "present")]
    #[schema(required = true)]
    duration_secs: Option<u64>,
    reason: String,
}

async fn ban(
    State(state): State<AdminState>,
    actor: Actor,
    Creation { body, key }: Creation<NewBan>,
) -> ApiResult<Created<BanView>> {
    let detector = detector(&state)?;
    let target = offender("target", &body.target)?;
    if body
        .duration_secs
        .is_some_and(|secs| !(1..=MAX_SECS).contains(&secs))
    {
        return Err(ApiError::invalid(
            "duration_secs",
            "must be null or from 1 second to 10 years",
        ));
    }
    // Deny-lists have one line a ban.
    let is_line = !body.reason.contains(char::is_control);
    if !is_line || !(1..=MAX_REASON).contains(&body.reason.trim().len()) {
        return Err(ApiError::invalid(
            "reason",
            "must have 1 to 200 bytes and no control characters",
        ));
    }
    let mut transaction = state.database().begin().await?;
    let first = key.claim(&state, &actor, &mut transaction).await?;
    if let Some(first) = first {
        return Ok(Created::stored(first));
    }
    let length = body.duration_secs.map(Duration::from_secs);
    detector.ban(target.clone(), length, body.reason.trim());
    let mut bans = detector.bans().into_iter();
    let made = bans.find(|ban| ban.offender == target);
    let made = made.ok_or_else(|| ApiError::conflict("too many bans are active; lift others"))?;
    let created = Created::new(&BanView::new(&made));
    key.store(&actor, created.text(), &mut transaction).await?;
    transaction.commit().await?;
    let length = match body.duration_secs {
        Some(secs) => format!("{secs}s"),
        None => "permanently".to_owned(),
    };
    changed(
        &state,
        &actor,
        &target,
        format!("banned: {length}, {}", made.reason),
    );
    Ok(created)
}

async fn lift(
    State(state): State<AdminState>,
    actor: Actor,
    ApiPath(target): ApiPath<String>,
) -> ApiResult<NoContent> {
    let target = offender("target", &target)?;
    if !detector(&state)?.unban(&target) {
        return Err(ApiError::not_found("no ban has exactly this target"));
    }
    changed(&state, &actor, &target, "lifted".to_owned());
    Ok(NoContent)
}

/// Records who changed a ban. The fence records the ban itself in an event of another kind.
fn changed(state: &AdminState, actor: &Actor, target: &Offender, detail: String) {
    let event = SecurityEvent::new(EventKind::BanChanged).subject(target.to_string());
    state.record(actor, event.detail(detail));
}

fn detector(state: &AdminState) -> ApiResult<&Detector> {
    let detector = state.0.detector.as_ref();
    detector.ok_or_else(|| ApiError::not_found("this program has no bans"))
}

fn offender(field: &'static str, text: &str) -> ApiResult<Offender> {
    text.parse()
        .map_err(|error: stockade_abuse::OffenderError| ApiError::invalid(field, error.to_string()))
}

fn present<'de, D>(deserializer: D) -> Result<Option<u64>, D::Error>
where
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer)
}
