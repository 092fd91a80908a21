//! Budget 12: what finding out whose key it is costs.

use std::hint::black_box;

use stockade_benches::{Keys, Plan, Subject, in_turns, request};
use stockade_core::guard::{Check, Guard, Head};
use stockade_key_auth::KeyDigest;

use crate::{
    report::Report,
    row::{Goal::AtMost, Row},
};

const KEYS: usize = 10_000;
const VERIFIED: &str = "a key verified, of 10,000";
const DIGEST: &str = "SHA-256 of a key";

pub(crate) fn measure(plan: Plan, progress: impl FnMut()) -> Report {
    let keys = Keys::new(KEYS);
    let guard = keys.guard();
    let head = Head::new(request(keys.known()).into_parts().0);
    let verify = |_| match guard.check(black_box(&head)) {
        Check::Pass(pass) => drop(black_box(pass)),
        _ => panic!("the known key is not taken"),
    };
    let digest = |_| {
        black_box(KeyDigest::of(black_box(keys.known().as_bytes())));
    };
    let subjects = vec![Subject::new(VERIFIED, verify), Subject::new(DIGEST, digest)];
    let times = in_turns(plan, subjects, progress);
    let mut report = Report::of(&times);
    let ratio = times.figure(|ns| ns(VERIFIED) / ns(DIGEST));
    report.row(Row::new(12, "key verified ÷ SHA-256", ratio).goal(AtMost(2.0)));
    report
}
