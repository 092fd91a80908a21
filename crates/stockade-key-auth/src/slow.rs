//! Slow hashes, off the async threads and never more than a few at once.

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

/// How many slow hashes are verified at once, and how many requests may wait for that.
///
/// bcrypt at cost 12 takes a core for a third of a second, argon2id takes tens of
/// megabytes besides. So half of the cores at once, and eight waiting for each of them,
/// is the default; what comes on top of that is refused at once.
///
/// Clients share both fairly. They are distinguished by address, IPv6 by its /64 network.
/// Waiting clients are served in turns. When all places are taken, a client that has fewer of
/// them than another takes a place of the one that has the most, and that request is refused.
/// So the requests of one client cannot keep out those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowHashLimits {
    pub(crate) max_concurrent: NonZeroUsize,
    pub(crate) max_queued: usize,
}

impl SlowHashLimits {
    /// This many at once, and this many requests waiting besides.
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
#[derive(Debug)]
pub(crate) struct SlowVerifier(FairSemaphore);

/// Every place is taken.
#[derive(Debug)]
pub(crate) struct Busy;

impl SlowVerifier {
    pub(crate) fn new(limits: SlowHashLimits) -> Self {
        Self(FairSemaphore::new(
            limits.max_concurrent.get(),
            limits.max_queued,
        ))
    }

    /// Takes a place at once; verifies the key when it is polled.
    ///
    /// The entry that it resolves to is of the set in force at the end, so a key that was
    /// revoked while it was being verified is refused and learnt by nobody.
    pub(crate) fn verify(
        &self,
        live: LiveKeys,
        verification: SlowVerification,
        client: Client,
    ) -> Result<impl Future<Output = Result<Option<Arc<Entry>>, Busy>> + Send + use<>, Busy> {
        let acquire = self.0.acquire(client)?;
        Ok(async move {
            let permit = acquire.wait().await?;
            let (asking, asked) = oneshot::channel::<Infallible>();
            // The permit goes with the work: a client that leaves makes no room for a second
            // piece of work while the first one still runs.
            let work = task::spawn_blocking(move || {
                let _permit = permit;
                verification.run(&live, || !asking.is_closed())
            });
            let _asked = asked;
            // A panic in a hash library is one key that does not match.
            Ok(work.await.unwrap_or_else(|error| {
                tracing::error!(%error, "a slow hash was not verified");
                None
            }))
        })
    }
}

/// A key that only a slow hash can verify.
pub(crate) struct SlowVerification {
    pub(crate) key: Zeroizing<Vec<u8>>,
    pub(crate) digest: KeyDigest,
    /// The id that the key claims to have, where it is of our format.
    pub(crate) id: Option<KeyId>,
}

impl SlowVerification {
    fn run(&self, live: &LiveKeys, wanted: impl Fn() -> bool) -> Option<Arc<Entry>> {
        let set = live.current();
        match set.verify_slow(&self.key, self.id.as_ref(), wanted) {
            SlowOutcome::Match(slow) => live.load().cache_verified(self.digest, &slow),
            SlowOutcome::NoMatch => {
                set.cache_failure(self.digest);
                None
            }
            SlowOutcome::Cancelled => None,
        }
    }
}
