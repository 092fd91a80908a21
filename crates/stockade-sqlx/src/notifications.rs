//! Notifications of PostgreSQL.

use std::time::Duration;

use sqlx::postgres::PgListener;
use stockade_key_auth::{KeyStoreError, KeyStoreErrorKind, StoreFuture};
use tokio::time;

use crate::{database::ChangeStream, error::unavailable};

/// A connection without traffic for this time is checked with a query: a firewall or host can
/// drop a connection silently.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that receives a notification for each change.
pub(crate) struct Notifications(pub(crate) PgListener);

impl ChangeStream for Notifications {
    fn next(&mut self) -> StoreFuture<'_, bool> {
        Box::pin(async {
            let lost = || {
                KeyStoreError::new(
                    KeyStoreErrorKind::Unavailable,
                    "the connection to the database was lost",
                )
            };
            match time::timeout(KEEPALIVE_INTERVAL, self.0.try_recv()).await {
                Ok(Ok(Some(_))) => {
                    // One reload covers all notifications up to now.
                    while self.0.next_buffered().is_some() {}
                    Ok(true)
                }
                Ok(Ok(None)) => Err(lost()),
                Ok(Err(error)) => Err(unavailable(error)),
                Err(_) => {
                    let asked = sqlx::query("SELECT 1").execute(&mut self.0);
                    match time::timeout(KEEPALIVE_TIMEOUT, asked).await {
                        Ok(Ok(_)) => Ok(false),
                        Ok(Err(error)) => Err(unavailable(error)),
                        Err(_) => Err(lost()),
                    }
                }
            }
        })
    }
}
