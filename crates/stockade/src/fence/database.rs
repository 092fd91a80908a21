//! Keys from a database.

use std::{sync::Arc, time::Duration};

use stockade_core::clock::{Clock, SystemClock};
use stockade_key_auth::KeyStore;
use stockade_sqlx::SqlKeyStore;
use tokio::{
    task::JoinHandle,
    time::{self, MissedTickBehavior},
};

use super::{keys::Keys, sources::Sources};
use crate::{ConfigError, SecretUrl};

/// The interval at which key usage is written to the database.
const FLUSH_INTERVAL: Duration = Duration::from_secs(60);

/// Reads the keys, and follows them and records their usage as long as a clone of them exists.
pub(super) async fn open(url: &SecretUrl, sources: &mut Sources) -> Result<Keys, ConfigError> {
    const SETTING: &str = "auth.keys_database";

    let store = SqlKeyStore::connect(url.expose())
        .await
        .map_err(|error| ConfigError::of(SETTING, error))?;
    sources.add(SETTING, store.location(), store.source().clone());
    let live = store.keys();
    let first = live.current();
    let noting = StopOnDrop(tokio::spawn(record_use(store.clone())));
    Ok(Keys {
        store: Arc::new(store),
        live: live.keep_alive(noting),
        first,
    })
}

struct StopOnDrop(JoinHandle<()>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn record_use(store: SqlKeyStore) {
    let clock = SystemClock::new();
    let mut minutes = time::interval(FLUSH_INTERVAL);
    minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        minutes.tick().await;
        if let Err(error) = store.flush_usage(clock.now()).await {
            tracing::warn!(%error, "cannot record key usage");
        }
    }
}
