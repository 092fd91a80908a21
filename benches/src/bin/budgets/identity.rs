//! Row 11: the verification of a key.

use std::hint::black_box;

use bytes::Bytes;
use http::{HeaderValue, Request, header::AUTHORIZATION};
use stockade_benches::{Keys, Plan, Subject, in_turns, request};
use stockade_core::guard::{Check, Guard, Head};
use stockade_key_auth::{KeyAuth, KeyDigest, KeyRecord, KeySet, LiveKeys};

use crate::{report::Report, row::Row};

const FEW: usize = 10_000;
const MANY: usize = 1_000_000;
const VERIFIED: &str = "one key of 10^4, verified";
const DIGEST: &str = "SHA-256 of a key";
const DIFFERENT: &str = "10^6 different keys, verified";
const HEADERS: &str = "10^6 different headers";

pub(crate) fn measure(plan: Plan) -> Report {
    let keys = Keys::new(FEW);
    let guard = keys.guard();
    let head = Head::new(request(keys.known()).into_parts().0);
    let digest = |_| {
        black_box(KeyDigest::of(black_box(keys.known().as_bytes())));
    };
    let many = Different::new(MANY);
    let (mut headers, mut next) = (empty_head(), many.requests());
    let (mut heads, mut verify_next) = (empty_head(), many.requests());
    let subjects = vec![
        Subject::new(VERIFIED, |_| verify(&guard, &head)),
        Subject::new(DIGEST, digest),
        Subject::new(HEADERS, |_| {
            headers.headers.insert(AUTHORIZATION, next());
        }),
        Subject::new(DIFFERENT, |_| {
            heads.headers.insert(AUTHORIZATION, verify_next());
            verify(&many.guard, &heads);
        }),
    ];
    let times = in_turns(plan, subjects);
    let mut report = Report::of(&times);
    let ratio = times.figure(|ns| ns(VERIFIED) / ns(DIGEST));
    let different = times.figure(|ns| ns(DIFFERENT) - ns(HEADERS));
    report.budgets.extend([
        Row::time(11, "key verified ÷ SHA-256, hot", ratio)
            .at_most(2.0)
            .stretch(1.8),
        Row::time(11, "key verified, ns at 10^6 different keys", different)
            .at_most(600.0)
            .stretch(500.0),
    ]);
    report
}

fn verify(guard: &KeyAuth, head: &Head) {
    match guard.check(black_box(head)) {
        Check::Pass(pass) => drop(black_box(pass)),
        _ => panic!("a known key is refused"),
    }
}

fn empty_head() -> Head {
    Head::new(Request::new(()).into_parts().0)
}

/// Keys that are used one after the other, far from each other in memory.
struct Different {
    guard: KeyAuth,
    /// The header values of all keys, one after the other.
    headers: Bytes,
    count: usize,
}

impl Different {
    fn new(count: usize) -> Self {
        let header = |number: usize| format!("Bearer sk_other_{number:032x}");
        let records = (0..count).map(|number| {
            let id = format!("team-{number}").parse().expect("a valid id");
            KeyRecord::new(
                id,
                KeyDigest::of(&header(number).as_bytes()["Bearer ".len()..]),
            )
        });
        let keys = KeySet::new(records).expect("all keys differ");
        Self {
            guard: KeyAuth::with_keys(LiveKeys::new(keys)),
            headers: (0..count).map(header).collect::<String>().into(),
            count,
        }
    }

    /// The header values in an order that puts each far from the previous one.
    fn requests(&self) -> impl FnMut() -> HeaderValue {
        let (headers, count) = (self.headers.clone(), self.count);
        let length = headers.len() / count;
        let mut at = 0_usize;
        move || {
            at = at.wrapping_add(1);
            let start = at.wrapping_mul(2_654_435_761) % count * length;
            let value = headers.slice(start..start + length);
            HeaderValue::from_maybe_shared(value).expect("ASCII")
        }
    }
}
