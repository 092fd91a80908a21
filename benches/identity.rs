//! What finding out who it is costs, without a server around it, and how that grows with
//! the number of keys.

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use stockade_benches::{Keys, request};
use stockade_core::guard::{Check, Guard, Head};
use stockade_key_auth::KeyDigest;

const ROUNDS: usize = 3;
const COUNTS: [usize; 4] = [10, 1_000, 10_000, 1_000_000];

fn identity(criterion: &mut Criterion) {
    let stores = COUNTS.map(|count| (count, Keys::new(count)));
    for round in 1..=ROUNDS {
        let mut group = criterion.benchmark_group(format!("identity {round}"));
        group.warm_up_time(Duration::from_millis(300));
        group.measurement_time(Duration::from_secs(1));
        let key = stores[0].1.known();
        group.bench_function("SHA-256 alone", |bencher| {
            bencher.iter(|| KeyDigest::of(black_box(key.as_bytes())));
        });
        for (count, keys) in &stores {
            let guard = keys.guard();
            let head = Head::new(request(keys.known()).into_parts().0);
            group.bench_function(format!("check, {count} keys"), |bencher| {
                bencher.iter(|| match guard.check(black_box(&head)) {
                    Check::Pass(pass) => pass,
                    _ => panic!("the known key is not taken"),
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, identity);
criterion_main!(benches);
