//! What was measured, as a reader gets it.

use serde::Serialize;
use stockade_benches::{Figure, Times};

use crate::row::{Goal, Row};

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
            row.denial(),
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
    use crate::row::HALF;

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
