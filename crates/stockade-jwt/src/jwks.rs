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
use stockade_core::clock::Timestamp;
use stockade_watch::{SourceHealth, SourceStatus};
use tokio::{runtime::Handle, sync::watch, time};

use crate::{Algorithm, KeyError, KeyErrorKind, KeyRefresh, KeySet, KeySource, LiveKeys, jwk};

mod attempt;
mod error;
mod fetch;
mod policy;

pub use error::{JwksError, JwksErrorKind};
pub use fetch::{HttpFetch, JwksFetch};
pub use policy::RefreshPolicy;

use attempt::{Attempt, WaitPermit};
use policy::{Decision, State};

/// The keys of a JWKS URL, refreshed while requests use them.
///
/// An old set is refreshed in the background. While refreshes fail it stays active, until
/// [`RefreshPolicy::max_stale`]: then it is dropped, and requests get a 503 until a fetch
/// succeeds. Only requests with an unknown key id wait, for one fetch at most, and only when the
/// last fetch is longer ago than the cool-down. Clones share all state.
///
/// Requires a tokio runtime.
///
/// ```no_run
/// use stockade_core::clock::{Clock, SystemClock};
/// use stockade_jwt::{Algorithm, HttpFetch, JwksUrl, JwtLayer, TokenRules};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let fetch = HttpFetch::new("https://id.example.com/.well-known/jwks.json")?;
/// let keys = JwksUrl::new(fetch, &[Algorithm::Rs256, Algorithm::Es256])?;
/// // Optional: fail at startup when the keys are unavailable, instead of on the first request.
/// keys.load(SystemClock::new().now()).await?;
/// let rules = TokenRules::new("https://id.example.com", "https://api.example.com");
/// let layer = JwtLayer::new(keys, rules);
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
    /// When [`KeySource::on_use`] must act next, in nanoseconds; it takes no lock until then.
    due: AtomicU64,
    /// Counts finished fetches, and wakes the requests that wait for one.
    finished: watch::Sender<u64>,
    waiting: AtomicUsize,
    health: SourceHealth,
    /// The digest of the current document; an unchanged one is not parsed again.
    digest: Mutex<Option<[u8; 32]>>,
}

/// The maximum number of requests that wait for a fetch; further ones get a 503.
const MAX_WAITING: usize = 256;

impl JwksUrl {
    /// Creates a source of keys for these algorithms.
    ///
    /// # Errors
    /// Returns an error for HS256, HS384 and HS512, whose secrets must not be published.
    pub fn new(fetch: impl JwksFetch, algorithms: &[Algorithm]) -> Result<Self, KeyError> {
        Self::with_policy(fetch, algorithms, RefreshPolicy::default())
    }

    /// Creates a source with a custom refresh policy.
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
                KeyErrorKind::Unsuitable,
                "a JWKS URL has public keys only; remove HS256, HS384 and HS512 from the algorithms",
            ));
        }
        Ok(Self {
            shared: Arc::new(Shared {
                health: SourceHealth::new(fetch.name()),
                fetch: Box::new(fetch),
                algorithms: algorithms.into(),
                policy,
                keys: LiveKeys::new(KeySet::new([])),
                state: Mutex::default(),
                due: AtomicU64::new(0),
                finished: watch::Sender::new(0),
                waiting: AtomicUsize::new(0),
                digest: Mutex::default(),
            }),
        })
    }

    /// Fetches the keys now, so that a server can fail at startup.
    ///
    /// # Errors
    /// Returns an error when the fetch fails or the set has no usable key.
    pub async fn load(&self, now: Timestamp) -> Result<(), JwksError> {
        self.shared.state().start(now);
        Attempt::new(&self.shared, now).run().await
    }

    /// Returns the number of completed fetches, successful or not.
    pub fn fetches(&self) -> u64 {
        *self.shared.finished.borrow()
    }

    /// Returns the number of failed fetches.
    pub fn failures(&self) -> u64 {
        self.status().failures
    }

    /// Returns the status for metrics and readiness: the age of the set, the last error, and the
    /// number of failures.
    pub fn status(&self) -> SourceStatus {
        self.shared.health.status()
    }

    /// Returns the live health of the source.
    pub fn health(&self) -> &SourceHealth {
        &self.shared.health
    }
}

impl KeySource for JwksUrl {
    fn keys(&self) -> LiveKeys {
        self.shared.keys.clone()
    }

    fn on_use(&self, now: Timestamp) {
        if now.as_nanos() < self.shared.due.load(Ordering::Relaxed) {
            return;
        }
        let shared = &self.shared;
        let mut state = shared.state();
        if shared.policy.retire(&mut state, now) {
            shared.retire(&state);
        }
        if shared.policy.is_due(&state, now) {
            shared.start(state, now);
        }
    }

    fn on_unknown_key(&self, now: Timestamp) -> KeyRefresh {
        let shared = &self.shared;
        let state = shared.state();
        match shared.policy.decide(&state, now) {
            Decision::UpToDate => KeyRefresh::UpToDate,
            Decision::Unavailable(retry_after) => KeyRefresh::Unavailable(retry_after),
            Decision::Join => shared.wait(),
            Decision::Fetch => {
                let waiting = shared.wait();
                if shared.start(state, now) {
                    waiting
                } else {
                    KeyRefresh::Unavailable(shared.policy.cool_down)
                }
            }
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is a single assignment, so a panic cannot leave the state inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches in a separate task, which disconnecting clients cannot cancel. Returns `false`
    /// without a runtime.
    fn start(self: &Arc<Self>, mut state: MutexGuard<'_, State>, now: Timestamp) -> bool {
        let Ok(runtime) = Handle::try_current() else {
            return false;
        };
        state.start(now);
        // A runtime that shuts down drops the task immediately, and dropping the attempt takes
        // this lock.
        drop(state);
        let attempt = Attempt::new(self, now);
        runtime.spawn(async move {
            // The attempt records and logs its result itself.
            let _ = attempt.run().await;
        });
        true
    }

    /// Drops the current set. Called with the state locked and no fetch in flight.
    fn retire(&self, state: &State) {
        self.keys.publish(KeySet::new([]));
        *self.digest() = None;
        let next = self.policy.next(state);
        self.due.store(next.as_nanos(), Ordering::Relaxed);
        tracing::error!(
            source = self.health.name(),
            "the key set is too old: tokens are rejected with 503 until a fetch succeeds"
        );
    }

    fn digest(&self) -> MutexGuard<'_, Option<[u8; 32]>> {
        self.digest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the fetch in flight, or about to start. Called with the state locked, so that
    /// its end is not missed.
    fn wait(self: &Arc<Self>) -> KeyRefresh {
        let Some(permit) = WaitPermit::take(self) else {
            return KeyRefresh::Unavailable(Duration::from_secs(1));
        };
        let mut finished = self.finished.subscribe();
        KeyRefresh::Pending(Box::pin(async move {
            let _permit = permit;
            // The permit keeps the sender in `Shared` alive.
            let _ = finished.changed().await;
        }))
    }

    async fn refresh(&self) -> Result<(), JwksError> {
        let text = time::timeout(self.policy.timeout, self.fetch.fetch())
            .await
            .map_err(|error| JwksError::new(JwksErrorKind::TimedOut, error))??;
        let digest = Sha256::digest(&text).into();
        let mut known = self.digest();
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

impl fmt::Debug for JwksUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwksUrl")
            .field("algorithms", &self.shared.algorithms)
            .field("keys", &self.shared.keys)
            .field("failures", &self.failures())
            .finish_non_exhaustive()
    }
}
