//! Keys in a database.

use std::{sync::Arc, time::Duration};

use stockade_core::{Clock, SystemClock};
use stockade_key_auth::{KeySet, KeyStore, LiveKeys};
use stockade_sqlx::{SqlKeyStore, SqlKeyWatch};
use tokio::{
    task::JoinHandle,
    time::{self, MissedTickBehavior},
};

use crate::{ConfigError, SecretUrl};

/// How often a database is told which keys were used.
const NOTE_USED: Duration = Duration::from_secs(60);

/// A database that is followed until this is dropped.
pub(super) struct Database {
    live: LiveKeys,
    _watch: SqlKeyWatch,
    noting: JoinHandle<()>,
}

impl Database {
    /// Reads the keys, and follows them; gives those that were read first, too.
    pub(super) async fn open(url: &SecretUrl) -> Result<(Self, Arc<KeySet>), ConfigError> {
        let store = SqlKeyStore::connect(url.expose())
            .await
            .map_err(|error| ConfigError::of("auth.keys_database", error))?;
        let first = store.keys().current();
        let database = Self {
            live: store.keys(),
            _watch: store.watch(),
            noting: tokio::spawn(note_used(store)),
        };
        Ok((database, first))
    }

    pub(super) fn keys(&self) -> LiveKeys {
        self.live.clone()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.noting.abort();
    }
}

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
