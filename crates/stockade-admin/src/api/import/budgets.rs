//! Imports budgets, with what was used of them.

use serde::Deserialize;
use sqlx::AnyConnection;
use utoipa::ToSchema;

use super::Part;
use crate::{
    actor::Actor,
    api::budgets::{BudgetView, NewBudget, Subject, amount, budget, changed},
    budget::{Budget, BudgetStatus},
    error::{ApiError, ApiResult},
    state::AdminState,
    time,
};

/// A budget of an export. The other fields are ignored.
#[derive(Deserialize, ToSchema)]
pub(super) struct BudgetImport {
    subject: Subject,
    model: Option<String>,
    unit: String,
    limit: f64,
    window: Option<String>,
    #[serde(default)]
    spent: f64,
    /// The window in which that was used; `null` for a prepaid amount.
    window_start: Option<String>,
}

pub(super) struct NewEntry {
    budget: Budget,
    /// What was used since this time.
    spent: Option<(i64, i64)>,
}

/// The budgets that are not there: none with the same subject, model, unit and window.
pub(super) fn parse(
    state: &AdminState,
    imports: Vec<BudgetImport>,
    part: &mut Part,
) -> ApiResult<Vec<NewEntry>> {
    let present = state.0.budgets.list();
    let mut new = Vec::new();
    for (at, import) in imports.into_iter().enumerate() {
        let entry = entry(import).map_err(|error| error.within(&format!("budgets[{at}]")))?;
        let name = BudgetView::new(&BudgetStatus::new(entry.budget.clone())).to_string();
        if present
            .iter()
            .any(|status| status.budget.counts_the_same(&entry.budget))
        {
            part.skipped.push(name);
        } else {
            part.created.push(name);
            new.push(entry);
        }
    }
    Ok(new)
}

/// Adds budgets, which are in force after the transaction and an exchange.
pub(super) async fn insert(
    state: &AdminState,
    entries: &[NewEntry],
    connection: &mut AnyConnection,
) -> ApiResult<()> {
    let budgets = &state.0.budgets;
    for NewEntry { budget, spent } in entries {
        budgets.insert(budget, connection).await?;
        if let Some((start, amount)) = spent {
            budgets
                .add_spent(&budget.id, *start, *amount, connection)
                .await?;
        }
    }
    Ok(())
}

/// Records each new budget.
pub(super) fn record(state: &AdminState, actor: &Actor, entries: &[NewEntry]) {
    for NewEntry { budget, .. } in entries {
        let view = BudgetView::new(&BudgetStatus::new(budget.clone()));
        changed(state, actor, &budget.id, format!("imported: {view}"));
    }
}

fn entry(import: BudgetImport) -> ApiResult<NewEntry> {
    let budget = budget(NewBudget {
        subject: import.subject,
        model: import.model,
        unit: import.unit,
        limit: import.limit,
        window: import.window,
    })?;
    let start = import.window_start.map(|text| {
        let start = time::parse(&text);
        start.ok_or_else(|| ApiError::invalid("window_start", "must be a time or null"))
    });
    let start = match budget.period {
        Some(_) => start.transpose()?,
        None => Some(0),
    };
    let spent = match import.spent {
        0.0 => None,
        spent => Some(amount("spent", budget.unit, spent)?),
    };
    Ok(NewEntry {
        budget,
        spent: start.zip(spent),
    })
}
