//! How long one request takes in every stack.
//!
//! Each round times every stack once, so that a machine that grows slower over the run
//! does so for all of them. Compare within a round, and the rounds with each other.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use stockade_benches::stacks;

const ROUNDS: usize = 3;

fn request(criterion: &mut Criterion) {
    let stacks = stacks();
    for round in 1..=ROUNDS {
        let mut group = criterion.benchmark_group(format!("round {round}"));
        group.warm_up_time(Duration::from_millis(300));
        group.measurement_time(Duration::from_secs(1));
        for stack in &stacks {
            group.bench_function(stack.name(), |bencher| bencher.iter(|| stack.run()));
        }
        group.finish();
    }
}

criterion_group!(benches, request);
criterion_main!(benches);
