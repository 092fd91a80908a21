//! Budgets as the API shows them.

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    budget::{BudgetPeriod, BudgetStatus, BudgetUnit},
    time::rfc3339,
};

/// A budget with what was used of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct BudgetView {
    id: String,
    subject: SubjectView,
    model: Option<String>,
    unit: &'static str,
    pub(super) limit: f64,
    /// `None` for an amount that is prepaid.
    window: Option<&'static str>,
    spent: f64,
    /// What requests in progress may use.
    reserved: f64,
    window_start: Option<String>,
    resets_at: Option<String>,
    created_at: String,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
struct SubjectView {
    kind: &'static str,
    name: Option<String>,
}

impl BudgetView {
    pub(crate) fn new(status: &BudgetStatus) -> Self {
        let budget = &status.budget;
        let shown = |amount: i64| from_units(budget.unit, amount);
        Self {
            id: budget.id.clone(),
            subject: SubjectView {
                kind: budget.kind.name(),
                name: Some(budget.subject.clone()).filter(|name| !name.is_empty()),
            },
            model: budget.model.clone(),
            unit: budget.unit.name(),
            limit: shown(budget.limit),
            window: budget.period.map(BudgetPeriod::name),
            spent: shown(status.spent),
            reserved: shown(status.reserved),
            window_start: status.window.map(|(start, _)| rfc3339(start)),
            resets_at: status.window.map(|(_, end)| rfc3339(end)),
            created_at: rfc3339(budget.created),
        }
    }
}

/// For records: `25 money per month for the team red`.
impl fmt::Display for BudgetView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, unit, .. } = self;
        let window = self.window.unwrap_or("top-up");
        write!(f, "{limit} {unit} per {window} for {}", self.subject.kind)?;
        if let Some(name) = &self.subject.name {
            write!(f, " {name}")?;
        }
        match &self.model {
            Some(model) => write!(f, ", model {model}"),
            None => Ok(()),
        }
    }
}

/// Units of the database in one unit of the API.
pub(super) fn scale(unit: BudgetUnit) -> f64 {
    match unit {
        BudgetUnit::Money => 1e6,
        BudgetUnit::Tokens | BudgetUnit::Requests => 1.0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "amounts are at most 2^53")]
fn from_units(unit: BudgetUnit, amount: i64) -> f64 {
    amount as f64 / scale(unit)
}
