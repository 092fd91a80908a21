//! Budgets: list, create, change, top up and delete.

mod view;

use axum::{Json, extract::State, response::NoContent};
use serde::Deserialize;
use stockade_audit::{EventKind, SecurityEvent};
use utoipa::ToSchema;

use super::{
    answer::{Changed, Created},
    etag::{IfMatch, Tagged},
    idempotency::Creation,
    json::{ApiJson, ApiPath},
    routes::Routes,
};
use crate::{
    Permission,
    actor::Actor,
    budget::{Budget, BudgetKind, BudgetPeriod, BudgetStatus, BudgetUnit},
    error::{ApiError, ApiResult},
    id,
    page::Page,
    state::AdminState,
    time,
};
pub(crate) use view::BudgetView;

/// The maximum length of a name, in bytes.
const MAX_NAME: usize = 256;

/// The maximum of an amount, in its unit: 2^53, which JSON numbers represent exactly.
const MAX_AMOUNT: f64 = 9_007_199_254_740_992.0;

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .get("/budgets", Permission::BudgetsRead, list)
        .post("/budgets", Permission::BudgetsWrite, create)
        .get("/budgets/{id}", Permission::BudgetsRead, get)
        .patch("/budgets/{id}", Permission::BudgetsWrite, change)
        .post("/budgets/{id}/top-up", Permission::BudgetsWrite, top_up)
        .delete("/budgets/{id}", Permission::BudgetsWrite, delete)
}

/// A new budget.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewBudget {
    pub(super) subject: Subject,
    pub(super) model: Option<String>,
    pub(super) unit: String,
    pub(super) limit: f64,
    /// `day`, `week` or `month`; without one, the amount is prepaid.
    pub(super) window: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Subject {
    kind: String,
    name: Option<String>,
}

/// A change of a budget.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BudgetChange {
    limit: f64,
}

/// An addition to a budget.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TopUp {
    amount: f64,
}

async fn list(State(state): State<AdminState>, _: Actor) -> Json<Page<BudgetView>> {
    // All in one page: budgets are set by hand.
    let budgets = state.0.budgets.list();
    Json(Page {
        data: budgets.iter().map(BudgetView::new).collect(),
        next_cursor: None,
    })
}

