//! What a key has used, for its holder.

use serde::Serialize;
use stockade_core::identity::Principal;
use stockade_key_auth::QuotaFields;

use crate::{
    AdminError, AdminStore,
    api::budgets::BudgetView,
    budget::BudgetKind,
    records::{Period, UsageQuery, UsageView},
    time::{now, rfc3339},
};

const DAY: i64 = 24 * 60 * 60 * 1_000;

/// The maximum number of models in a response.
const MAX_MODELS: usize = 1_000;

/// What a principal has used, and its limits; see [`AdminStore::own_usage`].
#[derive(Debug, Serialize)]
pub struct OwnUsage {
    object: &'static str,
    key: String,
    from: String,
    to: String,
    /// One row for each model.
    data: Vec<UsageView>,
    /// The quotas of the key that differ from the defaults.
    quotas: QuotaFields,
    /// The budgets of the key, of its owner and of its team.
    budgets: Vec<BudgetView>,
}

impl AdminStore {
    /// What a principal has used by model in the last days, today included, and its limits. For a
    /// route such as `GET /v1/usage`, behind a fence that authenticates.
    ///
    /// Usage is counted within seconds, and by whole days in UTC.
    ///
    /// # Errors
    /// When the database is unavailable.
    pub async fn own_usage(
        &self,
        principal: &Principal,
        days: u16,
    ) -> Result<OwnUsage, AdminError> {
        let to = now();
        let from = Period::Day.start(to) - i64::from(days.max(1) - 1) * DAY;
        let query = UsageQuery {
            from,
            to,
            by_key: false,
            by_model: true,
            by_period: false,
            period: Period::Day,
            key: Some(principal.id().to_owned()),
            model: None,
            after: None,
            limit: MAX_MODELS,
        };
        let data = query.rows(self.database()).await.map_err(|error| {
            AdminError::new("cannot read the usage of a key").with_source(error)
        })?;
        let budgets = self.budgets().of(principal);
        let own = budgets
            .iter()
            // Those of all clients are not for a single one.
            .filter(|status| status.budget.kind != BudgetKind::All);
        Ok(OwnUsage {
            object: "usage",
            key: principal.id().to_owned(),
            from: rfc3339(from),
            to: rfc3339(to),
            data,
            quotas: (*principal.quotas()).into(),
            budgets: own.map(BudgetView::new).collect(),
        })
    }
}
