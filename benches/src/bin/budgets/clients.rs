//! Rows 8 and 9: the cost of many clients.

use std::net::{Ipv4Addr, SocketAddr};

use http::StatusCode;
use stockade_abuse::{AbuseGuard, AbusePolicy, Detector};
use stockade_benches::{
    Crowd, Plan, Subject, context, exchange, flooded, in_turns, request_from, router,
};
use stockade_core::guard::Guard;
use tower::Layer;

use crate::{report::Report, row::Row};

const CLEAN: u32 = 100_000;
const OURS: &str = "a limit, many clients";
const UNDECIDED: &str = "a limit without its decision";
const GOVERNOR: &str = "governor, many clients";

/// Rows 8 and 9 with a number of clients.
pub(crate) fn measure(clients: u32, plan: Plan) -> Report {
    let crowd = Crowd::new(clients);
    let subjects = vec![
        Subject::new(OURS, crowd.ours()),
        Subject::new(UNDECIDED, crowd.undecided()),
        Subject::new(GOVERNOR, crowd.governor()),
    ];
    let times = in_turns(plan, subjects);
    let decision = times.figure(|ns| (ns(OURS) - ns(UNDECIDED)) / ns(GOVERNOR));
    let guard = times.figure(|ns| ns(OURS) / ns(GOVERNOR));
    let mut report = Report::of(&times);
    report.budgets.extend([
        Row::count(8, "bytes a limited client", crowd.bytes_a_client())
            .at_most(24.0)
            .stretch(20.0),
        Row::count(8, "clean clients remembered for bans", remembered() as f64).at_most(0.0),
        Row::count(8, "bytes ÷ their cap after a flood", flooded(clients)).at_most(1.0),
        Row::time(
            9,
            format!("a decision at {clients} clients ÷ governor's"),
            decision,
        )
        .at_most(0.6)
        .stretch(0.4),
        Row::time(9, "… of the whole guard, with context and headers", guard),
    ]);
    report
}

/// Clients without offences that are remembered.
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
