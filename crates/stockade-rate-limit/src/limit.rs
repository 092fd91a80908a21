//! One limit.

use std::{fmt, sync::Arc};

use http::request::Parts;
use stockade_core::guard::Head;

use crate::{KeyExtractor, Quota};

/// One limit: what it counts by, and the quotas stacked on it.
///
/// ```
/// use stockade_rate_limit::{KeyExtractor, Limit, Quota};
///
/// let limit = Limit::new("key", KeyExtractor::principal())
///     .quota(Quota::per_minute(60).burst(10))
///     .quota_named("daily", Quota::per_day(10_000));
/// # let _ = limit;
/// ```
#[derive(Clone, Debug)]
pub struct Limit {
    pub(crate) name: Box<str>,
    pub(crate) extractor: KeyExtractor,
    pub(crate) quotas: Vec<(Option<Box<str>>, Quota)>,
    pub(crate) cost: Cost,
}

/// What a request costs.
#[derive(Clone)]
pub(crate) enum Cost {
    Same(u32),
    Closure(Arc<dyn Fn(&Parts) -> u32 + Send + Sync>),
}

impl Limit {
    /// A limit of this name, which clients see. It needs a quota.
    ///
    /// States are kept under the name: a limit that keeps its name keeps them, and limits
    /// of the same name in one store share them.
    pub fn new(name: impl Into<Box<str>>, extractor: KeyExtractor) -> Self {
        Self {
            name: name.into(),
            extractor,
            quotas: Vec::new(),
            cost: Cost::Same(1),
        }
    }

    /// Stacks a quota on the others. Clients know it by the limit's name, and by `ip-minute`
    /// and the like where there are several.
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quotas.push((None, quota));
        self
    }

    /// Stacks a quota on the others that clients know by a name of its own.
    pub fn quota_named(mut self, policy: impl Into<Box<str>>, quota: Quota) -> Self {
        self.quotas.push((Some(policy.into()), quota));
        self
    }

    /// What each request costs; 1 where this is not called. A request that costs 0 is let
    /// in as long as anything is left.
    pub fn cost(mut self, cost: u32) -> Self {
        self.cost = Cost::Same(cost);
        self
    }

    /// What a request costs, by its head.
    pub fn cost_by<F>(mut self, cost: F) -> Self
    where
        F: Fn(&Parts) -> u32 + Send + Sync + 'static,
    {
        self.cost = Cost::Closure(Arc::new(cost));
        self
    }
}

impl Cost {
    pub(crate) fn of(&self, head: &Head) -> u32 {
        match self {
            Self::Same(cost) => *cost,
            Self::Closure(cost) => cost(head),
        }
    }
}

impl fmt::Debug for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same(cost) => cost.fmt(f),
            Self::Closure(_) => f.write_str("closure"),
        }
    }
}