async fn get(
    State(state): State<AdminState>,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<Tagged<BudgetView>> {
    find(&state, &id).map(|budget| tagged(&budget))
}

async fn create(
    State(state): State<AdminState>,
    actor: Actor,
    Creation { body, key }: Creation<NewBudget>,
) -> ApiResult<Created<BudgetView>> {
    let new = BudgetStatus::new(budget(body)?);
    let view = BudgetView::new(&new);
    let created = Created::new(&view);
    let mut transaction = state.database().begin().await?;
    let first = key.claim(&state, &actor, &mut transaction).await?;
    if let Some(first) = first {
        return Ok(Created::stored(first));
    }
    let budgets = &state.0.budgets;
    budgets.insert(&new.budget, &mut transaction).await?;
    key.store(&actor, created.text(), &mut transaction).await?;
    transaction.commit().await?;
    budgets.exchange().await?;
    changed(&state, &actor, &new.budget.id, format!("created: {view}"));
    Ok(created.tag(etag(&new)))
}

async fn change(
    State(state): State<AdminState>,
    actor: Actor,
    ApiPath(id): ApiPath<String>,
    condition: IfMatch,
    ApiJson(body): ApiJson<BudgetChange>,
) -> ApiResult<Tagged<BudgetView>> {
    let before = find(&state, &id)?;
    condition.check(&etag(&before))?;
    let (old, new) = (
        before.budget.limit,
        amount("limit", before.budget.unit, body.limit)?,
    );
    // Another process may change the limit after this check.
    if !state.0.budgets.set_limit(&id, old, new).await? {
        return Err(ApiError::changed_meanwhile());
    }
    let after = tagged(&find(&state, &id)?);
    let detail = format!(
        "limit: {} → {}",
        BudgetView::new(&before).limit,
        after.item.limit
    );
    changed(&state, &actor, &id, detail);
    Ok(after)
}

async fn top_up(
    State(state): State<AdminState>,
    actor: Actor,
    ApiPath(id): ApiPath<String>,
    Creation { body, key }: Creation<TopUp>,
) -> ApiResult<Changed<BudgetView>> {
    let before = find(&state, &id)?;
    let added = amount("amount", before.budget.unit, body.amount)?;
    if before.budget.limit.saturating_add(added) > i64::MAX / 2 {
        return Err(ApiError::invalid("amount", "the limit would be too large"));
    }
    let mut transaction = state.database().begin().await?;
    let first = key.claim(&state, &actor, &mut transaction).await?;
    if let Some(first) = first {
        return Ok(Changed::stored(first));
    }
    let budgets = &state.0.budgets;
    let limit = budgets.top_up(&id, added, &mut transaction).await?;
    let mut after = before;
    after.budget.limit = limit.ok_or_else(not_found)?;
    let view = BudgetView::new(&after);
    let topped_up = Changed::new(&view);
    key.store(&actor, topped_up.text(), &mut transaction)
        .await?;
    transaction.commit().await?;
    budgets.exchange().await?;
    let detail = format!("top-up of {}: limit {}", body.amount, view.limit);
    changed(&state, &actor, &id, detail);
    Ok(topped_up.tag(etag(&after)))
}

async fn delete(
    State(state): State<AdminState>,
    actor: Actor,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<NoContent> {
    if !state.0.budgets.delete(&id).await? {
        return Err(not_found());
    }
    changed(&state, &actor, &id, "deleted".to_owned());
    Ok(NoContent)
}

fn find(state: &AdminState, id: &str) -> ApiResult<BudgetStatus> {
    state.0.budgets.get(id).ok_or_else(not_found)
}

fn tagged(status: &BudgetStatus) -> Tagged<BudgetView> {
    Tagged {
        tag: etag(status),
        item: BudgetView::new(status),
    }
}

/// The entity tag: the limit, which is all that changes of a budget set.
fn etag(status: &BudgetStatus) -> String {
    format!("\"l{}\"", status.budget.limit)
}

fn not_found() -> ApiError {
    ApiError::not_found("there is no budget with this id")
}

pub(super) fn changed(state: &AdminState, actor: &Actor, id: &str, detail: String) {
    let event = SecurityEvent::new(EventKind::BudgetChanged).subject(id.to_owned());
    state.record(actor, event.detail(detail));
}

pub(super) fn budget(body: NewBudget) -> ApiResult<Budget> {
    let kind = BudgetKind::of_name(&body.subject.kind).ok_or_else(|| {
        ApiError::invalid(
            "subject.kind",
            "must be \"key\", \"owner\", \"team\" or \"all\"",
        )
    })?;
    let subject = match (kind, body.subject.name) {
        (BudgetKind::All, None) => String::new(),
        (BudgetKind::All, Some(_)) => {
            let text = "must not be set for the kind \"all\"";
            return Err(ApiError::invalid("subject.name", text));
        }
        (_, Some(name)) => named("subject.name", name)?,
        (_, None) => return Err(ApiError::invalid("subject.name", "must be set")),
    };
    let unit = BudgetUnit::of_name(&body.unit).ok_or_else(|| {
        ApiError::invalid("unit", "must be \"money\", \"tokens\" or \"requests\"")
    })?;
    let period = body.window.map(|name| {
        let text = "must be \"day\", \"week\", \"month\" or null";
        BudgetPeriod::of_name(&name).ok_or_else(|| ApiError::invalid("window", text))
    });
    Ok(Budget {
        id: id::random_id("bud")?,
        kind,
        subject,
        model: body.model.map(|model| named("model", model)).transpose()?,
        unit,
        limit: amount("limit", unit, body.limit)?,
        period: period.transpose()?,
        created: time::now(),
    })
}

fn named(field: &'static str, name: String) -> ApiResult<String> {
    let fits = (1..=MAX_NAME).contains(&name.len()) && !name.contains(char::is_control);
    let error = || ApiError::invalid(field, "must have 1 to 256 bytes and no control characters");
    fits.then_some(name).ok_or_else(error)
}

/// An amount in the unit of the database.
pub(super) fn amount(field: &'static str, unit: BudgetUnit, amount: f64) -> ApiResult<i64> {
    let scaled = amount * view::scale(unit);
    // Also refuses NaN.
    if !(1.0..=MAX_AMOUNT).contains(&scaled) {
        let text = "must be over zero and at most 9,007,199,254 (money) or 2^53";
        return Err(ApiError::invalid(field, text));
    }
    if unit != BudgetUnit::Money && amount.fract() != 0.0 {
        return Err(ApiError::invalid(field, "must be a whole number"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "it was checked")]
    Ok(scaled.round() as i64)
}
