//! Follows changes by other processes.

use std::{convert::Infallible, sync::Arc, time::Duration};

use stockade_key_auth::{KeyStoreError, KeyStoreErrorKind};
use stockade_watch::Backoff;
use tokio::{task::JoinHandle, time};

use crate::store::Inner;

/// The delays between attempts to reach a database.
const RETRY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

/// Aborts the task that follows a database.
#[derive(Debug)]
pub(crate) struct StopOnDrop(pub(crate) JoinHandle<()>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Follows changes, and reconnects after errors.
pub(crate) async fn follow(inner: Arc<Inner>) {
    let mut retry = RETRY;
    loop {
        let Err(error) = follow_once(&inner, &mut retry).await;
        let wait = retry.next_delay();
        if inner.health.record_disconnect(&error) {
            tracing::error!(
                source = inner.health.source().name(),
                %error,
                "lost the connection for changes of keys; the last known keys stay active, and \
                 the connection is retried"
            );
        }
        time::sleep(wait).await;
    }
}

async fn follow_once(inner: &Inner, retry: &mut Backoff) -> Result<Infallible, KeyStoreError> {
    let opened = inner.database.subscribe().await;
    inner.health.record_query(&opened);
    let mut changes = opened?;
    // There are no notifications of changes before the subscription.
    reload(inner).await?;
    retry.reset();
    loop {
        let changed = changes.next().await;
        inner.health.record_query(&changed);
        if changed? {
            reload(inner).await?;
        } else {
            inner.health.record_unchanged();
        }
    }
}

/// Reloads all keys. An invalid row is not an error here: a new connection would not help, and
/// its repair is another change.
async fn reload(inner: &Inner) -> Result<(), KeyStoreError> {
    match inner.reload().await {
        Ok(()) => tracing::info!(keys = inner.len(), "keys reloaded"),
        Err(error) if error.kind() == KeyStoreErrorKind::Corrupt => {
            tracing::error!(%error, "invalid keys were not reloaded; their last valid state stays active");
        }
        Err(error) => return Err(error),
    }
    Ok(())
}
