//! Bounds the work of validating one body.

use std::{cell::Cell, sync::Weak};

/// Bytes that vectorised code processes in one step.
const STRIDE: usize = 256;

/// Steps that validation may take on the async thread: some hundreds of microseconds, enough
/// for a picture of 2 MB in base64.
const INLINE_STEPS: u64 = 16_384;

/// Counts the steps left for validating a body.
///
/// One step is a JSON value, an escape sequence, 16 bytes of a number or of white space, a
/// field read in an image, or 256 bytes of vectorised code: tens of nanoseconds.
#[derive(Debug)]
pub(crate) struct WorkBudget {
    left: Cell<u64>,
    /// Refills the budget for as long as the token is alive.
    cancel: Option<Weak<CancelToken>>,
}

/// Kept alive by the future that waits for the result; dropping it cancels the work.
#[derive(Debug)]
pub(crate) struct CancelToken;

/// No steps are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BudgetExhausted;

impl WorkBudget {
    /// A budget for work on the async thread.
    pub(crate) fn inline() -> Self {
        Self {
            left: Cell::new(INLINE_STEPS),
            cancel: None,
        }
    }

    /// A budget that refills until the token is dropped.
    pub(crate) fn until_cancelled(token: Weak<CancelToken>) -> Self {
        Self {
            left: Cell::new(0),
            cancel: Some(token),
        }
    }

    /// A budget that never runs out; other limits bound the work.
    pub(crate) fn unlimited() -> Self {
        Self {
            left: Cell::new(u64::MAX),
            cancel: None,
        }
    }

    /// Takes steps. Once too few are left, every later call fails as well.
    #[inline]
    pub(crate) fn spend(&self, steps: usize) -> Result<(), BudgetExhausted> {
        match self.left.get().checked_sub(steps as u64) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => self.renew(),
        }
    }

    /// Takes the steps of one vectorised pass over these bytes.
    #[inline]
    pub(crate) fn spend_bytes(&self, bytes: usize) -> Result<(), BudgetExhausted> {
        self.spend(bytes / STRIDE)
    }

    /// Whether no steps are left; results found since then are not valid.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.left.get() == 0 && self.renew().is_err()
    }

    #[cold]
    fn renew(&self) -> Result<(), BudgetExhausted> {
        let token = self.cancel.as_ref();
        if token.is_some_and(|token| token.strong_count() > 0) {
            self.left.set(INLINE_STEPS);
            return Ok(());
        }
        self.left.set(0);
        Err(BudgetExhausted)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn refills_until_cancelled() {
        let token = Arc::new(CancelToken);
        let budget = WorkBudget::until_cancelled(Arc::downgrade(&token));
        for _ in 0..3 {
            assert_eq!(budget.spend(INLINE_STEPS as usize), Ok(()));
            assert!(!budget.is_exhausted());
        }
        drop(token);
        assert_eq!(
            budget.spend(INLINE_STEPS as usize),
            Ok(()),
            "the remaining steps"
        );
        assert_eq!(budget.spend(1), Err(BudgetExhausted));
        assert!(budget.is_exhausted());
    }

    #[test]
    fn stays_exhausted() {
        let budget = WorkBudget::inline();
        assert_eq!(
            budget.spend(INLINE_STEPS as usize + 1),
            Err(BudgetExhausted)
        );
        assert_eq!(budget.spend(1), Err(BudgetExhausted));
        assert!(budget.is_exhausted());
    }
}
