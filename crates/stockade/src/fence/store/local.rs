//! Stores in this process.

use std::sync::Arc;

use stockade_abuse::BanStore;
use stockade_rate_limit::{MemoryLimitStore, MemoryPermits};

use super::StoreHealth;
use crate::{Config, ConfigError, fence::event::Listeners};

/// The store of rate limits.
pub(in crate::fence) type LimitsStore = Arc<MemoryLimitStore>;
/// The store of concurrency permits.
pub(in crate::fence) type PermitsStore = MemoryPermits;

/// The stores of a fence.
#[derive(Clone, Debug)]
pub(in crate::fence) struct Stores {
    pub(in crate::fence) limits: LimitsStore,
    pub(in crate::fence) permits: PermitsStore,
}

impl Stores {
    pub(in crate::fence) fn open(
        config: &Config,
        _listeners: &Listeners,
    ) -> Result<Self, ConfigError> {
        settings(config)?;
        let tracked = config.rate_limit.max_tracked.get() as usize;
        Ok(Self {
            limits: MemoryLimitStore::new(tracked).into(),
            permits: MemoryPermits::new(),
        })
    }

    pub(in crate::fence) fn health(&self) -> Option<StoreHealth> {
        None
    }

    pub(in crate::fence) fn bans(&self) -> Option<Arc<dyn BanStore>> {
        None
    }
}

/// Refuses the section `[store]`, which requires the feature `redis`.
pub(in crate::fence) fn settings(config: &Config) -> Result<(), ConfigError> {
    match &config.store {
        None => Ok(()),
        Some(_) => Err(ConfigError::setting(
            "store",
            "this program was built without the feature `redis`",
        )
        .help("enable the feature `redis` of stockade, or remove [store]")),
    }
}
