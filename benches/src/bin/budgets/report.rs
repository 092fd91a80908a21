//! The table, and the figures that it is computed from.

use serde::Serialize;
use stockade_benches::{Figure, Goal, Stack, Times, number};

use crate::row::Row;

/// The rows, the figures behind them, and reasons to doubt them.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) budgets: Vec<Row>,
    pub(crate) details: Vec<Detail>,
    pub(crate) doubts: Vec<String>,
}

/// A figure that rows are computed from.
#[derive(Debug, Serialize)]
pub(crate) struct Detail {
    name: String,
    median: f64,
    p10: Option<f64>,
}

impl Report {
    /// A report with these times.
    pub(crate) fn of(times: &Times) -> Self {
        let mut report = Self::default();
        for (name, figure) in times.all() {
            report.time(name.to_owned(), figure);
        }
        report
    }

    pub(crate) fn time(&mut self, name: String, Figure { median, p10 }: Figure) {
        self.details.push(Detail {
            name,
            median,
            p10: Some(p10),
        });
    }

    pub(crate) fn count(&mut self, name: String, count: f64) {
        self.details.push(Detail {
            name,
            median: count,
            p10: None,
        });
    }

    /// Doubts the figures of stacks that dropped records or log lines.
    pub(crate) fn doubt_lost<'a>(&mut self, stacks: impl IntoIterator<Item = &'a Stack>) {
        for stack in stacks {
            let (name, lost) = (stack.name(), stack.lost());
            if lost > 0 {
                let doubt = format!("{name}: {lost} records were dropped, so not all work counts");
                self.doubts.push(doubt);
            }
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.budgets.extend(other.budgets);
        self.details.extend(other.details);
        self.doubts.extend(other.doubts);
    }

    /// Whether a count misses its goal.
    pub(crate) fn misses_a_count(&self) -> bool {
        let mut counts = self.budgets.iter().filter(|row| row.repeats());
        counts.any(|row| row.kept() == Some(false))
    }
}

/// The table of budgets, in Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut out = String::from(
        "| # | what | reached | p10 | goal | stretch | |\n|---:|---|---:|---:|---:|---:|---|\n",
    );
    for row in rows {
        let goal = |goal: Option<Goal>| goal.map_or("–".to_owned(), |goal| goal.to_string());
        out += &format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            row.budget,
            row.what,
            number(row.reached),
            row.p10.map_or("–".to_owned(), number),
            goal(row.goal),
            goal(row.stretch),
            row.result(),
        );
    }
    out
}

/// The figures behind the table, in Markdown.
pub(crate) fn details(details: &[Detail]) -> String {
    let mut out = String::from("| measured | figure | p10 |\n|---|---:|---:|\n");
    for Detail { name, median, p10 } in details {
        let p10 = p10.map_or("–".to_owned(), number);
        out += &format!("| {name} | {} | {p10} |\n", number(*median));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::HALF;

    #[test]
    fn strict_looks_at_counts_only() {
        let of = |row: Row| Report {
            budgets: vec![row],
            ..Report::default()
        };
        assert!(!of(Row::time(1, "a ÷ b", HALF).at_most(0.1)).misses_a_count());
        assert!(of(Row::count(2, "instructions", 2.0).at_most(1.0)).misses_a_count());
        assert!(!of(Row::count(2, "instructions", 1.0).at_most(1.0)).misses_a_count());
    }

    #[test]
    fn table_has_a_line_a_row() {
        let ratio = Row::time(1, "a ÷ b", HALF).at_most(0.6).stretch(0.55);
        let detail = Row::count(8, "bytes", 23.75);
        let text = table(&[ratio, detail]);
        let lines: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| 1 | a ÷ b | 0.50 | 0.40 | ≤ 0.6 | ≤ 0.55 | stretch |",
                "| 8 | bytes | 23.8 | – | – | – |  |",
            ]
        );
    }
}
