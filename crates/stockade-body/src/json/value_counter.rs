//! Counts the values of a document.

use super::error::JsonErrorKind;
use crate::{
    scan_error::ScanError,
    work_budget::{BudgetExhausted, WorkBudget},
};

/// Values accounted together; the last, incomplete batch is free.
const BATCH: u32 = 64;

/// Counts values against the limit; each is a step of the budget.
pub(super) struct ValueCounter<'a> {
    budget: &'a WorkBudget,
    limit: u32,
    /// Values left in this batch.
    batch: u32,
    /// Values allowed after this batch.
    later: u32,
}

impl<'a> ValueCounter<'a> {
    pub(super) fn new(limit: u32, budget: &'a WorkBudget) -> Self {
        let batch = limit.min(BATCH);
        Self {
            budget,
            limit,
            batch,
            later: limit - batch,
        }
    }

    /// Counts a value that begins at this byte.
    #[inline(always)]
    pub(super) fn begin(&mut self, at: usize) -> Result<(), ScanError> {
        if self.batch == 0 {
            self.batch = next_batch(self.later, self.budget)?
                .ok_or_else(|| JsonErrorKind::ValueCounter(self.limit).at(at))?;
            self.later -= self.batch;
        }
        self.batch -= 1;
        Ok(())
    }
}

/// Accounts the previous batch and returns the size of the next; `None` at the limit.
#[inline(never)]
fn next_batch(later: u32, budget: &WorkBudget) -> Result<Option<u32>, BudgetExhausted> {
    budget.spend(BATCH as usize)?;
    Ok(Some(later.min(BATCH)).filter(|batch| *batch > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_to_the_limit() {
        for limit in [0, 1, 63, 64, 65, 127, 128, 129, 1_000] {
            let budget = WorkBudget::unlimited();
            let mut values = ValueCounter::new(limit, &budget);
            let begun = (0..).take_while(|_| values.begin(0).is_ok()).count();
            assert_eq!(begun, limit as usize);
        }
    }

    #[test]
    fn values_are_steps() {
        let budget = WorkBudget::inline();
        let mut values = ValueCounter::new(u32::MAX, &budget);
        let begun = (0..).take_while(|_| values.begin(0).is_ok()).count();
        assert!(budget.is_exhausted());
        assert_eq!(
            begun,
            16_384 + BATCH as usize,
            "including the free last batch"
        );
    }
}
