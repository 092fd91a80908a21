//! The rows of the table, and what is wrong with them.

use std::fmt;

use serde::Serialize;
use stockade_benches::number;

use crate::{attack::Tally, good::Latencies};

/// How much slower than in quiet times the good client may be.
const MAX_RATIO: f64 = 2.0;
/// What the memory may grow by from the first round to the last, in MiB. The allocator keeps some
/// of the busiest moment.
const MAX_GROWTH: f64 = 64.0;

pub(crate) const HEAD: &str = "\
| round | attack | answers to attackers | good client, p99 ms: quiet | attacked | ratio | MiB | descriptors | threads |
|---:|---|---|---:|---:|---:|---:|---:|---:|";

const SUMMARY_HEAD: &str = "\
| attack | rounds | good client, p99 ms, medians: quiet | attacked | ratio |
|---|---:|---:|---:|---:|";

/// What one attack did.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) round: u32,
    pub(crate) attack: &'static str,
    pub(crate) quiet: Latencies,
    pub(crate) attacked: Latencies,
    pub(crate) answers: Tally,
    pub(crate) memory_mib: f64,
    pub(crate) descriptors: usize,
    pub(crate) threads: i64,
}

impl Row {
    /// What is wrong with it, apart from times: those of one round are chance.
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let failed = self.quiet.failed + self.attacked.failed;
        if failed > 0 {
            problems.push(format!("{failed} requests of the good client failed"));
        }
        let errors = self.answers.server_errors();
        if errors > 0 {
            problems.push(format!("{errors} answers to attackers were a 5xx"));
        }
        problems
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "| {} | {} | {} | {:.2} | {:.2} | {} | {} | {} | {} |",
            self.round,
            self.attack,
            self.answers,
            self.quiet.p99_ms,
            self.attacked.p99_ms,
            number(self.attacked.p99_ms / self.quiet.p99_ms),
            number(self.memory_mib),
            self.descriptors,
            self.threads,
        )
    }
}

/// The median times of all rounds, an attack a line.
pub(crate) struct Summary(Vec<Medians>);

struct Medians {
    attack: &'static str,
    rounds: usize,
    quiet_ms: f64,
    attacked_ms: f64,
}

impl Medians {
    fn ratio(&self) -> f64 {
        self.attacked_ms / self.quiet_ms
    }
}

impl Summary {
    pub(crate) fn new(rows: &[Row]) -> Self {
        // The first round has each attack.
        let first = rows.iter().take_while(|row| row.round == 1);
        let medians = first.map(|Row { attack, .. }| {
            let of_attack = || rows.iter().filter(|row| row.attack == *attack);
            Medians {
                attack,
                rounds: of_attack().count(),
                quiet_ms: median(of_attack().map(|row| row.quiet.p99_ms)),
                attacked_ms: median(of_attack().map(|row| row.attacked.p99_ms)),
            }
        });
        Self(medians.collect())
    }

    /// What is wrong with the rows that it sums up.
    pub(crate) fn problems(&self, rows: &[Row]) -> Vec<String> {
        let of_row = |row: &Row| {
            let (attack, round) = (row.attack, row.round);
            let named = move |problem| format!("{attack}, round {round}: {problem}");
            row.problems().into_iter().map(named)
        };
        let slow = self.0.iter().filter(|medians| medians.ratio() > MAX_RATIO);
        let slow = slow.map(|medians| {
            let ratio = number(medians.ratio());
            format!(
                "{}: the good client was {ratio} times as slow",
                medians.attack
            )
        });
        let problems = rows.iter().flat_map(of_row);
        problems.chain(slow).chain(growth(rows)).collect()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{SUMMARY_HEAD}")?;
        for medians in &self.0 {
            writeln!(
                f,
                "| {} | {} | {:.2} | {:.2} | {} |",
                medians.attack,
                medians.rounds,
                medians.quiet_ms,
                medians.attacked_ms,
                number(medians.ratio()),
            )?;
        }
        Ok(())
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What the server has more of after the last round than after the first.
fn growth(rows: &[Row]) -> Vec<String> {
    let last = rows.last().map_or(0, |row| row.round);
    let of_round = |round| rows.iter().filter(move |row| row.round == round);
    let memory = |round| {
        of_round(round)
            .map(|row| row.memory_mib)
            .fold(0.0, f64::max)
    };
    let descriptors = |round| of_round(round).map(|row| row.descriptors).max();
    let threads = |round| of_round(round).map(|row| row.threads).max();
    let mut problems = Vec::new();
    if memory(last) > memory(1) + MAX_GROWTH {
        let (first, last) = (number(memory(1)), number(memory(last)));
        problems.push(format!("the memory grew from {first} to {last} MiB"));
    }
    // Idle connections of the clients of one round differ by a few.
    if descriptors(last) > descriptors(1).map(|count| count + 64) {
        problems.push("the server keeps descriptors".to_owned());
    }
    if threads(last) > threads(1) {
        problems.push("the server keeps threads".to_owned());
    }
    problems
}
