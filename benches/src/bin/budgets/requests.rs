//! Budgets 1 to 4 and 6: what a request costs, in process.

use stockade_benches::{
    BEARER_GOVERNOR, BOXED_FENCE, FENCE, FENCE_LIMITED, FENCE_REFUSED, GOVERNOR_REFUSED, JsonLogs,
    Keys, Plan, REQUEST_ALONE, ROUTER, SERVICE_FN, Stack, Subject, TOWER_HTTP_SET, Times, cpu_time,
    in_turns, stacks,
};

use crate::{
    parts::{JSON, NOTHING, parts},
    report::Report,
    row::{Goal::AtMost, Row},
};

/// The set with its traces written.
const LOGGED_SET: &str = "Router + bearer + tower_governor + tower-http set, JSON logs";

const STACKS: [&str; 10] = [
    REQUEST_ALONE,
    SERVICE_FN,
    ROUTER,
    BEARER_GOVERNOR,
    TOWER_HTTP_SET,
    GOVERNOR_REFUSED,
    FENCE,
    BOXED_FENCE,
    FENCE_REFUSED,
    FENCE_LIMITED,
];

/// Measures all of them in turns.
pub(crate) fn measure(plan: Plan, progress: impl FnMut()) -> Report {
    let mut stacks = stacks();
    stacks.retain(|stack| STACKS.contains(&stack.name()));
    let parts = parts(Keys::new(2).known());
    let nothing = Stack::of(NOTHING, || ());
    let logs = JsonLogs::install();
    let set = stacks.iter().find(|stack| stack.name() == TOWER_HTTP_SET);
    let logged = set.map(|set| {
        Subject::measured(LOGGED_SET, |runs| {
            logs.write(true);
            let time = cpu_time(runs, |_| set.run());
            logs.write(false);
            time
        })
    });
    let subjects = stacks.iter().chain(&parts).chain([&nothing]);
    let subjects = subjects.map(Subject::from).chain(logged).collect();
    let times = in_turns(plan, subjects, progress);

    let mut report = Report::of(&times);
    rows(&mut report, &times, &parts);
    let lost = stacks.iter().map(Stack::lost_records).sum();
    report.lost("records of the fence", lost);
    report.lost("lines of tower-http", logs.lost_lines() as u64);
    report
}

fn rows(report: &mut Report, times: &Times, parts: &[Stack]) {
    let over = |whole: &'static str, part: &'static str| times.figure(|ns| ns(whole) / ns(part));
    let added =
        |over: &'static str| times.figure(|ns| (ns(FENCE) - ns(ROUTER)) / (ns(over) - ns(ROUTER)));
    let net = |stack: &'static str| {
        times.figure(|ns| (ns(stack) - ns(REQUEST_ALONE)) / (ns(ROUTER) - ns(REQUEST_ALONE)))
    };
    let irreducible = |without: &str| {
        times.figure(|ns| {
            let names = parts
                .iter()
                .map(Stack::name)
                .filter(|name| *name != without);
            let sum: f64 = names.map(|name| ns(name) - ns(NOTHING)).sum();
            (ns(FENCE) - ns(ROUTER)) / sum
        })
    };
    let fence = "added by the fence ÷ ";
    for row in [
        Row::new(
            1,
            format!("{fence}by bearer + tower_governor + headers"),
            added(BEARER_GOVERNOR),
        )
        .goal(AtMost(0.60))
        .stretch(0.45),
        Row::new(2, "Router + fence ÷ Router", over(FENCE, ROUTER))
            .peers(over(BEARER_GOVERNOR, ROUTER))
            .goal(AtMost(1.70))
            .stretch(1.55),
        Row::new(2, "… net of making the request", net(FENCE)).peers(net(BEARER_GOVERNOR)),
        Row::new(3, format!("{fence}irreducible sum"), irreducible(""))
            .goal(AtMost(1.5))
            .stretch(1.25),
        Row::new(3, "… without JSON in that sum", irreducible(JSON)),
        Row::new(
            4,
            format!("{fence}by the tower-http set"),
            added(TOWER_HTTP_SET),
        )
        .goal(AtMost(0.15)),
        Row::new(4, "… with its JSON logs", added(LOGGED_SET)).goal(AtMost(0.04)),
        Row::new(6, "a 401 ÷ a pass", over(FENCE_REFUSED, FENCE)).goal(AtMost(0.5)),
        Row::new(6, "a 429 ÷ a pass", over(FENCE_LIMITED, FENCE))
            .peers(over(GOVERNOR_REFUSED, BEARER_GOVERNOR))
            .goal(AtMost(0.5)),
    ] {
        report.row(row);
    }
}
