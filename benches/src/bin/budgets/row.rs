//! One ratio of a budget, and what the budget allows.

use std::{borrow::Cow, fmt};

use serde::Serialize;
use stockade_benches::Figure;

/// What a budget allows.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    fn is_met(self, reached: f64) -> bool {
        match self {
            Self::AtMost(goal) => reached <= goal,
            Self::AtLeast(goal) => reached >= goal,
        }
    }

    /// The same direction, further.
    fn further(self, goal: f64) -> Self {
        match self {
            Self::AtMost(_) => Self::AtMost(goal),
            Self::AtLeast(_) => Self::AtLeast(goal),
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(goal) => write!(f, "≤ {goal}"),
            Self::AtLeast(goal) => write!(f, "≥ {goal}"),
        }
    }
}

/// One ratio of a budget.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) budget: u8,
    pub(crate) ratio: Cow<'static, str>,
    pub(crate) reached: f64,
    pub(crate) p10: Option<f64>,
    /// What the peers reach in the same ratio.
    pub(crate) peers: Option<f64>,
    /// `None` for what is printed beside a budget, to judge it by.
    pub(crate) goal: Option<Goal>,
    pub(crate) stretch: Option<Goal>,
}

impl Row {
    /// A ratio of times.
    pub(crate) fn new(budget: u8, ratio: impl Into<Cow<'static, str>>, reached: Figure) -> Self {
        Self {
            p10: Some(reached.p10),
            ..Self::exact(budget, ratio, reached.median)
        }
    }

    /// What has no spread.
    pub(crate) fn exact(budget: u8, ratio: impl Into<Cow<'static, str>>, reached: f64) -> Self {
        Self {
            budget,
            ratio: ratio.into(),
            reached,
            p10: None,
            peers: None,
            goal: None,
            stretch: None,
        }
    }

    pub(crate) fn peers(mut self, peers: Figure) -> Self {
        self.peers = Some(peers.median);
        self
    }

    pub(crate) fn goal(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }

    pub(crate) fn stretch(mut self, stretch: f64) -> Self {
        self.stretch = self.goal.map(|goal| goal.further(stretch));
        self
    }

    /// Whether the goal is met by the median, where there is one.
    pub(crate) fn kept(&self) -> Option<bool> {
        self.goal.map(|goal| goal.is_met(self.reached))
    }

    /// Whether the median and the tenth percentile differ by more than a sixth.
    pub(crate) fn is_wide(&self) -> bool {
        let reached = self.reached;
        self.p10
            .is_some_and(|p10| (reached - p10).abs() * 6.0 > reached.abs())
    }

    pub(crate) fn denial(&self) -> &'static str {
        let stretch = self.stretch.is_some_and(|goal| goal.is_met(self.reached));
        match self.kept() {
            None => "",
            Some(true) if stretch => "kept, stretch too",
            Some(true) => "kept",
            Some(false) => "**missed**",
        }
    }
}

#[cfg(test)]
pub(crate) const HALF: Figure = Figure {
    median: 0.5,
    p10: 0.4,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_decides_whether_a_budget_is_kept() {
        let denial = |goal| Row::new(1, "a ÷ b", HALF).goal(goal).denial();
        assert_eq!(denial(Goal::AtMost(0.5)), "kept");
        assert_eq!(denial(Goal::AtMost(0.45)), "**missed**");
        assert_eq!(denial(Goal::AtLeast(0.5)), "kept");
        assert_eq!(denial(Goal::AtLeast(0.55)), "**missed**");
    }

    #[test]
    fn what_could_not_be_measured_is_missed() {
        let row = Row::exact(1, "a ÷ b", f64::NAN).goal(Goal::AtMost(1.0));
        assert_eq!(row.kept(), Some(false));
    }
}
