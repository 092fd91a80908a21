//! The keys of a fence, which follow their file or database.

use std::sync::Arc;

use stockade_key_auth::{FileKeyStore, KeyRequirements, KeySet, KeyStore, LiveKeys};

use super::sources::Sources;
use crate::{AuthConfig, Config, ConfigError, check::missing_settings};

/// Keys that follow their store as long as a clone of `live` exists.
pub(super) struct Keys {
    pub(super) store: Arc<dyn KeyStore>,
    pub(super) live: LiveKeys,
    /// The keys that were read first; they may change before the listener is registered.
    pub(super) first: Arc<KeySet>,
}

impl Keys {
    /// Reads the keys and follows their source.
    pub(super) async fn open(
        config: &AuthConfig,
        sources: &mut Sources,
    ) -> Result<Self, ConfigError> {
        match (&config.keys_file, &config.keys_database) {
            (Some(path), None) => {
                const SETTING: &str = "auth.keys_file";
                let store =
                    FileKeyStore::open(path).map_err(|error| ConfigError::of(SETTING, error))?;
                sources.add(SETTING, path.display(), store.health().clone());
                let live = store.keys();
                let first = live.current();
                Ok(Self {
                    store: Arc::new(store),
                    live,
                    first,
                })
            }
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            (None, Some(url)) => super::database::open(url, sources).await,
            #[cfg(not(any(feature = "postgres", feature = "sqlite")))]
            (None, Some(_)) => Err(ConfigError::setting(
                "auth.keys_database",
                "this program was built without the features `sqlite` and `postgres`",
            )
            .help("enable the feature `sqlite` or `postgres` of stockade, or set auth.keys_file instead")),
            (None, None) => Err(no_source()),
            (Some(_), Some(_)) => Err(two_sources()),
        }
    }
}

/// Logs the settings that keys require and the configuration lacks, now and on each change.
pub(super) fn warn_of_missing_settings(keys: &LiveKeys, config: &Config) {
    let config = config.clone();
    let mut logged = KeyRequirements::default();
    keys.on_publish(move |keys| {
        let requirements = keys.requirements();
        if requirements == logged {
            return;
        }
        logged = requirements;
        for missing in missing_settings(&config, requirements) {
            tracing::warn!(
                "{}: {}; {}",
                missing.setting,
                missing.reason(),
                missing.help
            );
        }
    });
}

/// Validates that exactly one source of keys is set.
pub(super) fn validate_source(config: &AuthConfig) -> Result<(), ConfigError> {
    match (&config.keys_file, &config.keys_database) {
        (None, None) => Err(no_source()),
        (Some(_), Some(_)) => Err(two_sources()),
        _ => Ok(()),
    }
}

fn no_source() -> ConfigError {
    ConfigError::setting("auth", "no source of keys is set")
        .help("set auth.keys_file or auth.keys_database")
}

fn two_sources() -> ConfigError {
    ConfigError::setting(
        "auth.keys_file",
        "cannot be combined with auth.keys_database",
    )
    .help("remove auth.keys_file or auth.keys_database")
}
