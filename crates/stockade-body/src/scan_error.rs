//! Why validation stopped early.

use stockade_core::refusal::Refusal;

use crate::{ImageError, work_budget::BudgetExhausted};

/// Why validation stopped early.
#[derive(Debug)]
pub(crate) enum ScanError {
    /// The body violates a rule.
    Refused(Refusal),
    /// Validation needs more steps than the [`WorkBudget`](crate::work_budget::WorkBudget)
    /// has; the result is unknown.
    BudgetExhausted,
}

impl From<Refusal> for ScanError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ImageError> for ScanError {
    fn from(error: ImageError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<BudgetExhausted> for ScanError {
    fn from(BudgetExhausted: BudgetExhausted) -> Self {
        Self::BudgetExhausted
    }
}
