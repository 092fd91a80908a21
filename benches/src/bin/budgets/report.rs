//! What was measured, as a reader gets it.

use std::{borrow::Cow, fmt};

use serde::Serialize;
use stockade_benches::{Figure, Times};

/// Rows of the table of budgets, and what they come from.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) budgets: Vec<Row>,
    pub(crate) nanoseconds: Vec<Time>,
    /// What a reader should know before believing a figure.
    pub(crate) doubts: Vec<String>,
}

impl Report {
    /// With these times.
    pub(crate) fn of(times: &Times) -> Self {
        let nanoseconds = times.all().map(|(name, time)| Time::new(name, time));
        Self {
            nanoseconds: nanoseconds.collect(),
            ..Self::default()
        }
    }

    pub(crate) fn row(&mut self, row: Row) {
        self.budgets.push(row);
    }

    /// That some of the work was left out, where it was.
    pub(crate) fn lost(&mut self, what: &str, count: u64) {
        if count > 0 {
            let doubt = format!("{count} {what} found no room, so not all work was measured");
            self.doubts.push(doubt);
        }
    }

    /// That ratios depend on which turns are looked at, where they do.
    pub(crate) fn doubt_spread(&mut self) {
        let wide = self.budgets.iter().filter(|row| row.is_wide());
        let mut wide: Vec<_> = wide.map(|row| row.budget.to_string()).collect();
        wide.dedup();
        if !wide.is_empty() {
            self.doubts.push(format!(
                "reached and p10 differ in budgets {}: the machine had other work, or turns cost \
                 differently",
                wide.join(", ")
            ));
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.budgets.extend(other.budgets);
        self.nanoseconds.extend(other.nanoseconds);
        self.doubts.extend(other.doubts);
    }

    pub(crate) fn missed(&self) -> bool {
        self.budgets.iter().any(|row| row.kept() == Some(false))
    }
}

/// How long something took.
#[derive(Debug, Serialize)]
pub(crate) struct Time {
    name: String,
    median: f64,
    p10: f64,
}

impl Time {
    pub(crate) fn new(name: impl Into<String>, Figure { median, p10 }: Figure) -> Self {
        Self {
            name: name.into(),
            median,
            p10,
        }
    }
}

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
    budget: u8,
    ratio: Cow<'static, str>,
    reached: f64,
    p10: Option<f64>,
    /// What the peers reach in the same ratio.
    peers: Option<f64>,
    /// `None` for what is printed beside a budget, to judge it by.
    goal: Option<Goal>,
    stretch: Option<Goal>,
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

    pub(crate) fn budget(&self) -> u8 {
        self.budget
    }

    /// Whether the goal is met by the median, where there is one.
    fn kept(&self) -> Option<bool> {
        self.goal.map(|goal| goal.is_met(self.reached))
    }

    /// Whether the median and the tenth percentile differ by more than a sixth.
    fn is_wide(&self) -> bool {
        let reached = self.reached;
        self.p10
            .is_some_and(|p10| (reached - p10).abs() * 6.0 > reached.abs())
    }

    fn verdict(&self) -> &'static str {
        let stretch = self.stretch.is_some_and(|goal| goal.is_met(self.reached));
        match self.kept() {
            None => "",
            Some(true) if stretch => "kept, stretch too",
            Some(true) => "kept",
            Some(false) => "**missed**",
        }
    }
}

/// The table of budgets, in Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut out = String::from(
        "| # | ratio | reached | p10 | peers | goal | stretch | |\n\
         |---:|---|---:|---:|---:|---:|---:|---|\n",
    );
    for row in rows {
        let goal = |goal: Option<Goal>| goal.map_or("–".to_owned(), |goal| goal.to_string());
        out += &format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |\n",
            row.budget,
            row.ratio,
            number(row.reached),
            row.p10.map_or("–".to_owned(), number),
            row.peers.map_or("–".to_owned(), number),
            goal(row.goal),
            goal(row.stretch),
            row.verdict(),
        );
    }
    out
}

/// What the ratios come from, in Markdown.
pub(crate) fn times(times: &[Time]) -> String {
    let mut out = String::from("| measured | ns | p10 |\n|---|---:|---:|\n");
    for Time { name, median, p10 } in times {
        out += &format!("| {name} | {median:.1} | {p10:.1} |\n");
    }
    out
}

/// Two digits that count, for small numbers.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        small if small < 0.1 => format!("{value:.3}"),
        large if large >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Figure = Figure {
        median: 0.5,
        p10: 0.4,
    };

    #[test]
    fn median_decides_whether_a_budget_is_kept() {
        let verdict = |goal| Row::new(1, "a ÷ b", HALF).goal(goal).verdict();
        assert_eq!(verdict(Goal::AtMost(0.5)), "kept");
        assert_eq!(verdict(Goal::AtMost(0.45)), "**missed**");
        assert_eq!(verdict(Goal::AtLeast(0.5)), "kept");
        assert_eq!(verdict(Goal::AtLeast(0.55)), "**missed**");
    }

    #[test]
    fn what_could_not_be_measured_is_missed() {
        let row = Row::exact(1, "a ÷ b", f64::NAN).goal(Goal::AtMost(1.0));
        assert_eq!(row.kept(), Some(false));
    }

    #[test]
    fn spread_is_said_once_a_budget() {
        let near = Figure {
            median: 0.5,
            p10: 0.45,
        };
        let mut report = Report {
            budgets: vec![
                Row::new(1, "near", near),
                Row::new(6, "far", HALF),
                Row::new(6, "far, too", HALF),
                Row::exact(7, "bytes", 24.0),
            ],
            ..Report::default()
        };
        report.doubt_spread();
        assert_eq!(report.doubts.len(), 1);
        assert!(report.doubts[0].starts_with("reached and p10 differ in budgets 6:"));
    }

    #[test]
    fn table_has_a_line_a_ratio() {
        let row = Row::new(1, "a ÷ b", HALF)
            .goal(Goal::AtMost(0.6))
            .stretch(0.55);
        let beside = Row::exact(7, "bytes", 23.75);
        let text = table(&[row, beside]);
        let lines: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| 1 | a ÷ b | 0.50 | 0.40 | – | ≤ 0.6 | ≤ 0.55 | kept, stretch too |",
                "| 7 | bytes | 23.8 | – | – | – | – |  |",
            ]
        );
    }
}
