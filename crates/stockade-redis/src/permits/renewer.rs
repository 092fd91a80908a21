//! Renews the permits of this process, and releases dropped ones.

use std::{
    collections::VecDeque,
    sync::{Arc, LazyLock, Weak, atomic::Ordering},
    time::Duration,
};

use redis::Script;
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, Interval, MissedTickBehavior, interval},
};

use super::{HeldPermit, MAX_RELEASES, Shared, millis};
use crate::{Redis, error::CallError};

static RENEW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("renew.lua")));
static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("release.lua")));

/// The highest number of permits per call.
const MAX_BATCH: usize = 256;

/// The interval between attempts to release permits.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// A single task does both, so that a released permit is never renewed afterwards.
pub(super) struct PermitRenewer {
    shared: Weak<Shared>,
    releases: mpsc::Receiver<Arc<HeldPermit>>,
    redis: Redis,
    freed: Arc<Notify>,
    ttl: Duration,
    renewal: Interval,
    /// Permits that could not be released, with the times when they expire, in order.
    failed: VecDeque<(Instant, Arc<HeldPermit>)>,
    retry: Interval,
}

impl PermitRenewer {
    pub(super) fn new(shared: &Arc<Shared>, releases: mpsc::Receiver<Arc<HeldPermit>>) -> Self {
        let ticker = |period| {
            let mut ticker = interval(period);
            ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticker
        };
        Self {
            shared: Arc::downgrade(shared),
            releases,
            redis: shared.redis.clone(),
            freed: Arc::clone(&shared.freed),
            ttl: shared.ttl,
            renewal: ticker(shared.ttl / 3),
            failed: VecDeque::new(),
            retry: ticker(RETRY_INTERVAL),
        }
    }

    pub(super) async fn run(mut self) {
        let mut released = Vec::with_capacity(MAX_BATCH);
        loop {
            tokio::select! {
                // Renewal takes precedence over releases.
                biased;
                _ = self.renewal.tick() => self.renew().await,
                _ = self.retry.tick(), if !self.failed.is_empty() => self.release_failed().await,
                count = self.releases.recv_many(&mut released, MAX_BATCH) => {
                    if count == 0 {
                        return;
                    }
                    self.release(&mut released).await;
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
            if let Err(failure) = self.run_script(&RENEW, Some(millis(self.ttl)), live).await {
                tracing::warn!(%failure, "cannot renew permits");
                return;
            }
        }
    }

    async fn release(&mut self, released: &mut Vec<Arc<HeldPermit>>) {
        if let Err(failure) = self.run_script(&RELEASE, None, released).await {
            tracing::warn!(%failure, "cannot release permits; retrying until they expire");
            let expires = Instant::now() + self.ttl;
            let kept = released.len().min(MAX_RELEASES - self.failed.len());
            let failed = released.drain(..kept).map(|held| (expires, held));
            self.failed.extend(failed);
            self.lose(released.len());
        }
        released.clear();
        self.freed.notify_waiters();
    }

    /// Releases permits again: after an outage, Redis may still have them, or have granted them
    /// late.
    async fn release_failed(&mut self) {
        let now = Instant::now();
        let expired = self.failed.partition_point(|(expires, _)| *expires <= now);
        self.failed.drain(..expired);
        self.lose(expired);
        while !self.failed.is_empty() {
            let batch = self.failed.iter().take(MAX_BATCH);
            let batch: Vec<_> = batch.map(|(_, held)| Arc::clone(held)).collect();
            if self.run_script(&RELEASE, None, &batch).await.is_err() {
                return;
            }
            self.failed.drain(..batch.len());
            self.freed.notify_waiters();
        }
    }

    /// Counts permits that expire without a release.
    fn lose(&self, count: usize) {
        if let Some(shared) = self.shared.upgrade() {
            shared.lost.fetch_add(count as u64, Ordering::Relaxed);
        }
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
