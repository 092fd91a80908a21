//! Renews the permits of this process, and gives back those that are over.

use std::sync::{Arc, LazyLock, Weak, atomic::Ordering};

use redis::Script;
use tokio::{
    sync::{Notify, mpsc},
    time::{Interval, MissedTickBehavior, interval},
};

use super::{Held, Shared, millis};
use crate::{Redis, fault::Failure};

static RENEW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("renew.lua")));
static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("release.lua")));

/// The most permits of one call.
const BATCH: usize = 256;

/// One task does both, one after the other: so a permit that was given back is never renewed
/// after that.
pub(super) struct Keeper {
    shared: Weak<Shared>,
    releases: mpsc::Receiver<Arc<Held>>,
    redis: Redis,
    freed: Arc<Notify>,
    life: u64,
    renewal: Interval,
}

impl Keeper {
    pub(super) fn new(shared: &Arc<Shared>, releases: mpsc::Receiver<Arc<Held>>) -> Self {
        let mut renewal = interval(shared.life / 3);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            shared: Arc::downgrade(shared),
            releases,
            redis: shared.redis.clone(),
            freed: Arc::clone(&shared.freed),
            life: millis(shared.life),
            renewal,
        }
    }

    pub(super) async fn run(mut self) {
        let mut over = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                // Renewing comes first, however many go back.
                biased;
                _ = self.renewal.tick() => self.renew().await,
                count = self.releases.recv_many(&mut over, BATCH) => {
                    if count == 0 {
                        return;
                    }
                    self.release(&over).await;
                    over.clear();
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
        for live in live.chunks(BATCH) {
            if let Err(failure) = self.run_script(&RENEW, Some(self.life), live).await {
                tracing::warn!(%failure, "permits could not be renewed");
                return;
            }
        }
    }

    async fn release(&self, over: &[Arc<Held>]) {
        if let Err(failure) = self.run_script(&RELEASE, None, over).await {
            tracing::warn!(%failure, "permits could not be given back, and will expire");
            if let Some(shared) = self.shared.upgrade() {
                shared.lost.fetch_add(over.len() as u64, Ordering::Relaxed);
            }
        }
        self.freed.notify_waiters();
    }

    async fn run_script(
        &self,
        script: &Script,
        first: Option<u64>,
        permits: &[Arc<Held>],
    ) -> Result<(), Failure> {
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
