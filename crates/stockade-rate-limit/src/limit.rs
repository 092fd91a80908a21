//! A named limit.

use std::{fmt, sync::Arc};

use http::request::Parts;
use stockade_core::guard::Head;

use crate::{KeyExtractor, Quota};

/// A named limit: a key extractor, and the quotas of each key.
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

/// The cost of a request.
#[derive(Clone)]
pub(crate) enum Cost {
    Same(u32),
    Closure(Arc<dyn Fn(&Parts) -> u32 + Send + Sync>),
}

impl Limit {
    /// Creates a limit with this name, which clients see. It needs at least one quota.
    ///
    /// State is stored under the name: a limit that keeps its name keeps its state, and limits
    /// of the same name in one store share it.
    pub fn new(name: impl Into<Box<str>>, extractor: KeyExtractor) -> Self {
        Self {
            name: name.into(),
            extractor,
            quotas: Vec::new(),
            cost: Cost::Same(1),
        }
    }

    /// Adds a quota. Clients see the limit's name, or `ip-minute` and the like if there are
    /// several quotas.
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quotas.push((None, quota));
        self
    }

    /// Adds a quota with a separate name for clients.
    pub fn quota_named(mut self, policy: impl Into<Box<str>>, quota: Quota) -> Self {
        self.quotas.push((Some(policy.into()), quota));
        self
    }

    /// Sets the cost of each request; defaults to 1. A request of cost 0 is allowed as long as
    /// anything is left.
    pub fn cost(mut self, cost: u32) -> Self {
        self.cost = Cost::Same(cost);
        self
    }

    /// Computes the cost of a request from its head.
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
