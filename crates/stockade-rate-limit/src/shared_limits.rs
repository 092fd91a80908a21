//! Limits that can be changed while they are in force.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::Limits;

/// Limits that can be changed while they are in force. Clones share them.
///
/// Keep a clone of what a guard was given, and [`replace`](Self::replace) its limits when a
/// configuration was read anew. What a client has used up stays used up, in each limit that
/// keeps its name and quota that keeps its period.
///
/// ```
/// use stockade_rate_limit::{KeyExtractor, Limit, Limits, Quota, RateLimit, SharedLimits};
///
/// let of = |count| Limits::new([Limit::new("ip", KeyExtractor::client_ip()).quota(Quota::per_minute(count))]);
/// let limits = SharedLimits::from(of(60)?);
/// let guard = RateLimit::new(limits.clone());
///
/// limits.replace(of(600)?);
/// # let _ = guard;
/// # Ok::<(), stockade_rate_limit::LimitsError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SharedLimits(Arc<ArcSwap<Limits>>);

impl SharedLimits {
    /// Puts other limits in force, for all requests from now on.
    pub fn replace(&self, limits: Limits) {
        self.0.store(Arc::new(limits));
    }

    #[inline]
    pub(crate) fn load(&self) -> Guard<Arc<Limits>> {
        self.0.load()
    }
}

impl From<Limits> for SharedLimits {
    fn from(limits: Limits) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(limits)))
    }
}
