//! Renews the permits of this process, and releases dropped ones.

use std::sync::{Arc, LazyLock, Weak, atomic::Ordering};

use redis::Script;
use tokio::{
    sync::{Notify, mpsc},
    time::{Interval, MissedTickBehavior, interval},
};

use super::{HeldPermit, Shared, millis};
use crate::{Redis, error::CallError};

static RENEW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("renew.lua")));
static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("release.lua")));

/// The highest number of permits per call.
const MAX_BATCH: usize = 256;

/// A single task does both, so that a released permit is never renewed afterwards.
pub(super) struct PermitRenewer {
    shared: Weak<Shared>,
    releases: mpsc::Receiver<Arc<HeldPermit>>,
    redis: Redis,
    freed: Arc<Notify>,
    ttl: u64,
    renewal: Interval,
}

impl PermitRenewer {
    pub(super) fn new(shared: &Arc<Shared>, releases: mpsc::Receiver<Arc<HeldPermit>>) -> Self {
        let mut renewal = interval(shared.ttl / 3);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            shared: Arc::downgrade(shared),
            releases,
            redis: shared.redis.clone(),
            freed: Arc::clone(&shared.freed),
            ttl: millis(shared.ttl),
            renewal,
        }
    }

    pub(super) async fn run(mut self) {
        let mut released = Vec::with_capacity(MAX_BATCH);
        loop {
            tokio::select! {
                // Renewal takes precedence over releases.
                biased;
                _ = self.renewal.tick() => self.renew().await,
                count = self.releases.recv_many(&mut released, MAX_BATCH) => {
                    if count == 0 {
                        return;
                    }
                    self.release(&released).await;
                    released.clear();
                }
            }
        }
    }

    async fn renew(&self) {
        let Some(live) = self.shared.upgrade().map(|shared| {
            let live = shared.live();
            live.values().map(Arc::clone).collect::<Vec<_>>()
        }) else {
            return;
        };
        for live in live.chunks(MAX_BATCH) {
            if let Err(failure) = self.run_script(&RENEW, Some(self.ttl), live).await {
                tracing::warn!(%failure, "cannot renew permits");
                return;
            }
        }
    }

    async fn release(&self, released: &[Arc<HeldPermit>]) {
        if let Err(failure) = self.run_script(&RELEASE, None, released).await {
            tracing::warn!(%failure, "cannot release permits; they will expire");
            if let Some(shared) = self.shared.upgrade() {
                shared
                    .lost
                    .fetch_add(released.len() as u64, Ordering::Relaxed);
            }
        }
        self.freed.notify_waiters();
    }

    async fn run_script(
        &self,
        script: &Script,
        first: Option<u64>,
        permits: &[Arc<HeldPermit>],
    ) -> Result<(), CallError> {
        let mut call = script.prepare_invoke();
        if let Some(first) = first {
            call.arg(first);
        }
        for permit in permits {
            for key in &permit.keys {
                call.key(key).arg(&permit.id);
            }
        }
        self.redis.link().run::<u64>(&call).await.map(drop)
    }
}
