//! The networks from which users have logged in.

use sqlx::{Any, Executor};
use stockade_core::client::ClientBucket;

/// A network is forgotten after this time without a login.
const FORGET_MS: i64 = 90 * 24 * 3_600_000;

/// Whether a user has logged in from this network before. For unknown users, pass an empty id:
/// they take the same work.
pub(super) async fn contains<'e>(
    user_id: &str,
    network: Option<ClientBucket>,
    now: i64,
    executor: impl Executor<'e, Database = Any>,
) -> Result<bool, sqlx::Error> {
    let row = sqlx::query(
        "SELECT used FROM stockade_admin_networks \
         WHERE user_id = $1 AND network = $2 AND used > $3",
    )
    .bind(user_id)
    .bind(text(network))
    .bind(now - FORGET_MS)
    .fetch_optional(executor)
    .await?;
    Ok(row.is_some() && network.is_some())
}

/// Remembers the network of a login.
pub(super) async fn insert<'e>(
    user_id: &str,
    network: Option<ClientBucket>,
    now: i64,
    executor: impl Executor<'e, Database = Any>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO stockade_admin_networks (user_id, network, used) VALUES ($1, $2, $3) \
         ON CONFLICT (user_id, network) DO UPDATE SET used = excluded.used",
    )
    .bind(user_id)
    .bind(text(network))
    .bind(now)
    .execute(executor)
    .await
    .map(drop)
}

/// Removes networks that are forgotten.
pub(super) async fn remove_expired<'e>(
    now: i64,
    executor: impl Executor<'e, Database = Any>,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM stockade_admin_networks WHERE used <= $1")
        .bind(now - FORGET_MS)
        .execute(executor)
        .await
        .map(drop)
}

fn text(network: Option<ClientBucket>) -> String {
    match network {
        Some(ClientBucket::Ip(prefix)) => prefix.to_string(),
        Some(ClientBucket::UnixSocket) => "unix".to_owned(),
        None => String::new(),
    }
}
