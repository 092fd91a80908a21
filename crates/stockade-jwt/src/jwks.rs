//! Keys from a JWKS URL.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use stockade_core::Timestamp;
use tokio::{runtime::Handle, sync::watch, time};

use crate::{Algorithm, KeyError, KeyErrorKind, KeySet, KeySource, LiveKeys, Refresh, jwk};

mod error;
mod fetch;
mod policy;

pub use error::{JwksError, JwksErrorKind};
pub use fetch::{HttpFetch, JwksFetch};
pub use policy::RefreshPolicy;

use policy::{State, Verdict};

/// The keys behind a JWKS URL, kept up while requests use them.
///
/// A set that has grown old is replaced in the background, and stays in force when that
/// fails. Only a request whose token names an unknown key waits, for one fetch at most,
/// and only where the last one is longer ago than the cool-down. Clones share everything.
///
/// Needs a tokio runtime.
///
/// ```no_run
/// use stockade_core::{Clock, SystemClock};
/// use stockade_jwt::{Algorithm, HttpFetch, JwksUrl, JwtAuth, TokenRules};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let fetch = HttpFetch::new("https://id.example.com/.well-known/jwks.json")?;
/// let keys = JwksUrl::new(fetch, &[Algorithm::Rs256, Algorithm::Es256])?;
/// // Optional: without keys, do not start. Otherwise the first request fetches them.
/// keys.load(SystemClock::new().now()).await?;
/// let rules = TokenRules::new("https://id.example.com", "https://api.example.com");
/// let guard = JwtAuth::new(keys, rules);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct JwksUrl {
    shared: Arc<Shared>,
}

struct Shared {
    fetch: Box<dyn JwksFetch>,
    algorithms: Box<[Algorithm]>,
    policy: RefreshPolicy,
    keys: LiveKeys,
    state: Mutex<State>,
    /// When [`KeySource::used`] has something to do next, in nanoseconds, so that it takes
    /// no lock until then.
    due: AtomicU64,
    /// Counts finished fetches, and wakes those who wait for one.
    finished: watch::Sender<u64>,
    waiting: AtomicUsize,
    failures: AtomicU64,
    /// The text of the set in force: the same text again changes nothing.
    digest: Mutex<Option<[u8; 32]>>,
}

/// Requests that may wait for a fetch; the others are told to come back.
const MOST_WAITING: usize = 256;

impl JwksUrl {
    /// Fetches keys for these algorithms by this client.
    ///
    /// # Errors
    /// When one of the algorithms is HS256, HS384 or HS512: a secret that is published is
    /// none.
    pub fn new(fetch: impl JwksFetch, algorithms: &[Algorithm]) -> Result<Self, KeyError> {
        Self::with_policy(fetch, algorithms, RefreshPolicy::default())
    }

    /// The same, with other times than the default ones.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn with_policy(
        fetch: impl JwksFetch,
        algorithms: &[Algorithm],
        policy: RefreshPolicy,
    ) -> Result<Self, KeyError> {
        use Algorithm::{Hs256, Hs384, Hs512};
        if algorithms
            .iter()
            .any(|one| matches!(one, Hs256 | Hs384 | Hs512))
        {
            return Err(KeyError::new(
                KeyErrorKind::Unfit,
                "a JWKS URL has public keys only; remove the HS algorithms from the list",
            ));
        }
        Ok(Self {
            shared: Arc::new(Shared {
                fetch: Box::new(fetch),
                algorithms: algorithms.into(),
                policy,
                keys: LiveKeys::new(KeySet::new([])),
                state: Mutex::default(),
                due: AtomicU64::new(0),
                finished: watch::Sender::new(0),
                waiting: AtomicUsize::new(0),
                failures: AtomicU64::new(0),
                digest: Mutex::default(),
            }),
        })
    }

    /// Fetches the keys now, so that a server which cannot have them does not start.
    ///
    /// # Errors
    /// When they cannot be fetched, or are none.
    pub async fn load(&self, now: Timestamp) -> Result<(), JwksError> {
        self.shared.state().start(now);
        Attempt::new(&self.shared, now).run().await
    }

    /// How many fetches have ended, well or not.
    pub fn fetches(&self) -> u64 {
        *self.shared.finished.borrow()
    }

    /// How many fetches have failed. The last good set was kept each time.
    pub fn failures(&self) -> u64 {
        self.shared.failures.load(Ordering::Relaxed)
    }
}

