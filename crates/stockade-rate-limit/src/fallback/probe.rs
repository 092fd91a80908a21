//! Probes a store that is down, without requests.

use std::sync::{Arc, Weak};

use tokio::{runtime::Handle, time};

use super::{Breaker, Fallback};
use crate::{LimitStore, OwnedBucket, Quota, StoreReply};

impl<S> Fallback<S>
where
    S: LimitStore,
{
    /// Starts the task, unless it runs.
    pub(super) fn start_probing(&self) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if self.breaker.circuit.start_probing() {
            let store = Arc::downgrade(&self.store);
            runtime.spawn(run(store, self.breaker.clone()));
        }
    }
}

/// Probes until the store is up again, or no longer used: the task does not keep it alive.
async fn run<S>(store: Weak<S>, breaker: Breaker)
where
    S: LimitStore,
{
    let circuit = &breaker.circuit;
    loop {
        // Later than a request, which spares the probe.
        time::sleep(breaker.cool_down + breaker.deadline).await;
        let Some(store) = store.upgrade() else {
            return;
        };
        if !circuit.is_up() && breaker.allow_call() {
            breaker.observe(has_decided(&*store, &breaker).await);
        }
        if circuit.is_up() && circuit.stop_probing() {
            return;
        }
    }
}

/// Asks the store for a permit of its own; whether it decides in time.
async fn has_decided(store: &impl LimitStore, breaker: &Breaker) -> bool {
    // A bucket that no lease and no earlier probe has touched: the store has to write it.
    let name = breaker.circuit.health().failures.to_string();
    let bucket = OwnedBucket::new("stockade-probe", &name, Quota::per_second(1), 1);
    match store.take(&[bucket.as_bucket()]) {
        StoreReply::Ready(answer) => answer.is_ok(),
        StoreReply::Wait(wait) => matches!(time::timeout(breaker.deadline, wait).await, Ok(Ok(_))),
    }
}
