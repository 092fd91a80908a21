//! Budgets 7 and 8: what many clients cost.

use std::net::{Ipv4Addr, SocketAddr};

use http::StatusCode;
use stockade_abuse::{AbuseGuard, AbusePolicy, Detector};
use stockade_benches::{
    Crowd, Plan, Subject, context, exchange, flooded, in_turns, request_from, router,
};
use stockade_core::guard::Guard;
use tower::Layer;

use crate::{
    report::Report,
    row::{Goal::AtMost, Row},
};

const FEW: u32 = 100;
const CLEAN: u32 = 100_000;
const OURS_FEW: &str = "a limit, few clients";
const OURS_MANY: &str = "a limit, many clients";
const UNDECIDED: &str = "a limit without its decision";
const GOVERNOR_FEW: &str = "governor, few clients";
const GOVERNOR_MANY: &str = "governor, many clients";

/// Budgets 7 and 8, with so many clients.
pub(crate) fn measure(many: u32, plan: Plan, progress: impl FnMut()) -> Report {
    let (few, crowd) = (Crowd::new(FEW), Crowd::new(many));
    let subjects = vec![
        Subject::new(OURS_FEW, few.ours()),
        Subject::new(OURS_MANY, crowd.ours()),
        Subject::new(UNDECIDED, crowd.undecided()),
        Subject::new(GOVERNOR_FEW, few.governor()),
        Subject::new(GOVERNOR_MANY, crowd.governor()),
    ];
    let times = in_turns(plan, subjects, progress);
    let mut report = Report::of(&times);
    let (bytes, flood) = (crowd.bytes_a_client(), flooded(many));
    let few_and_many =
        times.figure(|ns| (ns(OURS_MANY) - ns(UNDECIDED)) / (ns(OURS_FEW) - ns(UNDECIDED)));
    let beside_governor = times.figure(|ns| (ns(OURS_MANY) - ns(UNDECIDED)) / ns(GOVERNOR_MANY));
    let exponent = many.ilog10();
    for row in [
        Row::exact(7, "bytes a rate-limited client", bytes).goal(AtMost(24.0)),
        Row::exact(
            7,
            format!("clean clients remembered for bans, of {CLEAN}"),
            remembered() as f64,
        )
        .goal(AtMost(0.0)),
        Row::exact(
            7,
            format!("bytes ÷ their cap after a flood of 10^{exponent} addresses"),
            flood,
        )
        .goal(AtMost(1.0)),
        Row::new(
            8,
            format!("a decision at 10^{exponent} ÷ at 10^2 clients"),
            few_and_many,
        )
        .peers(times.figure(|ns| ns(GOVERNOR_MANY) / ns(GOVERNOR_FEW)))
        .goal(AtMost(4.0)),
        Row::new(
            8,
            format!("a decision ÷ governor's at 10^{exponent}"),
            beside_governor,
        )
        .goal(AtMost(0.25)),
        Row::new(
            8,
            "… of the whole guard, with headers",
            times.figure(|ns| ns(OURS_MANY) / ns(GOVERNOR_MANY)),
        ),
    ] {
        report.row(row);
    }
    report
}

/// Clients that are remembered though they did nothing wrong.
fn remembered() -> usize {
    let detector = Detector::new(AbusePolicy::new());
    let guard = AbuseGuard::new(detector.clone()).into_layer();
    let service = context().layer(guard.layer(router()));
    for client in 0..CLEAN {
        let peer = SocketAddr::from((Ipv4Addr::from(0x0b00_0000 + client), 50_000));
        let answer = exchange(service.clone(), request_from(peer, "any"));
        assert_eq!(answer, StatusCode::OK, "a clean client was refused");
    }
    detector.stats().tracked_entities
}
