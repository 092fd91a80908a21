//! Slow hashes, off the async threads and never more than a few at once.

use std::{
    convert::Infallible,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    sync::{Semaphore, oneshot},
    task,
};
use zeroize::Zeroizing;

use crate::{
    KeyDigest, KeyId, LiveKeys,
    set::{Entry, Tried},
};

/// How many slow hashes are verified at once, and how many requests may wait for that.
///
/// bcrypt at cost 12 takes a core for a third of a second, argon2id takes tens of
/// megabytes besides. So half of the cores at once, and eight waiting for each of them,
/// is the default; what comes on top of that is refused at once.
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
pub(crate) struct SlowVerifier {
    running: Arc<Semaphore>,
    /// Requests that may be running or waiting before the next one is refused.
    places: usize,
    taken: Arc<AtomicUsize>,
}

/// Every place is taken.
#[derive(Debug)]
pub(crate) struct Busy;

impl SlowVerifier {
    pub(crate) fn new(limits: SlowHashLimits) -> Self {
        Self {
            running: Arc::new(Semaphore::new(limits.at_once.get())),
            places: limits.at_once.get() + limits.waiting,
            taken: Arc::default(),
        }
    }

    /// Takes a place at once; verifies the key when it is polled.
    ///
    /// The entry that it resolves to is of the set in force at the end, so a key that was
    /// revoked while it was being verified is refused and learnt by nobody.
    pub(crate) fn verify(
        &self,
        live: LiveKeys,
        attempt: Attempt,
    ) -> Result<impl Future<Output = Option<Arc<Entry>>> + Send + use<>, Busy> {
        let place = Place::take(&self.taken, self.places)?;
        let running = Arc::clone(&self.running);
        Ok(async move {
            let permit = running
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            let (asking, asked) = oneshot::channel::<Infallible>();
            // The permit and the place go with the work: a client that leaves makes no
            // room for a second piece of work while the first one still runs.
            let work = task::spawn_blocking(move || {
                let _held = (permit, place);
                attempt.run(&live, || !asking.is_closed())
            });
            let _asked = asked;
            // A panic in a hash library is one key that does not match.
            work.await.unwrap_or(None)
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

/// One of a limited number of places; given back on drop.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(taken: &Arc<AtomicUsize>, places: usize) -> Result<Self, Busy> {
        taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| {
                (taken < places).then_some(taken + 1)
            })
            .map_err(|_| Busy)?;
        Ok(Self(Arc::clone(taken)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
