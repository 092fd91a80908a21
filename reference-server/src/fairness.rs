//! Who shares a model: the keys of fair queues.

use std::{
    hash::{BuildHasher as _, RandomState},
    num::NonZeroU32,
    sync::LazyLock,
};

use stockade_core::context::RequestContext;

use crate::fair_queue::Share;

/// The share of a request: principals share a model by their weights, and anonymous clients by
/// their addresses.
pub(crate) fn share(context: &RequestContext) -> Share<u64> {
    // A key per process, so that clients cannot choose colliding names.
    static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

    match context.principal() {
        Some(principal) => Share {
            key: HASHER.hash_one(("principal", principal.id())),
            weight: principal.quotas().weight.unwrap_or(NonZeroU32::MIN),
        },
        None => Share::new(HASHER.hash_one(("client", context.client()))),
    }
}
