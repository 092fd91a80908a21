//! What a budget limits.

use stockade_core::identity::Principal;

use super::BudgetPeriod;

/// A budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) id: String,
    pub(crate) kind: BudgetKind,
    /// Empty for all clients.
    pub(crate) subject: String,
    /// `None` for all models.
    pub(crate) model: Option<String>,
    pub(crate) unit: BudgetUnit,
    /// In the unit; money in millionths.
    pub(crate) limit: i64,
    /// `None` for an amount that is prepaid.
    pub(crate) period: Option<BudgetPeriod>,
    pub(crate) created: i64,
}

impl Budget {
    /// Whether both count the same requests in the same windows.
    pub(crate) fn counts_the_same(&self, other: &Self) -> bool {
        let counted = |budget: &Self| (budget.kind, budget.unit, budget.period);
        counted(self) == counted(other)
            && self.subject == other.subject
            && self.model == other.model
    }
}

/// Whose requests a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum BudgetKind {
    Key,
    Owner,
    Team,
    All,
}

/// What a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BudgetUnit {
    Money,
    Tokens,
    Requests,
}

impl BudgetKind {
    pub(crate) const ALL: [Self; 4] = [Self::Key, Self::Owner, Self::Team, Self::All];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Owner => "owner",
            Self::Team => "team",
            Self::All => "all",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The subject of this kind that a request belongs to, if it has one.
    pub(super) fn of_request(self, principal: Option<&Principal>) -> Option<&str> {
        match self {
            Self::All => Some(""),
            Self::Key => principal.map(Principal::id),
            Self::Owner => principal?.attribute("owner"),
            Self::Team => principal?.attribute("team"),
        }
    }
}

impl BudgetUnit {
    const ALL: [Self; 3] = [Self::Money, Self::Tokens, Self::Requests];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Money => "money",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.name() == name)
    }
}
