//! Where limits are counted, and requests at once: in this process.

use std::sync::Arc;

use stockade_abuse::BanStore;
use stockade_rate_limit::{MemoryLimitStore, MemoryPermits};

use super::StoreHealth;
use crate::{Config, ConfigError, fence::event::Listeners};

/// Where limits are counted.
pub type LimitsStore = Arc<MemoryLimitStore>;
/// Where requests at once are counted.
pub type PermitsStore = MemoryPermits;

/// The stores of one fence.
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

/// What is wrong with the section: that there is one.
pub(in crate::fence) fn settings(config: &Config) -> Result<(), ConfigError> {
    match &config.store {
        None => Ok(()),
        Some(_) => Err(ConfigError::setting(
            "store",
            "this program was built without the feature `redis`",
        )),
    }
}
