//! The tables: the targets, and what they are computed from.

use std::fmt::Write;

use stockade_benches::{Goal, number};

use crate::{
    case::{Case, Kind, Size},
    gateways::Name,
    results::{Measured, Results},
    wrk::Sample,
};

const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * 1024.0;

type Figure = fn(&Measured) -> f64;

/// A figure with a goal.
pub(crate) struct Target {
    what: String,
    reached: f64,
    goal: Goal,
}

impl Target {
    fn is_met(&self) -> bool {
        self.goal.is_met(self.reached)
    }
}

/// The targets, for the loads that were measured.
pub(crate) fn targets(results: &Results, cases: &[Case]) -> Vec<Target> {
    let mut targets = Vec::new();
    let mut add = |what: String, reached: f64, goal| {
        targets.push(Target {
            what,
            reached,
            goal,
        });
    };
    let small = cases.iter().filter(|case| case.size == Size::Small);
    for &case in small {
        if case.connections == 64 && case.pause.is_none() {
            let rate = |name| load(results, name, case, |sample| sample.per_second);
            let ratio = rate(Name::Stockade) / rate(Name::Nginx);
            add(
                format!("requests/s ÷ nginx's: {case}"),
                ratio,
                Goal::AtLeast(0.85),
            );
        }
        if case.connections == 16 && case.kind == Kind::Json {
            let added = added_p99(results, Name::Stockade, case);
            add(
                format!("p99 − direct, ms: {case}"),
                added,
                Goal::AtMost(0.35),
            );
        }
    }
    let cost = results.figure(Name::Stockade, |ours| ours.event(|cost| cost.cpu));
    add(
        "CPU of an SSE event, µs".to_owned(),
        cost,
        Goal::AtMost(3.0),
    );
    let memory = results.figure(Name::Stockade, stream_memory);
    add(
        "memory of an open stream, KiB".to_owned(),
        memory,
        Goal::AtMost(40.0),
    );
    targets
}

/// Whether all targets are met.
pub(crate) fn all_met(targets: &[Target]) -> bool {
    targets.iter().all(Target::is_met)
}

fn load(results: &Results, name: Name, case: Case, value: fn(&Sample) -> f64) -> f64 {
    results.figure(name, |measured| measured.load(case, value))
}

fn added_p99(results: &Results, name: Name, case: Case) -> f64 {
    let p99 = |name| load(results, name, case, |sample| sample.p99);
    p99(name) - p99(Name::Direct)
}

fn stream_memory(measured: &Measured) -> f64 {
    measured.stream_memory.map_or(f64::NAN, |bytes| bytes / KIB)
}

/// All tables, in Markdown.
pub(crate) fn tables(results: &Results, cases: &[Case]) -> String {
    let mut out = String::from("| target | reached | goal | |\n|---|---:|---:|---|\n");
    for target in targets(results, cases) {
        let Target {
            what,
            reached,
            goal,
        } = &target;
        let result = match target.is_met() {
            true => "met",
            false if reached.is_nan() => "not measured",
            false => "**missed**",
        };
        let reached = cell(*reached);
        writeln!(out, "| {what} | {reached} | {goal} | {result} |").expect("a string grows");
    }
    let names: Vec<_> = results
        .gateways
        .iter()
        .map(|measured| measured.name)
        .collect();
    let of_cases = |value: &dyn Fn(Name, Case) -> f64| {
        let rows = cases.iter().map(|case| {
            let values = names.iter().map(|name| value(*name, *case));
            (case.to_string(), values.collect())
        });
        rows.collect::<Vec<_>>()
    };
    let of = |value: fn(&Sample) -> f64| move |name, case| load(results, name, case, value);
    let mut add = |title: &str, rows: Vec<(String, Vec<f64>)>| {
        out += &table(title, &names, rows);
    };
    add("requests/s", of_cases(&of(|sample| sample.per_second)));
    add("p50, ms", of_cases(&of(|sample| sample.p50)));
    add("p99, ms", of_cases(&of(|sample| sample.p99)));
    add("CPU of a request, µs", of_cases(&of(|sample| sample.cpu)));
    let all: [(&str, Figure); 5] = [
        ("CPU of an SSE event, µs", |of| of.event(|cost| cost.cpu)),
        ("… outside the kernel", |of| of.event(|cost| cost.user)),
        ("open stream, KiB", stream_memory),
        ("RSS at the start, MiB", |of| of.idle_memory as f64 / MIB),
        ("RSS under load, MiB", |of| of.largest_memory() as f64 / MIB),
    ];
    let rows = all.map(|(what, value)| {
        let values = results.gateways.iter().map(value);
        (what.to_owned(), values.collect())
    });
    add("streams and memory", rows.into());
    out
}

fn table(title: &str, names: &[Name], rows: Vec<(String, Vec<f64>)>) -> String {
    let names: Vec<_> = names.iter().map(Name::to_string).collect();
    let mut out = format!("\n| {title} | {} |\n|---|", names.join(" | "));
    out += &"---:|".repeat(names.len());
    out += "\n";
    for (what, values) in rows {
        let values: Vec<_> = values.into_iter().map(cell).collect();
        writeln!(out, "| {what} | {} |", values.join(" | ")).expect("a string grows");
    }
    out
}

fn cell(value: f64) -> String {
    // The upstream has no processes of its own.
    match value.is_nan() || value == 0.0 {
        true => "–".to_owned(),
        false => number(value),
    }
}
