//! Following the changes that others make.

use std::{convert::Infallible, sync::Arc, time::Duration};

use stockade_key_auth::{KeyStoreError, KeyStoreErrorKind};
use stockade_watch::Backoff;
use tokio::{task::JoinHandle, time};

use crate::store::Inner;

/// The delays between attempts to reach a database.
const RETRY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

/// Ends the task that follows a database.
#[derive(Debug)]
pub(crate) struct StopOnDrop(pub(crate) JoinHandle<()>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Follows changes, over one connection after the other.
pub(crate) async fn follow(inner: Arc<Inner>) {
    let mut retry = RETRY;
    loop {
        let Err(error) = follow_once(&inner, &mut retry).await;
        let wait = retry.next_delay();
        if inner.health.lost(&error) {
            tracing::error!(
                source = inner.health.source().name(),
                %error,
                "changes of keys are not seen; the keys that were in force stay in force, and \
                 the connection is retried until it succeeds"
            );
        }
        time::sleep(wait).await;
    }
}

async fn follow_once(inner: &Inner, retry: &mut Backoff) -> Result<Infallible, KeyStoreError> {
    let opened = inner.database.subscribe().await;
    inner.health.note(&opened);
    let mut changes = opened?;
    // What was changed before anybody listened is not told.
    reload(inner).await?;
    retry.reset();
    loop {
        let changed = changes.next().await;
        inner.health.note(&changed);
        if changed? {
            reload(inner).await?;
        } else {
            inner.health.current();
        }
    }
}

/// Takes all keys. A row that is not valid is for people to mend, and a change of its own
/// when they do; a new connection would not help.
async fn reload(inner: &Inner) -> Result<(), KeyStoreError> {
    match inner.reload().await {
        Ok(()) => tracing::info!(keys = inner.len(), "keys taken"),
        Err(error) if error.kind() == KeyStoreErrorKind::Corrupt => {
            tracing::error!(%error, "not all keys taken; what was in force of the others stays");
        }
        Err(error) => return Err(error),
    }
    Ok(())
}
