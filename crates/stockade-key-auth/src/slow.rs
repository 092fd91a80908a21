//! Verification of slow hashes on blocking threads, with bounded concurrency.

mod fair_semaphore;

use std::{convert::Infallible, num::NonZeroUsize, sync::Arc};

use tokio::{sync::oneshot, task};
use zeroize::Zeroizing;

use crate::{
    KeyDigest, KeyId, LiveKeys,
    set::{Entry, SlowOutcome},
};
pub(crate) use fair_semaphore::Client;
use fair_semaphore::FairSemaphore;

/// Limits of slow hash verification: concurrent verifications and queued requests.
///
/// bcrypt at cost 12 occupies a core for a third of a second; argon2id also takes tens of
/// megabytes. The defaults are half of the cores and eight queued requests for each of them;
/// further requests are refused immediately.
///
/// Clients share both limits fairly. They are distinguished by address, IPv6 clients by /64
/// network, and served round-robin. When the queue is full, a client with fewer requests than
/// another displaces the newest request of the client with the most. The requests of one client
/// therefore cannot lock out others.
///
/// ```
/// use std::num::NonZeroUsize;
///
/// use stockade_key_auth::{KeyAuthLayer, MemoryKeyStore, SlowHashLimits};
///
/// let one_at_a_time = SlowHashLimits::new(NonZeroUsize::MIN, 4);
/// let layer = KeyAuthLayer::new(&MemoryKeyStore::new()).slow_hashes(one_at_a_time);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowHashLimits {
    pub(crate) max_concurrent: NonZeroUsize,
    pub(crate) max_queued: usize,
}

impl SlowHashLimits {
    /// Limits concurrent verifications and queued requests.
    pub fn new(max_concurrent: NonZeroUsize, max_queued: usize) -> Self {
        Self {
            max_concurrent,
            max_queued,
        }
    }
}

impl Default for SlowHashLimits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let max_concurrent = NonZeroUsize::new(cores / 2).unwrap_or(NonZeroUsize::MIN);
        Self::new(max_concurrent, max_concurrent.get() * 8)
    }
}

/// Verifies slow hashes within limits.
#[derive(Clone, Debug)]
pub(crate) struct SlowVerifier(FairSemaphore);

/// All permits and queue slots are taken.
#[derive(Debug)]
pub(crate) struct Busy;

impl SlowVerifier {
    pub(crate) fn new(limits: SlowHashLimits) -> Self {
        Self(FairSemaphore::new(
            limits.max_concurrent.get(),
            limits.max_queued,
        ))
    }

    /// Acquires a permit or a queue slot; the returned future verifies the key.
    ///
    /// The entry that it resolves to comes from the set at the end of the verification: a key
    /// that was revoked meanwhile is refused and not cached.
    pub(crate) fn verify(
        &self,
        live: LiveKeys,
        verification: SlowVerification,
        client: Client,
    ) -> Result<impl Future<Output = Result<Option<Arc<Entry>>, Busy>> + Send + use<>, Busy> {
        let acquire = self.0.acquire(client)?;
        Ok(async move {
            let permit = acquire.wait().await?;
            let (cancelled, waiting) = oneshot::channel::<Infallible>();
            // The permit moves with the work: a client that disconnects frees it only when its
            // verification has ended.
            let work = task::spawn_blocking(move || {
                let _permit = permit;
                verification.run(&live, || !cancelled.is_closed())
            });
            let _waiting = waiting;
            // A panic in a hash library counts as a mismatch.
            Ok(work.await.unwrap_or_else(|error| {
                tracing::error!(%error, "verification of a slow hash failed");
                None
            }))
        })
    }
}

/// A key to verify against slow hashes.
pub(crate) struct SlowVerification {
    pub(crate) key: Zeroizing<Vec<u8>>,
    pub(crate) digest: KeyDigest,
    /// The claimed id of a key in our format.
    pub(crate) id: Option<KeyId>,
}

impl SlowVerification {
    fn run(&self, live: &LiveKeys, is_wanted: impl Fn() -> bool) -> Option<Arc<Entry>> {
        let set = live.current();
        match set.verify_slow(&self.key, self.id.as_ref(), is_wanted) {
            SlowOutcome::Match(slow) => live.cache_verified(self.digest, &slow),
            SlowOutcome::NoMatch => {
                set.cache_failure(self.digest);
                None
            }
            SlowOutcome::Cancelled => None,
        }
    }
}
