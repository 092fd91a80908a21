//! Stores in this process or in Redis.

mod limits;
mod permits;

use std::sync::Arc;

use stockade_abuse::BanStore;
use stockade_rate_limit::{FailurePolicy, Fallback, Fraction, MemoryLimitStore, MemoryPermits};
use stockade_redis::{Redis, RedisBans, RedisConfig, RedisLimits, RedisPermits};

pub(in crate::fence) use limits::LimitsStore;
pub(in crate::fence) use permits::PermitsStore;

use super::StoreHealth;
use crate::{
    Config, ConfigError, OnFailure, StoreConfig,
    fence::event::{FenceEvent, Listeners},
};

/// The stores of a fence.
#[derive(Clone, Debug)]
pub(in crate::fence) struct Stores {
    pub(in crate::fence) limits: LimitsStore,
    pub(in crate::fence) permits: PermitsStore,
    redis: Option<Redis>,
}

impl Stores {
    pub(in crate::fence) fn open(
        config: &Config,
        listeners: &Listeners,
    ) -> Result<Self, ConfigError> {
        let local = MemoryPermits::new();
        let Some(store) = &config.store else {
            let tracked = config.rate_limit.max_tracked.get() as usize;
            return Ok(Self {
                limits: LimitsStore::Local(MemoryLimitStore::new(tracked).into()),
                permits: PermitsStore::new(local, None),
                redis: None,
            });
        };
        let policy = policy(store)?;
        let redis = connect(store)?;
        let limits = match std::num::NonZeroU32::new(store.lease) {
            None => RedisLimits::new(&redis),
            Some(size) => RedisLimits::with_leases(&redis, size),
        };
        let listeners = listeners.clone();
        let limits = Fallback::new(limits, policy).on_change(move |health| {
            listeners.notify(&FenceEvent::LimitStore { up: health.up });
        });
        Ok(Self {
            limits: LimitsStore::Shared(limits),
            permits: PermitsStore::new(local, Some((RedisPermits::new(&redis), policy))),
            redis: Some(redis),
        })
    }

    /// The health of Redis; `None` without one.
    pub(in crate::fence) fn health(&self) -> Option<StoreHealth> {
        let LimitsStore::Shared(limits) = &self.limits else {
            return None;
        };
        let health = limits.health();
        let up = health.up && self.redis.as_ref().is_some_and(Redis::is_connected);
        Some(StoreHealth {
            up,
            refuses: !up && limits.policy() == FailurePolicy::Deny,
            failures: health.failures,
            fallback_decisions: health.fallback_decisions,
            lost_debits: limits.store().stats().dropped,
            lost_permits: self.permits.lost(),
        })
    }

    /// The shared store of bans; `None` without Redis.
    pub(in crate::fence) fn bans(&self) -> Option<Arc<dyn BanStore>> {
        let redis = self.redis.as_ref()?;
        Some(Arc::new(RedisBans::new(redis)))
    }
}

/// Validates the section without connecting.
pub(in crate::fence) fn settings(config: &Config) -> Result<(), ConfigError> {
    let Some(store) = &config.store else {
        return Ok(());
    };
    policy(store)?;
    address(store).map(drop)
}

fn connect(store: &StoreConfig) -> Result<Redis, ConfigError> {
    Redis::connect(address(store)?).map_err(|error| ConfigError::of("store.redis", error))
}

fn address(store: &StoreConfig) -> Result<RedisConfig, ConfigError> {
    let namespace = store
        .namespace
        .parse()
        .map_err(|error| ConfigError::of("store.namespace", error))?;
    let config = RedisConfig::new(store.redis.expose())
        .map_err(|error| ConfigError::of("store.redis", error))?;
    Ok(config.namespace(namespace))
}

fn policy(store: &StoreConfig) -> Result<FailurePolicy, ConfigError> {
    Ok(match store.on_failure {
        OnFailure::Deny => FailurePolicy::Deny,
        OnFailure::Allow => FailurePolicy::Allow,
        OnFailure::Local => FailurePolicy::Local {
            fraction: Fraction::new(store.local_fraction)
                .map_err(|error| ConfigError::of("store.local_fraction", error))?,
        },
    })
}