impl KeySource for JwksUrl {
    fn keys(&self) -> LiveKeys {
        self.shared.keys.clone()
    }

    fn used(&self, now: Timestamp) {
        if now.as_nanos() < self.shared.due.load(Ordering::Relaxed) {
            return;
        }
        let state = self.shared.state();
        if self.shared.policy.is_due(&state, now) {
            self.shared.start(state, now);
        }
    }

    fn missing(&self, now: Timestamp) -> Refresh {
        let shared = &self.shared;
        let state = shared.state();
        match shared.policy.missing(&state, now) {
            Verdict::Settled => Refresh::Settled,
            Verdict::Unavailable(retry_after) => Refresh::Unavailable(retry_after),
            Verdict::Join => shared.wait(),
            Verdict::Fetch => {
                let waiting = shared.wait();
                if shared.start(state, now) {
                    waiting
                } else {
                    Refresh::Unavailable(shared.policy.cool_down)
                }
            }
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change to the state is one assignment; a panic leaves none half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches in a task of its own, which no client that leaves can end. Whether there is
    /// a runtime for that.
    fn start(self: &Arc<Self>, mut state: MutexGuard<'_, State>, now: Timestamp) -> bool {
        let Ok(runtime) = Handle::try_current() else {
            return false;
        };
        state.start(now);
        // A runtime that shuts down drops the task at once, and the attempt's end is noted
        // under this lock.
        drop(state);
        let attempt = Attempt::new(self, now);
        runtime.spawn(async move {
            // Counted and kept; nobody is there to hear of it.
            let _ = attempt.run().await;
        });
        true
    }

    /// Waits for the fetch under way, or about to be; called with the state locked, so that
    /// it cannot end unheard.
    fn wait(self: &Arc<Self>) -> Refresh {
        let Some(place) = Place::take(self) else {
            return Refresh::Unavailable(Duration::from_secs(1));
        };
        let mut finished = self.finished.subscribe();
        Refresh::Wait(Box::pin(async move {
            let _place = place;
            // The sender is in `Shared`, which the place keeps alive.
            let _ = finished.changed().await;
        }))
    }

    async fn refresh(&self) -> Result<(), JwksError> {
        let text = time::timeout(self.policy.timeout, self.fetch.fetch())
            .await
            .map_err(|error| JwksError::new(JwksErrorKind::TimedOut, error))??;
        let digest = Sha256::digest(&text).into();
        let mut known = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == Some(digest) {
            return Ok(());
        }
        let keys = jwk::read(&text, &self.algorithms)
            .map_err(|error| JwksError::new(JwksErrorKind::Keys, error))?;
        self.keys.publish(KeySet::new(keys));
        *known = Some(digest);
        Ok(())
    }
}

/// A fetch under way. Whatever becomes of it, its end is noted.
struct Attempt {
    shared: Arc<Shared>,
    started: Timestamp,
    good: bool,
}

impl Attempt {
    fn new(shared: &Arc<Shared>, started: Timestamp) -> Self {
        Self {
            shared: Arc::clone(shared),
            started,
            good: false,
        }
    }

    async fn run(mut self) -> Result<(), JwksError> {
        let result = self.shared.refresh().await;
        self.good = result.is_ok();
        result
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let shared = &self.shared;
        if !self.good {
            shared.failures.fetch_add(1, Ordering::Relaxed);
        }
        let mut state = shared.state();
        let due = shared.policy.finish(&mut state, self.started, self.good);
        shared.due.store(due.as_nanos(), Ordering::Relaxed);
        shared.finished.send_modify(|count| *count += 1);
    }
}

/// One of a limited number of places for those who wait; given back on drop.
struct Place(Arc<Shared>);

impl Place {
    fn take(shared: &Arc<Shared>) -> Option<Self> {
        let more = |waiting| (waiting < MOST_WAITING).then_some(waiting + 1);
        shared
            .waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .ok()?;
        Some(Self(Arc::clone(shared)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl fmt::Debug for JwksUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwksUrl")
            .field("algorithms", &self.shared.algorithms)
            .field("keys", &self.shared.keys)
            .field("failures", &self.failures())
            .finish_non_exhaustive()
    }
}
