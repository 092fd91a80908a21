//! The keys that are in force while the fence stands, and how they change.

use std::{fmt, sync::Arc};

use stockade_key_auth::{FileKeyStore, KeyFileWatch, KeySet, KeyStore, LiveKeys};

use crate::{AuthConfig, ConfigError};

/// Keys that follow their store until they are dropped.
pub(super) struct Keys {
    live: LiveKeys,
    /// What follows the store; kept for its drop.
    _following: Following,
}

enum Following {
    File {
        _watch: KeyFileWatch,
    },
    #[cfg(feature = "sql")]
    Database {
        _database: super::database::Database,
    },
}

impl Keys {
    /// Reads the keys, and follows what becomes of them. Gives those that were read first,
    /// too: they may have changed by the time that there is somebody to tell.
    pub(super) async fn open(config: &AuthConfig) -> Result<(Self, Arc<KeySet>), ConfigError> {
        match (&config.keys_file, &config.keys_database) {
            (Some(path), None) => {
                let fault = |error| ConfigError::of("auth.keys_file", error);
                let store = FileKeyStore::open(path).map_err(fault)?;
                let first = store.keys().current();
                let watch = store.watch().map_err(fault)?;
                let keys = Self {
                    live: store.keys(),
                    _following: Following::File { _watch: watch },
                };
                Ok((keys, first))
            }
            #[cfg(feature = "sql")]
            (None, Some(url)) => {
                let (database, first) = super::database::Database::open(url).await?;
                let keys = Self {
                    live: database.keys(),
                    _following: Following::Database {
                        _database: database,
                    },
                };
                Ok((keys, first))
            }
            #[cfg(not(feature = "sql"))]
            (None, Some(_)) => Err(ConfigError::new(
                "auth.keys_database: this program was built without the feature `sql`",
            )),
            (None, None) => Err(ConfigError::new(
                "auth: there are no keys; name a keys_file or a keys_database",
            )),
            (Some(_), Some(_)) => Err(ConfigError::new(
                "auth: there is a keys_file and a keys_database; keep one of them",
            )),
        }
    }

    pub(super) fn live(&self) -> LiveKeys {
        self.live.clone()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keys").field(&self.live).finish()
    }
}
