//! One row of the table: what was reached, and what the budget allows.

use std::borrow::Cow;

use serde::Serialize;
use stockade_benches::{Figure, Goal};

/// One figure of a budget.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) budget: u8,
    pub(crate) what: Cow<'static, str>,
    pub(crate) reached: f64,
    /// `None` for a count, which has no spread.
    pub(crate) p10: Option<f64>,
    /// `None` for a figure that only explains the others.
    pub(crate) goal: Option<Goal>,
    pub(crate) stretch: Option<Goal>,
}

impl Row {
    /// A time or a ratio of times.
    pub(crate) fn time(budget: u8, what: impl Into<Cow<'static, str>>, reached: Figure) -> Self {
        Self {
            p10: Some(reached.p10),
            ..Self::count(budget, what, reached.median)
        }
    }

    /// A count, which is the same in every run.
    pub(crate) fn count(budget: u8, what: impl Into<Cow<'static, str>>, reached: f64) -> Self {
        Self {
            budget,
            what: what.into(),
            reached,
            p10: None,
            goal: None,
            stretch: None,
        }
    }

    pub(crate) fn at_most(self, goal: f64) -> Self {
        self.goal(Goal::AtMost(goal))
    }

    pub(crate) fn at_least(self, goal: f64) -> Self {
        self.goal(Goal::AtLeast(goal))
    }

    fn goal(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }

    pub(crate) fn stretch(mut self, limit: f64) -> Self {
        self.stretch = self.goal.map(|goal| goal.with(limit));
        self
    }

    /// Whether the figure is a count, so that a missed goal is no accident of the machine.
    pub(crate) fn repeats(&self) -> bool {
        self.p10.is_none()
    }

    /// Whether the goal is met, if there is one.
    pub(crate) fn kept(&self) -> Option<bool> {
        self.goal.map(|goal| goal.is_met(self.compared()))
    }

    /// The figure that is compared with the goal: other work on the machine only ever adds
    /// to a time, so that the tenth percentile repeats best.
    fn compared(&self) -> f64 {
        self.p10.unwrap_or(self.reached)
    }

    pub(crate) fn result(&self) -> &'static str {
        let stretch = self
            .stretch
            .is_some_and(|goal| goal.is_met(self.compared()));
        match self.kept() {
            None => "",
            Some(true) if stretch => "stretch",
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
    fn tenth_percentile_decides_whether_a_budget_is_kept() {
        let row = || Row::time(1, "a ÷ b", HALF);
        assert_eq!(row().at_most(0.4).result(), "kept");
        assert_eq!(row().at_most(0.35).result(), "**missed**");
        assert_eq!(row().at_least(0.4).result(), "kept");
        assert_eq!(row().at_least(0.45).result(), "**missed**");
        assert_eq!(row().at_most(0.6).stretch(0.4).result(), "stretch");
    }

    #[test]
    fn unmeasured_figure_misses_its_goal() {
        let row = Row::count(1, "a ÷ b", f64::NAN).at_most(1.0);
        assert_eq!(row.kept(), Some(false));
    }
}
