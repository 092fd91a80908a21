//! Row 4: the time of a request after other code and data have used the caches.

use std::{hint::black_box, time::Instant};

use stockade_benches::{FENCE, Figure, ROUTER, Stack, stack};

use crate::{report::Report, row::Row};

const SLICES: usize = 60;
const REQUESTS: u32 = 60;
/// 64 KiB in words.
const DATA: usize = 8 * 1024;
/// The words of a cache line.
const LINE: usize = 8;

/// Measures both stacks in turns.
pub(crate) fn measure() -> Report {
    let nothing = Stack::of("nothing", || ());
    let subjects = [nothing, stack(ROUTER), stack(FENCE)];
    let mut data = vec![1_u64; DATA];
    let mut slices = subjects.each_ref().map(|_| Vec::new());
    for _ in 0..SLICES {
        for (stack, slices) in subjects.iter().zip(&mut slices) {
            slices.push(slice(stack, &mut data));
        }
    }
    let [nothing, router, fence] = slices.map(Figure::of);
    let less = |one: Figure, other: Figure| Figure {
        median: one.median - other.median,
        p10: one.p10 - other.p10,
    };
    let mut report = Report::default();
    report.time("router, cold".to_owned(), less(router, nothing));
    report.time("fence, cold".to_owned(), less(fence, nothing));
    report.budgets.push(
        Row::time(4, "whole fence, ns added cold", less(fence, router))
            .at_most(1_300.0)
            .stretch(800.0),
    );
    report.doubt_lost(&subjects);
    report
}

/// Nanoseconds of a cold request: the median, because some are interrupted.
fn slice(stack: &Stack, data: &mut [u64]) -> f64 {
    let requests = (0..REQUESTS).map(|_| {
        use_caches(data);
        let start = Instant::now();
        stack.run();
        start.elapsed().as_nanos() as f64
    });
    Figure::of(requests.collect()).median
}

/// Runs about as much code, and over as much data, as a server and its kernel do between two
/// requests: 160 KB and 64 KB.
fn use_caches(data: &mut [u64]) {
    let functions = FUNCTIONS.iter().flatten().flatten();
    let value = functions.fold(1, |value, function| function(value));
    for word in data.iter_mut().step_by(LINE) {
        *word = word.wrapping_add(value);
    }
    black_box(data);
}

macro_rules! sixteen {
    ($item:ident, $n:expr) => {
        [
            $item!($n * 16),
            $item!($n * 16 + 1),
            $item!($n * 16 + 2),
            $item!($n * 16 + 3),
            $item!($n * 16 + 4),
            $item!($n * 16 + 5),
            $item!($n * 16 + 6),
            $item!($n * 16 + 7),
            $item!($n * 16 + 8),
            $item!($n * 16 + 9),
            $item!($n * 16 + 10),
            $item!($n * 16 + 11),
            $item!($n * 16 + 12),
            $item!($n * 16 + 13),
            $item!($n * 16 + 14),
            $item!($n * 16 + 15),
        ]
    };
}
macro_rules! block {
    ($n:expr) => {
        sixteen!(row, ($n))
    };
}
macro_rules! row {
    ($n:expr) => {
        sixteen!(item, ($n))
    };
}
macro_rules! item {
    ($n:expr) => {
        function::<{ $n }> as Function
    };
}

type Function = fn(u64) -> u64;

static FUNCTIONS: [[[Function; 16]; 16]; 16] = sixteen!(block, 0);

/// Code that differs from the others' enough to be kept apart by the compiler.
fn function<const N: usize>(value: u64) -> u64 {
    let value = value.wrapping_mul(N as u64 * 2 + 1);
    black_box(value.rotate_left(N as u32 % 63) ^ (N as u64 * 0x9e37_79b9))
}
