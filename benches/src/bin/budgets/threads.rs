//! Budget 9: what is lost where two threads share a fence.

use stockade_benches::{
    BEARER_GOVERNOR, Crowd, FENCE, Plan, ROUTER, Stack, Subject, in_turns, two_clients, wall_time,
};

use crate::{
    report::Report,
    row::{Goal::AtLeast, Row},
};

const THREADS: usize = 2;
const HOT: &str = "a limit, one client, two threads";
const HOT_UNDECIDED: &str = "a limit without its decision, two threads";
const HOT_GOVERNOR: &str = "governor, one client, two threads";

/// What the times of a stack are called: on one thread, and on two.
const NAMES: [(&str, [&str; 2]); 3] = [
    (ROUTER, ["Router, one thread", "Router, two threads"]),
    (BEARER_GOVERNOR, ["peers, one thread", "peers, two threads"]),
    (FENCE, ["fence, one thread", "fence, two threads"]),
];

pub(crate) fn measure(plan: Plan, progress: impl FnMut()) -> Report {
    let mut alone = two_clients();
    let mut together = two_clients();
    let one = Crowd::new(1);
    let mut ours: [_; THREADS] = std::array::from_fn(|_| one.ours());
    let mut undecided: [_; THREADS] = std::array::from_fn(|_| one.undecided());
    let mut governor: [_; THREADS] = std::array::from_fn(|_| one.governor());
    let mut subjects = vec![
        Subject::measured(HOT, |runs| wall_time(runs, &mut ours)),
        Subject::measured(HOT_UNDECIDED, |runs| wall_time(runs, &mut undecided)),
        Subject::measured(HOT_GOVERNOR, |runs| wall_time(runs, &mut governor)),
    ];
    for (pairs, threads) in [(&mut alone, 1), (&mut together, THREADS)] {
        for pair in pairs {
            let pair = &mut pair[..threads];
            subjects.push(Subject::measured(name(&pair[0], threads), |runs| {
                let mut works: Vec<_> = pair
                    .iter_mut()
                    .map(|stack: &mut Stack| move |_: u32| stack.run())
                    .collect();
                wall_time(runs, &mut works)
            }));
        }
    }
    let times = in_turns(plan, subjects, progress);

    let mut report = Report::of(&times);
    let ratio = "2-thread ratio of the fence ÷ the Router's own";
    report.row(
        Row::new(
            9,
            ratio,
            times.figure(|ns| scaling(FENCE, ns) / scaling(ROUTER, ns)),
        )
        .peers(times.figure(|ns| scaling(BEARER_GOVERNOR, ns) / scaling(ROUTER, ns)))
        .goal(AtLeast(0.95)),
    );
    let decision = times.figure(|ns| ns(HOT_GOVERNOR) / (ns(HOT) - ns(HOT_UNDECIDED)));
    let guard = times.figure(|ns| ns(HOT_GOVERNOR) / ns(HOT));
    let ratio = "a hot client's decisions a second ÷ governor's";
    report.row(Row::new(9, ratio, decision).goal(AtLeast(2.5)));
    report.row(Row::new(9, "… of the whole guard, with headers", guard));
    let lost = together.iter().flatten().chain(alone.iter().flatten());
    let lost = lost.map(Stack::lost_records).max().unwrap_or(0);
    report.lost("records of the fence", lost);
    report
}

/// How much more two threads get done than one.
fn scaling(stack: &str, ns: &dyn Fn(&str) -> f64) -> f64 {
    let [one, two] = names(stack);
    THREADS as f64 * ns(one) / ns(two)
}

fn name(stack: &Stack, threads: usize) -> &'static str {
    names(stack.name())[threads - 1]
}

fn names(stack: &str) -> [&'static str; 2] {
    let found = NAMES.iter().find(|(known, _)| *known == stack);
    found.expect("each stack for two clients has names").1
}
