//! Probes a store that is down, without requests.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{runtime::Handle, time};

use super::{Fallback, OnChange, circuit::Circuit};
use crate::{FailurePolicy, LimitStore, OwnedBucket, Quota, StoreReply};

/// What the task needs. It does not keep the store alive.
struct Prober<S> {
    store: Weak<S>,
    circuit: Weak<Circuit>,
    on_change: Option<Weak<OnChange>>,
    deadline: Duration,
    failures: u32,
    cool_down: Duration,
}

impl<S> Fallback<S>
where
    S: LimitStore,
{
    /// Starts the task, unless it runs.
    pub(super) fn start_probing(&self) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if self.circuit.start_probing() {
            let prober = Prober {
                store: Arc::downgrade(&self.store),
                circuit: Arc::downgrade(&self.circuit),
                on_change: self.on_change.as_ref().map(Arc::downgrade),
                deadline: self.deadline,
                failures: self.failures,
                cool_down: self.cool_down,
            };
            runtime.spawn(prober.run());
        }
    }

    /// Asks the store for a permit of its own.
    async fn probe(&self) {
        // A bucket that no lease and no earlier probe has touched: the store has to write it.
        let name = self.circuit.health().failures.to_string();
        let bucket = OwnedBucket::new("stockade-probe", &name, Quota::per_second(1), 1);
        let reply = match self.store.take(&[bucket.as_bucket()]) {
            StoreReply::Ready(answer) => Ok(answer),
            StoreReply::Wait(wait) => time::timeout(self.deadline, wait).await,
        };
        self.observe(matches!(reply, Ok(Ok(_))));
    }
}

impl<S> Prober<S>
where
    S: LimitStore,
{
    /// Probes until the store is up again, or no longer used.
    async fn run(self) {
        loop {
            // Later than a request, which spares the probe.
            time::sleep(self.cool_down + self.deadline).await;
            let Some(fallback) = self.upgrade() else {
                return;
            };
            let circuit = &fallback.circuit;
            if !circuit.is_up() && circuit.allow_request(self.cool_down + self.deadline) {
                fallback.probe().await;
            }
            if circuit.is_up() && circuit.stop_probing() {
                return;
            }
        }
    }

    /// The store, if it is still used.
    fn upgrade(&self) -> Option<Fallback<S>> {
        Some(Fallback {
            store: self.store.upgrade()?,
            // A probe asks no policy.
            policy: FailurePolicy::Deny,
            local: None,
            deadline: self.deadline,
            failures: self.failures,
            cool_down: self.cool_down,
            on_change: self.on_change.as_ref().and_then(Weak::upgrade),
            circuit: self.circuit.upgrade()?,
        })
    }
}
