//! Why a body is not judged to its end.

use stockade_core::refusal::Refusal;

use crate::{ImageError, work_budget::BudgetExhausted};

/// Why a body is not judged to its end.
#[derive(Debug)]
pub(crate) enum ScanError {
    /// It breaks a rule.
    Refused(Refusal),
    /// It takes more [`WorkBudget`](crate::work_budget::WorkBudget) than there was. Nothing is known yet.
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
