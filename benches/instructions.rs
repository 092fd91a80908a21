//! Instructions of each stack, by gungraun: setup and warm-up are not counted.
//!
//! `budgets` reads the profiles that this writes.

#![allow(missing_docs, reason = "gungraun generates items")]

use gungraun::{
    Callgrind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use stockade_benches::{
    ABUSE, AS_WRITTEN, AS_WRITTEN_UNRECORDED, AUDIT, BY_HAND, BY_HAND_UNRECORDED, CONTEXT, DIGEST,
    FENCE, FENCE_401, FENCE_429, FENCE_BOXED, FENCE_CHAINED, FENCE_TYPED, GOVERNOR, GOVERNOR_429,
    KEY_AUTH, KEY_AUTH_401, NO_OP, RATE_LIMIT, RATE_LIMIT_429, READY_GUARD, REQUEST,
    REQUESTS_COUNTED, ROUTER, ROUTER_TYPED, ROUTER_VALIDATED, SCOPE, Stack, TOKEN, stack,
};

/// The cost of glibc's allocator depends on what was freed before: between two builds its
/// part of the same stack differs by a thousand instructions. This one repeats.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WARM_UP: u32 = 1_000;

fn warm(name: &'static str) -> Stack {
    let stack = stack(name);
    stack.repeat(WARM_UP);
    stack
}

#[library_benchmark(setup = warm, teardown = drop)]
#[bench::request(REQUEST)]
#[bench::digest(DIGEST)]
#[bench::router(ROUTER)]
#[bench::router_typed(ROUTER_TYPED)]
#[bench::router_validated(ROUTER_VALIDATED)]
#[bench::no_op(NO_OP)]
#[bench::ready_guard(READY_GUARD)]
#[bench::context(CONTEXT)]
#[bench::key_auth(KEY_AUTH)]
#[bench::key_auth_401(KEY_AUTH_401)]
#[bench::token(TOKEN)]
#[bench::scope(SCOPE)]
#[bench::rate_limit(RATE_LIMIT)]
#[bench::rate_limit_429(RATE_LIMIT_429)]
#[bench::abuse(ABUSE)]
#[bench::audit(AUDIT)]
#[bench::fence(FENCE)]
#[bench::fence_401(FENCE_401)]
#[bench::fence_429(FENCE_429)]
#[bench::fence_chained(FENCE_CHAINED)]
#[bench::fence_boxed(FENCE_BOXED)]
#[bench::fence_typed(FENCE_TYPED)]
#[bench::as_written(AS_WRITTEN)]
#[bench::as_written_unrecorded(AS_WRITTEN_UNRECORDED)]
#[bench::by_hand(BY_HAND)]
#[bench::by_hand_unrecorded(BY_HAND_UNRECORDED)]
#[bench::governor(GOVERNOR)]
#[bench::governor_429(GOVERNOR_429)]
fn requests(stack: Stack) -> Stack {
    stack.repeat(REQUESTS_COUNTED);
    stack
}

library_benchmark_group!(name = stacks, benchmarks = requests);

main!(
    config = LibraryBenchmarkConfig::default()
        .tool(Callgrind::with_args(["--cache-sim=no", "--dump-instr=yes"])),
    library_benchmark_groups = stacks
);
