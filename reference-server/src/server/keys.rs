//! The keys that are in force while the server runs, and how they change.

use std::time::Duration;

use stockade_core::{Clock, SystemClock};
use stockade_key_auth::{FileKeyStore, KeyFileWatch, KeyStore, LiveKeys};
use stockade_sqlx::{SqlKeyStore, SqlKeyWatch};
use tokio::time::{self, MissedTickBehavior};
use tokio_util::task::AbortOnDropHandle;

use crate::{AuthConfig, StartError};

/// How often a database is told which keys were used.
const NOTE_USED: Duration = Duration::from_secs(60);

/// Keys that follow their store until they are dropped.
pub(super) struct Keys {
    live: LiveKeys,
    _following: Following,
}

/// What follows the store; kept for its drop.
enum Following {
    File {
        _watch: KeyFileWatch,
    },
    Database {
        _watch: SqlKeyWatch,
        _noting: AbortOnDropHandle<()>,
    },
}

impl Keys {
    /// Reads the keys, and follows what becomes of them.
    pub(super) async fn open(config: &AuthConfig) -> Result<Self, StartError> {
        match (&config.keys_file, &config.keys_database) {
            (Some(path), None) => {
                let fault = |error: &dyn std::error::Error| StartError::of("auth.keys_file", error);
                let store = FileKeyStore::open(path).map_err(|error| fault(&error))?;
                let watch = store.watch().map_err(|error| fault(&error))?;
                Ok(Self {
                    live: store.keys(),
                    _following: Following::File { _watch: watch },
                })
            }
            (None, Some(url)) => {
                let store = SqlKeyStore::connect(url.expose())
                    .await
                    .map_err(|error| StartError::of("auth.keys_database", &error))?;
                Ok(Self {
                    live: store.keys(),
                    _following: Following::Database {
                        _watch: store.watch(),
                        _noting: AbortOnDropHandle::new(tokio::spawn(note_used(store))),
                    },
                })
            }
            (None, None) => Err(StartError::new(
                "auth: there are no keys; name a keys_file or a keys_database",
            )),
            (Some(_), Some(_)) => Err(StartError::new(
                "auth: there is a keys_file and a keys_database; keep one of them",
            )),
        }
    }

    pub(super) fn live(&self) -> LiveKeys {
        self.live.clone()
    }
}

/// A file is not written to for this: it belongs to those who edit it.
async fn note_used(store: SqlKeyStore) {
    let clock = SystemClock::new();
    let mut minutes = time::interval(NOTE_USED);
    minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        minutes.tick().await;
        if let Err(error) = store.flush_used(clock.now()).await {
            tracing::warn!(%error, "the use of keys was not noted");
        }
    }
}
