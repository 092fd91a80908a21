//! The conformance suite for limit stores.

use stockade_rate_limit::{Bucket, Decision, LimitStore, OwnedBucket, Quota, StoreReply};

/// Runs the suite against an empty store.
///
/// # Panics
/// Panics if the store breaks the contract of [`LimitStore`].
pub async fn uphold<S>(store: &S)
where
    S: LimitStore,
{
    counts_nothing_without_buckets(store).await;
    debits_all_buckets_or_none(store).await;
    settles_after_the_fact(store).await;
    counts_subjects_separately(store).await;
}

/// Runs the part of the suite that a store with a single quota can uphold, against an empty store
/// of this quota, which must not refill meanwhile.
///
/// # Panics
/// Panics if the store breaks the contract of [`LimitStore`].
pub async fn uphold_single<S>(store: &S, quota: Quota)
where
    S: LimitStore,
{
    counts_nothing_without_buckets(store).await;
    for key in ["a", "b"] {
        let one = [OwnedBucket::new("suite-single", key, quota, 1)];
        for left in (0..quota.max_burst()).rev() {
            let decision = take(store, &one).await;
            assert!(decision.is_allowed(), "{key} has {left} left");
            assert_eq!(remaining(&decision), [left], "{key}");
        }
        for _ in 0..3 {
            let refused = take(store, &one).await;
            assert!(!refused.is_allowed(), "{key} has nothing left");
            assert_eq!(remaining(&refused), [0], "a refused request was debited");
        }
    }
}

async fn take<S>(store: &S, buckets: &[OwnedBucket]) -> Decision
where
    S: LimitStore,
{
    let buckets: Vec<Bucket<'_>> = buckets.iter().map(OwnedBucket::as_bucket).collect();
    let decision = match store.take(&buckets) {
        StoreReply::Ready(decision) => decision,
        StoreReply::Wait(wait) => wait.await,
    };
    decision.expect("a decision")
}

fn remaining(decision: &Decision) -> Vec<u32> {
    let statuses = decision.statuses().iter();
    statuses.map(|status| status.remaining()).collect()
}

fn bucket(limit: &str, subject: &str, count: u32, cost: u32) -> OwnedBucket {
    OwnedBucket::new(limit, subject, Quota::per_day(count), cost)
}

/// A request without limits is allowed without an error.
async fn counts_nothing_without_buckets<S>(store: &S)
where
    S: LimitStore,
{
    let decision = take(store, &[]).await;
    assert!(
        decision.is_allowed(),
        "a request without buckets was refused"
    );
    assert!(decision.statuses().is_empty(), "levels without buckets");
}

async fn debits_all_buckets_or_none<S>(store: &S)
where
    S: LimitStore,
{
    let both = [
        bucket("suite-wide", "a", 9, 1),
        bucket("suite-narrow", "a", 2, 1),
    ];
    for left in [[8, 1], [7, 0]] {
        let decision = take(store, &both).await;
        assert!(decision.is_allowed());
        assert_eq!(remaining(&decision), left, "levels in the order of buckets");
    }
    for _ in 0..3 {
        let refused = take(store, &both).await;
        assert!(!refused.is_allowed());
        assert_eq!(remaining(&refused), [7, 0], "a refused request was debited");
    }
}

async fn settles_after_the_fact<S>(store: &S)
where
    S: LimitStore,
{
    let tokens = [bucket("suite-tokens", "a", 100, 60)];
    assert!(take(store, &tokens).await.is_allowed());
    assert!(!take(store, &tokens).await.is_allowed());
    store.settle(&tokens[0].as_bucket(), -20);
    let decision = take(store, &tokens).await;
    assert!(decision.is_allowed(), "the refund is missing");
    assert_eq!(remaining(&decision), [0]);
}

async fn counts_subjects_separately<S>(store: &S)
where
    S: LimitStore,
{
    for subject in ["a", "b"] {
        let one = [bucket("suite-subjects", subject, 1, 1)];
        assert!(take(store, &one).await.is_allowed(), "{subject}");
        assert!(!take(store, &one).await.is_allowed(), "{subject}");
    }
}
