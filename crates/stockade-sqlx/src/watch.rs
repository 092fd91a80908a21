//! Following the changes that others make.

use std::{sync::Arc, time::Duration};

use stockade_key_auth::{KeyStoreError, KeyStoreErrorKind};
use tokio::{task::JoinHandle, time};

use crate::store::Inner;

/// The waits between attempts to reach a database: the first one, and the longest one.
const SOON: Duration = Duration::from_millis(100);
const LATE: Duration = Duration::from_secs(5);

/// Follows the changes of others for as long as it lives; made by
/// [`SqlKeyStore::watch`](crate::SqlKeyStore::watch).
#[derive(Debug)]
#[must_use = "changes of others are no longer followed once this is dropped"]
pub struct SqlKeyWatch(JoinHandle<()>);

impl SqlKeyWatch {
    pub(crate) fn new(task: JoinHandle<()>) -> Self {
        Self(task)
    }
}

impl Drop for SqlKeyWatch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Follows changes, over one connection after the other.
pub(crate) async fn follow(inner: Arc<Inner>) {
    let mut wait = SOON;
    loop {
        let Err(error) = follow_once(&inner, &mut wait).await;
        inner.health.stale(true);
        tracing::error!(%error, ?wait, "changes of keys are not seen; the keys that were stay");
        time::sleep(wait).await;
        wait = (wait * 2).min(LATE);
    }
}

enum Never {}

async fn follow_once(inner: &Inner, wait: &mut Duration) -> Result<Never, KeyStoreError> {
    let opened = inner.database.changes().await;
    inner.health.note(&opened);
    let mut changes = opened?;
    // What was changed before anybody listened is not told.
    take(inner).await?;
    *wait = SOON;
    loop {
        let changed = changes.next().await;
        inner.health.note(&changed);
        if changed? {
            take(inner).await?;
        }
    }
}

/// Takes all keys. A row that is not valid is for people to mend, and a change of its own
/// when they do; a new connection would not help.
async fn take(inner: &Inner) -> Result<(), KeyStoreError> {
    match inner.reload().await {
        Ok(()) => tracing::info!(keys = inner.len(), "keys taken"),
        Err(error) if error.kind() == KeyStoreErrorKind::Corrupt => {
            tracing::error!(%error, "not all keys taken; what was in force of the others stays");
        }
        Err(error) => return Err(error),
    }
    Ok(())
}
