//! Rows 1, 3, 7 and 14: the CPU time of a request, in process and hot.

use stockade_benches::{
    AS_WRITTEN, AS_WRITTEN_UNRECORDED, AUDIT, BY_HAND, BY_HAND_UNRECORDED, CONTEXT, FENCE,
    FENCE_401, FENCE_429, FENCE_TYPED, GOVERNOR_429, Plan, ROUTER, ROUTER_TYPED, Subject, in_turns,
    stack,
};

use crate::{report::Report, row::Row};

/// Measures all of them in turns.
pub(crate) fn measure(plan: Plan) -> Report {
    let stacks = [
        ROUTER,
        ROUTER_TYPED,
        FENCE,
        FENCE_401,
        FENCE_429,
        FENCE_TYPED,
        CONTEXT,
        AUDIT,
        AS_WRITTEN,
        AS_WRITTEN_UNRECORDED,
        BY_HAND,
        BY_HAND_UNRECORDED,
        GOVERNOR_429,
    ]
    .map(stack);
    let times = in_turns(plan, stacks.iter().map(Subject::from).collect());
    let added = |stack| times.figure(|ns| ns(stack) - ns(ROUTER));
    let ratio = |peer, unrecorded| {
        [
            times.figure(|ns| (ns(FENCE_TYPED) - ns(ROUTER_TYPED)) / (ns(peer) - ns(ROUTER_TYPED))),
            times.figure(|ns| {
                (ns(FENCE_TYPED) - ns(ROUTER_TYPED) - record(ns))
                    / (ns(unrecorded) - ns(ROUTER_TYPED))
            }),
        ]
    };
    let [as_written, as_written_unrecorded] = ratio(AS_WRITTEN, AS_WRITTEN_UNRECORDED);
    let [by_hand, by_hand_unrecorded] = ratio(BY_HAND, BY_HAND_UNRECORDED);

    let mut report = Report::of(&times);
    report.budgets.extend([
        Row::time(1, "added by the fence ÷ as written", as_written)
            .at_most(0.10)
            .stretch(0.06),
        Row::time(1, "the same without records", as_written_unrecorded)
            .at_most(0.30)
            .stretch(0.20),
        Row::time(1, "… ÷ by hand", by_hand),
        Row::time(1, "… ÷ by hand, without records", by_hand_unrecorded),
        Row::time(3, "whole fence, ns added", added(FENCE))
            .at_most(1_000.0)
            .stretch(650.0),
        Row::time(7, "a 401, ns added", added(FENCE_401))
            .at_most(700.0)
            .stretch(500.0),
        Row::time(7, "a 429, ns added", added(FENCE_429))
            .at_most(700.0)
            .stretch(500.0),
        Row::time(7, "… by tower_governor", added(GOVERNOR_429)),
        Row::time(
            14,
            "a record ÷ a JSON line of tracing",
            times.figure(|ns| record(ns) / (ns(BY_HAND) - ns(BY_HAND_UNRECORDED))),
        )
        .at_most(0.10),
    ]);
    report.doubt_lost(&stacks);
    report
}

/// The time of a record: the fence cannot be without one, so it is the access log's alone.
fn record(ns: &dyn Fn(&str) -> f64) -> f64 {
    ns(AUDIT) - ns(CONTEXT)
}
