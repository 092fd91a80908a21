//! How much may be done for one body at a stretch.

use std::{cell::Cell, sync::Weak};

/// How many bytes that vector code runs over are one step.
const STRIDE: usize = 256;

/// The steps that a body may take where its request is: some hundreds of microseconds. It
/// is enough for a picture of 2 MB in base64.
const AT_ONCE: u64 = 16_384;

/// The steps that are left for judging a body.
///
/// A step is a value, an escape, 16 bytes of a number or of white space, a field that is
/// read in an image, or 256 bytes that vector code runs over: tens of nanoseconds.
#[derive(Debug)]
pub(crate) struct Effort {
    left: Cell<u64>,
    /// Alive for as long as anybody waits for the verdict, who then has more steps.
    wanted: Option<Weak<Wanted>>,
}

/// Kept by whoever waits for a verdict.
#[derive(Debug)]
pub(crate) struct Wanted;

/// There are no steps left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spent;

impl Effort {
    /// What may be done where the request is.
    pub(crate) fn at_once() -> Self {
        Self {
            left: Cell::new(AT_ONCE),
            wanted: None,
        }
    }

    /// As much as it takes, for as long as somebody wants it.
    pub(crate) fn while_wanted(wanted: Weak<Wanted>) -> Self {
        Self {
            left: Cell::new(0),
            wanted: Some(wanted),
        }
    }

    /// As much as it takes: what other limits allow comes nowhere near.
    pub(crate) fn unbounded() -> Self {
        Self {
            left: Cell::new(u64::MAX),
            wanted: None,
        }
    }

    /// Takes so many steps. Where there are not as many left, none are from here on.
    #[inline]
    pub(crate) fn spend(&self, steps: usize) -> Result<(), Spent> {
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
    pub(crate) fn run_over(&self, bytes: usize) -> Result<(), Spent> {
        self.spend(bytes / STRIDE)
    }

    /// Whether there are no steps left: what was found since is no verdict.
    pub(crate) fn is_spent(&self) -> bool {
        self.left.get() == 0 && self.renew().is_err()
    }

    #[cold]
    fn renew(&self) -> Result<(), Spent> {
        let wanted = self.wanted.as_ref();
        if wanted.is_some_and(|wanted| wanted.strong_count() > 0) {
            self.left.set(AT_ONCE);
            return Ok(());
        }
        self.left.set(0);
        Err(Spent)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn lasts_for_as_long_as_it_is_wanted() {
        let wanted = Arc::new(Wanted);
        let effort = Effort::while_wanted(Arc::downgrade(&wanted));
        for _ in 0..3 {
            assert_eq!(effort.spend(AT_ONCE as usize), Ok(()));
            assert!(!effort.is_spent());
        }
        drop(wanted);
        assert_eq!(effort.spend(AT_ONCE as usize), Ok(()), "what was left");
        assert_eq!(effort.spend(1), Err(Spent));
        assert!(effort.is_spent());
    }

    #[test]
    fn does_not_come_back_once_it_is_spent() {
        let effort = Effort::at_once();
        assert_eq!(effort.spend(AT_ONCE as usize + 1), Err(Spent));
        assert_eq!(effort.spend(1), Err(Spent));
        assert!(effort.is_spent());
    }
}
