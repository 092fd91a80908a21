//! Row 10: the loss where two threads share a fence.

use stockade_benches::{FENCE, Plan, ROUTER, Stack, Subject, in_turns, two_clients, wall_time};

use crate::{report::Report, row::Row};

/// The names of a stack's times, on one thread and on two.
const NAMES: [(&str, [&str; 2]); 2] = [
    (ROUTER, ["router, one thread", "router, two threads"]),
    (FENCE, ["fence, one thread", "fence, two threads"]),
];

pub(crate) fn measure(plan: Plan) -> Report {
    let mut alone = two_clients();
    let mut together = two_clients();
    let mut subjects = Vec::new();
    for (pairs, threads) in [(&mut alone, 1), (&mut together, 2)] {
        for pair in pairs {
            let pair = &mut pair[..threads];
            let name = names(pair[0].name())[threads - 1];
            subjects.push(Subject::measured(name, |runs| {
                let mut works: Vec<_> = pair
                    .iter_mut()
                    .map(|stack: &mut Stack| move |_: u32| stack.run())
                    .collect();
                wall_time(runs, &mut works)
            }));
        }
    }
    let times = in_turns(plan, subjects);

    let mut report = Report::of(&times);
    let scaling = times.figure(|ns| scaling(FENCE, ns) / scaling(ROUTER, ns));
    let what = "2-thread scaling ÷ the Router's own";
    report
        .budgets
        .push(Row::time(10, what, scaling).at_least(0.95).stretch(1.0));
    report.doubt_lost(alone.iter().chain(&together).flatten());
    report
}

/// The throughput of two threads ÷ that of one.
fn scaling(stack: &str, ns: &dyn Fn(&str) -> f64) -> f64 {
    let [one, two] = names(stack);
    2.0 * ns(one) / ns(two)
}

fn names(stack: &str) -> [&'static str; 2] {
    let found = NAMES.iter().find(|(known, _)| *known == stack);
    found.expect("each stack for two clients has names").1
}
