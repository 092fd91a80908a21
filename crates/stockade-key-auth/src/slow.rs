//! Slow hashes, off the async threads and never more than a few at once.

mod turns;

use std::{convert::Infallible, num::NonZeroUsize, sync::Arc};

use tokio::{sync::oneshot, task};
use zeroize::Zeroizing;

use crate::{
    KeyDigest, KeyId, LiveKeys,
    set::{Entry, Tried},
};
pub(crate) use turns::Client;
use turns::Turns;

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
    pub(crate) at_once: NonZeroUsize,
    pub(crate) waiting: usize,
}

impl SlowHashLimits {
    /// This many at once, and this many requests waiting besides.
    pub fn new(at_once: NonZeroUsize, waiting: usize) -> Self {
        Self { at_once, waiting }
    }
}

impl Default for SlowHashLimits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let at_once = NonZeroUsize::new(cores / 2).unwrap_or(NonZeroUsize::MIN);
        Self::new(at_once, at_once.get() * 8)
    }
}

/// Verifies slow hashes within limits.
#[derive(Debug)]
pub(crate) struct SlowVerifier(Turns);

/// Every place is taken.
#[derive(Debug)]
pub(crate) struct Busy;

impl SlowVerifier {
    pub(crate) fn new(limits: SlowHashLimits) -> Self {
        Self(Turns::new(limits.at_once.get(), limits.waiting))
    }

    /// Takes a place at once; verifies the key when it is polled.
    ///
    /// The entry that it resolves to is of the set in force at the end, so a key that was
    /// revoked while it was being verified is refused and learnt by nobody.
    pub(crate) fn verify(
        &self,
        live: LiveKeys,
        attempt: Attempt,
        client: Client,
    ) -> Result<impl Future<Output = Result<Option<Arc<Entry>>, Busy>> + Send + use<>, Busy> {
        let place = self.0.enter(client)?;
        Ok(async move {
            let permit = place.permit().await?;
            let (asking, asked) = oneshot::channel::<Infallible>();
            // The permit goes with the work: a client that leaves makes no room for a second
            // piece of work while the first one still runs.
            let work = task::spawn_blocking(move || {
                let _permit = permit;
                attempt.run(&live, || !asking.is_closed())
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
pub(crate) struct Attempt {
    pub(crate) key: Zeroizing<Vec<u8>>,
    pub(crate) digest: KeyDigest,
    /// The id that the key claims to have, where it is of our format.
    pub(crate) id: Option<KeyId>,
}

impl Attempt {
    fn run(&self, live: &LiveKeys, wanted: impl Fn() -> bool) -> Option<Arc<Entry>> {
        let set = live.current();
        match set.try_slow(&self.key, self.id.as_ref(), wanted) {
            Tried::Matches(slow) => live.load().learn(self.digest, &slow),
            Tried::Fails => {
                set.remember_failure(self.digest);
                None
            }
            Tried::Abandoned => None,
        }
    }
}
