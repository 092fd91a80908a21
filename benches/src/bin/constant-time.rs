//! Whether the time that a refusal takes tells anything about the keys of a store.
//!
//! Two classes of inputs are timed in turns, in an order that is shuffled for each
//! pair. The comparator is checked by Welch's t-test as dudect does it: |t| under 4.5 is no
//! fingerprint of a difference. Whole refusals are checked by what an attacker would do: guess
//! the class by whether it took longer than the median, right at most 55 times of 100.
//! Exits with 1 where a difference is seen. Run it on a quiet machine.

use std::{
    error::Error,
    hint::black_box,
    io::{self, Write},
    process::ExitCode,
    time::Instant,
};

use http::Request;
use stockade_core::guard::{Check, Guard, Head};
use stockade_key_auth::{GeneratedKey, KeyAuth, KeyDigest, KeyRecord, MemoryKeyStore};

const PAIRS: usize = 200_000;
/// The slowest are interrupts and other programs, not secrets.
const KEPT: f64 = 0.8;
const T_LIMIT: f64 = 4.5;
/// Percent.
const RIGHT_LIMIT: f64 = 55.0;
/// Guesses of each class; one alone could be slow by accident.
const GUESSES: usize = 500;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut out = io::stdout();
    let mut seen = false;
    // A02
    for shared in [0, 1, 8, 16, 31] {
        let t = compare_digests(shared, KeyDigest::from_bytes, KeyDigest::eq).abs();
        seen |= t >= T_LIMIT;
        writeln!(
            out,
            "a digest that shares {shared:>2} bytes with a guess, and none: |t| = {t:.2}"
        )?;
    }
    // Without this the limits above could be kept by a measure that sees nothing.
    let control = compare_digests(31, |bytes| bytes, stops_early).abs();
    seen |= control < T_LIMIT;
    writeln!(
        out,
        "control, a comparison that stops early: |t| = {control:.2}, to be seen"
    )?;
    // A01
    let right = compare_ids()? * 100.0;
    seen |= right > RIGHT_LIMIT;
    writeln!(
        out,
        "a wrong secret of a known id, and of unknown ones: guessed right {right:.1} %"
    )?;
    Ok(if seen {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The comparison that is to be detected.
fn stops_early(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).all(|(a, b)| black_box(a) == b)
}

/// Compares one stored digest with guesses of two kinds, many times a measurement.
fn compare_digests<T>(
    shared: usize,
    digest: impl Fn([u8; 32]) -> T,
    equal: impl Fn(&T, &T) -> bool,
) -> f64
where
    T: Clone,
{
    let stored = *KeyDigest::of(b"stored").as_bytes();
    let mut near = stored.map(|byte| !byte);
    near[..shared].copy_from_slice(&stored[..shared]);
    let far = stored.map(|byte| !byte);
    let stored = digest(stored);
    let guesses = [near, far].map(digest);
    let (near, far) = in_turns(|class| {
        // The same code reads both, from the same place: only the bytes differ.
        let guess = black_box(guesses[class].clone());
        let start = Instant::now();
        for _ in 0..256 {
            black_box(equal(black_box(&stored), black_box(&guess)));
        }
        start.elapsed().as_nanos() as f64
    });
    welch(near, far)
}

fn compare_ids() -> Result<f64, Box<dyn Error>> {
    let store = MemoryKeyStore::new();
    let known = GeneratedKey::new("sk", "known".parse()?)?;
    store.insert(KeyRecord::new(known.id().clone(), known.digest()))?;
    let guard = KeyAuth::new(&store);
    let head = |id: &str| -> Result<Head, Box<dyn Error>> {
        let guess = GeneratedKey::new("sk", id.parse()?)?;
        let value = format!("Bearer {}", guess.expose());
        let request = Request::builder().header("authorization", value).body(())?;
        Ok(Head::new(request.into_parts().0))
    };
    let heads = |id: &str| {
        (0..GUESSES)
            .map(|_| head(id))
            .collect::<Result<Vec<_>, _>>()
    };
    let (known, unknown) = (heads("known")?, heads("other")?);
    let measure = |head: &Head| {
        let start = Instant::now();
        let check = guard.check(black_box(head));
        let time = start.elapsed().as_nanos() as f64;
        assert!(matches!(check, Check::Refuse(_)), "a guess got in");
        time
    };
    let heads = [known, unknown];
    let mut turn = 0;
    let (known, unknown) = in_turns(|class| {
        turn += 1;
        measure(&heads[class][turn / 2 % GUESSES])
    });
    Ok(guessed_right(&known, &unknown))
}

/// Measures both classes many times, in turns.
fn in_turns(mut measure: impl FnMut(usize) -> f64) -> (Vec<f64>, Vec<f64>) {
    let mut times = [Vec::with_capacity(PAIRS), Vec::with_capacity(PAIRS)];
    // An order that depends on nothing measured: a xorshift.
    let mut order = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..PAIRS {
        order ^= order << 13;
        order ^= order >> 7;
        order ^= order << 17;
        let first = (order & 1) as usize;
        for class in [first, 1 - first] {
            times[class].push(measure(class));
        }
    }
    let [ones, others] = times;
    (ones, others)
}

/// How often the class is guessed right by whether the time is over the median of all.
fn guessed_right(ones: &[f64], others: &[f64]) -> f64 {
    let mut all = [ones, others].concat();
    all.sort_unstable_by(f64::total_cmp);
    let median = all[all.len() / 2];
    let over = |times: &[f64]| {
        let over = times.iter().filter(|time| **time > median).count();
        over as f64 / times.len() as f64
    };
    let right = (over(ones) + 1.0 - over(others)) / 2.0;
    right.max(1.0 - right)
}

/// Welch's t of two sets of measurements.
fn welch(ones: Vec<f64>, others: Vec<f64>) -> f64 {
    let ((mean, error), (other_mean, other_error)) = (summary(ones), summary(others));
    let difference = mean - other_mean;
    // Where the clock is too coarse to show any spread, no difference is none, and any
    // difference is one.
    match error + other_error {
        0.0 if difference == 0.0 => 0.0,
        0.0 => f64::INFINITY,
        error => difference / error.sqrt(),
    }
}

/// The mean of the faster ones, and its squared error.
fn summary(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_unstable_by(f64::total_cmp);
    times.truncate((times.len() as f64 * KEPT) as usize);
    let count = times.len() as f64;
    let mean = times.iter().sum::<f64>() / count;
    let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, variance / count)
}
