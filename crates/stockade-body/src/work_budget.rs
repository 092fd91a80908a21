//! How much may be done for one body at a stretch.

use std::{cell::Cell, sync::Weak};

/// How many bytes that vector code runs over are one step.
const STRIDE: usize = 256;

/// The steps that a body may take where its request is: some hundreds of microseconds. It
/// is enough for a picture of 2 MB in base64.
const INLINE_STEPS: u64 = 16_384;

/// The steps that are left for judging a body.
///
/// A step is a value, an escape, 16 bytes of a number or of white space, a field that is
/// read in an image, or 256 bytes that vector code runs over: tens of nanoseconds.
#[derive(Debug)]
pub(crate) struct WorkBudget {
    left: Cell<u64>,
    /// Alive for as long as anybody waits for the verdict, who then has more steps.
    cancel: Option<Weak<CancelToken>>,
}

/// Kept by whoever waits for a verdict.
#[derive(Debug)]
pub(crate) struct CancelToken;

/// There are no steps left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BudgetExhausted;

impl WorkBudget {
    /// What may be done where the request is.
    pub(crate) fn inline() -> Self {
        Self {
            left: Cell::new(INLINE_STEPS),
            cancel: None,
        }
    }

    /// As much as it takes, for as long as somebody wants it.
    pub(crate) fn until_cancelled(token: Weak<CancelToken>) -> Self {
        Self {
            left: Cell::new(0),
            cancel: Some(token),
        }
    }

    /// As much as it takes: what other limits allow comes nowhere near.
    pub(crate) fn unlimited() -> Self {
        Self {
            left: Cell::new(u64::MAX),
            cancel: None,
        }
    }

    /// Takes so many steps. Where there are not as many left, none are from here on.
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

    /// Takes the steps of one fast run over so many bytes.
    #[inline]
    pub(crate) fn spend_bytes(&self, bytes: usize) -> Result<(), BudgetExhausted> {
        self.spend(bytes / STRIDE)
    }

    /// Whether there are no steps left: what was found since is no verdict.
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
    fn lasts_for_as_long_as_it_is_wanted() {
        let token = Arc::new(CancelToken);
        let budget = WorkBudget::until_cancelled(Arc::downgrade(&token));
        for _ in 0..3 {
            assert_eq!(budget.spend(INLINE_STEPS as usize), Ok(()));
            assert!(!budget.is_exhausted());
        }
        drop(token);
        assert_eq!(budget.spend(INLINE_STEPS as usize), Ok(()), "what was left");
        assert_eq!(budget.spend(1), Err(BudgetExhausted));
        assert!(budget.is_exhausted());
    }

    #[test]
    fn does_not_come_back_once_it_is_spent() {
        let budget = WorkBudget::inline();
        assert_eq!(
            budget.spend(INLINE_STEPS as usize + 1),
            Err(BudgetExhausted)
        );
        assert_eq!(budget.spend(1), Err(BudgetExhausted));
        assert!(budget.is_exhausted());
    }
}
