//! What is used of a budget, for programs that watch it.

use super::{Budget, BudgetKind, BudgetStatus};

/// What is used of a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetUse {
    /// What it applies to: `key team-core`, `team vision`, `all clients`; with its model, if it is
    /// for one.
    pub subject: String,
    /// The id of the budget.
    pub id: String,
    /// How much of it is used, in percent; over 100 after a debt. Requests in progress do not
    /// count.
    pub percent: u64,
}

impl BudgetUse {
    pub(crate) fn of(status: BudgetStatus) -> Self {
        let Budget {
            id,
            kind,
            subject,
            model,
            limit,
            ..
        } = status.budget;
        let mut name = match kind {
            BudgetKind::All => "all clients".to_owned(),
            kind => format!("{} {subject}", kind.name()),
        };
        if let Some(model) = model {
            name.push_str(&format!(", model {model}"));
        }
        Self {
            subject: name,
            id,
            percent: percent(status.spent, limit),
        }
    }
}

/// How much of a limit is used, in percent, rounded down.
pub(super) fn percent(spent: i64, limit: i64) -> u64 {
    let spent = u128::try_from(spent).unwrap_or(0);
    match u128::try_from(limit) {
        Ok(limit) if limit > 0 => u64::try_from(spent * 100 / limit).unwrap_or(u64::MAX),
        // Nothing is left of an amount that was lowered to zero.
        _ => 100,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_down() {
        for (spent, limit, expected) in [
            (0, 10, 0),
            (799, 1_000, 79),
            (8, 10, 80),
            (25, 10, 250),
            (-5, 10, 0),
            (0, 0, 100),
            (i64::MAX, 1, u64::MAX),
        ] {
            assert_eq!(percent(spent, limit), expected, "{spent} of {limit}");
        }
    }
}
