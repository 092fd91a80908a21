//! The time of a request in each stack, by criterion; for the effect of one change on one
//! stack. `budgets` measures in turns instead, because its ratios compare stacks.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use stockade_benches::{STACKS, stack};

fn request(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    group.warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(2));
    for &name in STACKS {
        // Built on first use: a filter leaves most of them out.
        let mut built = None;
        group.bench_function(name, |bencher| {
            let stack = built.get_or_insert_with(|| stack(name));
            stack.while_logging(|| bencher.iter(|| stack.run()));
        });
    }
    group.finish();
}

criterion_group!(benches, request);
criterion_main!(benches);
