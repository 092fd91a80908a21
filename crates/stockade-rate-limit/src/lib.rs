//! Rate limits, concurrency limits and token budgets as tower layers: stacked quotas by address, key or route.
