//! Limits that can be replaced at runtime.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::Limits;

/// Limits that can be replaced at runtime. Clones share them.
///
/// Keep a clone of the limits that a layer was built with, and [`replace`](Self::replace) them
/// when the configuration is reloaded. Usage is kept for every limit that keeps its name and
/// every quota that keeps its period.
///
/// ```
/// use stockade_rate_limit::{KeyExtractor, Limit, Limits, Quota, RateLimitLayer, SharedLimits};
///
/// let of = |count| {
///     let limit = Limit::new("ip", KeyExtractor::client_ip());
///     Limits::new([limit.quota(Quota::per_minute(count))])
/// };
/// let limits = SharedLimits::from(of(60)?);
/// let layer = RateLimitLayer::new(limits.clone());
///
/// limits.replace(of(600)?);
/// # let _ = layer;
/// # Ok::<(), stockade_rate_limit::LimitsError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SharedLimits(Arc<ArcSwap<Limits>>);

impl SharedLimits {
    /// Replaces the limits for all requests from now on.
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
