//! Revoked access tokens in the database, shared by all processes.

use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use metrics::describe_gauge;
use sqlx::{Any, Executor, Row as _};
use stockade_core::clock::Timestamp;
use stockade_jwt::{RevocationError, RevocationStatus, RevocationStore};
use tokio::time::{self, MissedTickBehavior};

use crate::{AdminError, database::Database, exchange::ExchangeMonitor, time::now};

/// How often the revocations of other processes are read.
const READ_INTERVAL: Duration = Duration::from_millis(500);

/// Each reading includes this time before the newest known revocation, because the clocks of
/// processes differ, and transactions are committed in another order than they begin.
const OVERLAP_MILLIS: i64 = 60_000;

/// Expired tokens are removed after this many readings: once an hour.
const PRUNE_INTERVAL: u32 = 7_200;

/// The maximum number of revoked tokens that have not expired. Further revocations fail: dropping
/// an older one would make a revoked token valid again.
const MAX_TOKENS: usize = 1_000_000;

/// The maximum length of the id of a token, in bytes.
const MAX_ID: usize = 256;

pub(crate) const UNREADABLE: &str = "cannot read the revoked tokens of the administration";

/// 1 while a reading fails or hangs.
const FAILING: &str = "stockade_revocations_failing";

const SELECT: &str = "SELECT token, expires, revoked FROM stockade_admin_revocations \
    WHERE revoked >= $1";
/// A later expiry takes precedence, and an unknown one over all others.
const INSERT: &str = "INSERT INTO stockade_admin_revocations (token, expires, revoked) \
    VALUES ($1, $2, $3) ON CONFLICT (token) DO UPDATE SET revoked = excluded.revoked, \
    expires = CASE WHEN stockade_admin_revocations.expires IS NULL OR excluded.expires IS NULL \
    THEN NULL WHEN stockade_admin_revocations.expires > excluded.expires \
    THEN stockade_admin_revocations.expires ELSE excluded.expires END";
const PRUNE: &str = "DELETE FROM stockade_admin_revocations WHERE expires < $1";

/// A store of revoked tokens in the database of an administration; see
/// [`AdminStore::revocations`](crate::AdminStore::revocations). Cheap to clone.
///
/// Requests never query the database. A revocation by this process is active before its future
/// resolves, and those of other processes within a second. While the database is unavailable, the
/// known revocations apply.
#[derive(Clone)]
pub struct RevokedTokens(Arc<Inner>);

struct Inner {
    database: Database,
    /// When each token expires, in milliseconds.
    tokens: RwLock<HashMap<Box<str>, i64>>,
    /// Whether reading fails at present.
    failing: Arc<AtomicBool>,
}

impl RevokedTokens {
    /// Opens the database of an administration, for tools.
    ///
    /// # Errors
    /// The errors of [`AdminStore::open`](crate::AdminStore::open).
    pub async fn open(url: &str) -> Result<Self, AdminError> {
        let database = Database::open(url).await?;
        let tokens = Self::start(database).await;
        tokens.map_err(|error| AdminError::new(UNREADABLE).with_source(error))
    }

    /// Reads all revocations, and follows those of other processes.
    pub(crate) async fn start(database: Database) -> Result<Self, sqlx::Error> {
        describe_gauge!(
            FAILING,
            "Whether the revoked tokens of other processes cannot be read"
        );
        let inner = Arc::new(Inner {
            database,
            tokens: RwLock::default(),
            failing: Arc::default(),
        });
        let mut newest = inner.read(i64::MIN).await?;
        let followed = Arc::downgrade(&inner);
        let failing = Arc::clone(&inner.failing);
        tokio::spawn(async move {
            let mut ticks = time::interval(READ_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut monitor = ExchangeMonitor::new(FAILING, "read revoked tokens", failing);
            let mut readings = 0_u32;
            loop {
                ticks.tick().await;
                let Some(inner) = followed.upgrade() else {
                    return;
                };
                readings = readings.wrapping_add(1);
                let reading = inner.read(newest.saturating_sub(OVERLAP_MILLIS));
                if let Some(latest) = monitor.watch(reading).await {
                    newest = newest.max(latest);
                }
                if readings.is_multiple_of(PRUNE_INTERVAL)
                    && let Err(error) = inner.prune().await
                {
                    tracing::warn!(%error, "cannot remove expired revocations");
                }
            }
        });
        Ok(Self(inner))
    }

    /// Whether revocations by other processes cannot be read at present.
    pub fn is_failing(&self) -> bool {
        self.0.failing.load(Ordering::Relaxed)
    }

    /// Revokes a token until its expiry, in milliseconds; for ever if it is unknown.
    pub(crate) async fn add(&self, token: &str, expires: Option<i64>) -> Result<(), sqlx::Error> {
        self.insert(token, expires, self.0.database.pool()).await
    }

    /// The same in a transaction. If that fails, this process refuses the token until it ends.
    pub(crate) async fn insert<'e>(
        &self,
        token: &str,
        expires: Option<i64>,
        executor: impl Executor<'e, Database = Any>,
    ) -> Result<(), sqlx::Error> {
        let insert = sqlx::query(INSERT).bind(token).bind(expires).bind(now());
        insert.execute(executor).await?;
        let mut tokens = self
            .0
            .tokens
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        add(&mut tokens, token, expires);
        Ok(())
    }

    /// Whether no further token can be revoked.
    pub(crate) fn is_full(&self) -> bool {
        !self.has_room(1)
    }

