//! Arbitrary strings: an error, or a quota that its `Display` form parses to again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stockade_rate_limit::{Quota, gcra, sliding};

fuzz_target!(|text: &str| {
    let Ok(quota) = text.parse::<Quota>() else {
        return;
    };
    assert_eq!(quota.to_string().parse(), Ok(quota));
    // Every quota yields a decision at any time and in any state.
    for now in [0, 1, 1_700_000_000_000_000_000, u64::MAX] {
        for state in [0, 1, now, u64::MAX] {
            for cost in [0, 1, quota.max_burst(), u32::MAX] {
                gcra::take(state, &quota, now, cost);
                sliding::take(state, &quota, now, cost);
            }
            for delta in [i64::MIN, -1, 0, 1, i64::MAX] {
                gcra::settle(state, &quota, now, delta);
                sliding::settle(state, &quota, now, delta);
            }
        }
    }
});
