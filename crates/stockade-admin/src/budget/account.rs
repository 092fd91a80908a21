//! The account of one budget: pure arithmetic.

use std::collections::BTreeMap;

use super::window::Window;

/// What was used of a budget in its present window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    /// The start of the window; 0 for prepaid amounts.
    window_start: i64,
    /// What all processes have used in the window, as far as it is known.
    spent: i64,
    /// What requests in progress may use.
    reserved: i64,
    /// What this process has used and not written to the database yet, by window.
    unsaved: BTreeMap<i64, i64>,
}

impl Account {
    pub(super) fn spent(&self) -> i64 {
        self.spent
    }

    pub(super) fn reserved(&self) -> i64 {
        self.reserved
    }

    /// Begins a new window, if that of the account has ended.
    pub(super) fn enter(&mut self, window: Window) {
        if window.start > self.window_start {
            self.window_start = window.start;
            self.spent = 0;
        }
    }

    /// Reserves an amount, unless less is left.
    pub(super) fn reserve(&mut self, limit: i64, amount: i64) -> bool {
        let used = self.spent.saturating_add(self.reserved);
        // A budget that is used up refuses requests without a known cost, too.
        if used >= limit || used.saturating_add(amount) > limit {
            return false;
        }
        self.reserved += amount;
        true
    }

    /// Replaces a reservation with what was used, which counts in the window of the end.
    pub(super) fn settle(&mut self, reserved: i64, used: i64) {
        self.reserved -= reserved;
        if used != 0 {
            self.spent = self.spent.saturating_add(used);
            let unsaved = self.unsaved.entry(self.window_start).or_default();
            *unsaved = unsaved.saturating_add(used);
        }
    }

    /// What to add in the database, by window.
    pub(super) fn unsaved(&self) -> BTreeMap<i64, i64> {
        self.unsaved.clone()
    }

    /// These amounts, from [`unsaved`](Self::unsaved), were added in the database.
    pub(super) fn saved(&mut self, amounts: &BTreeMap<i64, i64>) {
        for (window_start, amount) in amounts {
            if let Some(unsaved) = self.unsaved.get_mut(window_start) {
                *unsaved -= amount;
            }
        }
        self.unsaved.retain(|_, amount| *amount != 0);
    }

    /// Takes over what all processes have written for a window.
    pub(super) fn load(&mut self, window_start: i64, written: i64) {
        if window_start == self.window_start {
            let unsaved = self.unsaved.get(&window_start).copied().unwrap_or(0);
            self.spent = written.saturating_add(unsaved);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(start: i64) -> Window {
        Window {
            start,
            end: start + 10,
        }
    }

    #[test]
    fn reserves_up_to_the_limit() {
        let mut account = Account::default();
        assert!(account.reserve(10, 6) && !account.reserve(10, 5) && account.reserve(10, 4));
        assert!(!account.reserve(10, 0), "the budget is used up");
        account.settle(6, 2);
        assert!(account.reserve(10, 4));
        assert_eq!((account.spent(), account.reserved()), (2, 8));
    }

    #[test]
    fn a_debt_is_kept() {
        let mut account = Account::default();
        assert!(account.reserve(10, 1));
        account.settle(1, 15);
        assert!(!account.reserve(10, 0));
        assert!(account.reserve(20, 5), "after a top-up");
    }

    #[test]
    fn a_new_window_begins_at_zero_and_keeps_reservations() {
        let mut account = Account::default();
        account.enter(window(10));
        assert!(account.reserve(10, 6));
        account.settle(0, 3);
        account.enter(window(20));
        assert_eq!((account.spent(), account.reserved()), (0, 6));
        account.settle(6, 5);
        assert_eq!(account.unsaved(), [(10, 3), (20, 5)].into());
        account.enter(window(10));
        assert_eq!(account.spent(), 5, "the clock went back");
    }

    #[test]
    fn saves_each_amount_once() {
        let mut account = Account::default();
        account.settle(0, 3);
        let first = account.unsaved();
        account.settle(0, 4);
        account.saved(&first);
        account.load(0, 3 + 100);
        assert_eq!(account.spent(), 107, "100 by other processes");
        let second = account.unsaved();
        assert_eq!(second, [(0, 4)].into());
        account.saved(&second);
        assert_eq!(account.unsaved(), [].into());
    }

    #[test]
    fn a_window_that_ends_during_a_save_loses_nothing() {
        let mut account = Account::default();
        account.enter(window(10));
        account.settle(0, 3);
        let first = account.unsaved();
        account.settle(0, 4);
        account.enter(window(20));
        account.settle(0, 1);
        account.saved(&first);
        assert_eq!(account.unsaved(), [(10, 4), (20, 1)].into());
    }
}