    /// Whether this number of further tokens can be revoked.
    pub(crate) fn has_room(&self, tokens: usize) -> bool {
        self.len() + tokens <= MAX_TOKENS
    }

    /// The number of revoked tokens that have not expired.
    pub(crate) fn len(&self) -> usize {
        self.known().len()
    }

    /// Whether this token is revoked.
    pub(crate) fn contains(&self, token: &str) -> bool {
        self.known().contains_key(token)
    }

    /// The revoked tokens that have not expired, by id, with their expiries; `None` for those that
    /// are revoked for ever.
    pub(crate) fn list(&self, now: i64) -> Vec<(Box<str>, Option<i64>)> {
        let tokens = self.known();
        let valid = tokens.iter().filter(|(_, expires)| **expires >= now);
        let mut list: Vec<_> = valid
            .map(|(id, expires)| (id.clone(), Some(*expires).filter(|at| *at != i64::MAX)))
            .collect();
        list.sort_unstable();
        list
    }

    fn known(&self) -> RwLockReadGuard<'_, HashMap<Box<str>, i64>> {
        // No code panics while the lock is held.
        self.0.tokens.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a text can be the id of a token.
    pub(crate) fn is_id(text: &str) -> bool {
        (1..=MAX_ID).contains(&text.len()) && !text.contains(char::is_control)
    }
}

impl Inner {
    /// Reads the revocations since this time; returns the newest one's.
    async fn read(&self, since: i64) -> Result<i64, sqlx::Error> {
        let select = sqlx::query(SELECT).bind(since);
        let rows = select.fetch_all(self.database.pool()).await?;
        let mut newest = i64::MIN;
        let mut tokens = self.tokens();
        for row in rows {
            add(&mut tokens, &row.try_get::<String, _>(0)?, row.try_get(1)?);
            newest = newest.max(row.try_get(2)?);
        }
        Ok(newest)
    }

    fn tokens(&self) -> RwLockWriteGuard<'_, HashMap<Box<str>, i64>> {
        // No code panics while the lock is held.
        self.tokens.write().unwrap_or_else(PoisonError::into_inner)
    }

    async fn prune(&self) -> Result<(), sqlx::Error> {
        let now = now();
        self.tokens().retain(|_, expires| *expires >= now);
        let prune = sqlx::query(PRUNE).bind(now);
        prune.execute(self.database.pool()).await.map(drop)
    }
}

fn add(tokens: &mut HashMap<Box<str>, i64>, token: &str, expires: Option<i64>) {
    let expires = expires.unwrap_or(i64::MAX);
    let known = tokens.entry(token.into()).or_insert(expires);
    *known = expires.max(*known);
}

impl RevocationStore for RevokedTokens {
    fn status(&self, token_id: &str) -> RevocationStatus {
        match self.contains(token_id) {
            true => RevocationStatus::Revoked,
            false => RevocationStatus::NotRevoked,
        }
    }

    fn revoke<'s>(
        &'s self,
        token_id: &'s str,
        until: Timestamp,
        _now: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Result<(), RevocationError>> + Send + 's>> {
        let millis = i64::try_from(until.as_nanos() / 1_000_000).unwrap_or(i64::MAX);
        Box::pin(async move {
            if self.is_full() {
                return Err(RevocationError::full());
            }
            let added = self.add(token_id, Some(millis)).await;
            added.map_err(RevocationError::unavailable)
        })
    }
}

impl fmt::Debug for RevokedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevokedTokens")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use stockade_testkit::poll::until_async;

    use super::*;
    use crate::tests::support::database;

    fn is_revoked(tokens: &RevokedTokens, id: &str) -> bool {
        matches!(tokens.status(id), RevocationStatus::Revoked)
    }

    #[tokio::test]
    async fn revocations_reach_other_processes() {
        let folder = tempfile::tempdir().unwrap();
        let url = database(&folder).await;
        let first = RevokedTokens::start(Database::open(&url).await.unwrap());
        let first = first.await.unwrap();
        let second = RevokedTokens::start(Database::open(&url).await.unwrap());
        let second = second.await.unwrap();
        first.add("a", Some(now() + 60_000)).await.unwrap();
        assert!(is_revoked(&first, "a") && !is_revoked(&first, "b"));
        until_async("the other process", async || is_revoked(&second, "a")).await;
        let third = RevokedTokens::start(Database::open(&url).await.unwrap());
        assert!(is_revoked(&third.await.unwrap(), "a"));
    }

    #[tokio::test]
    async fn a_later_expiry_takes_precedence() {
        let folder = tempfile::tempdir().unwrap();
        let url = database(&folder).await;
        let database = Database::open(&url).await.unwrap();
        let tokens = RevokedTokens::start(database.clone()).await.unwrap();
        for (id, expiries) in [
            ("late", [Some(i64::MAX), Some(1)]),
            ("ever", [None, Some(1)]),
        ] {
            for expires in expiries {
                tokens.add(id, expires).await.unwrap();
            }
        }
        tokens.add("expired", Some(1)).await.unwrap();
        // A reading that has begun before may add it once more.
        until_async("the expired one is removed", async || {
            tokens.0.prune().await.unwrap();
            !is_revoked(&tokens, "expired")
        })
        .await;
        for tokens in [tokens, RevokedTokens::start(database).await.unwrap()] {
            assert!(is_revoked(&tokens, "late") && is_revoked(&tokens, "ever"));
            assert!(!is_revoked(&tokens, "expired"));
        }
    }
}
