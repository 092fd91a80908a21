//! Creates the first key.

use std::{error::Error, time::Duration};

use stockade::Config;
use stockade_core::clock::{Clock, SystemClock};
use stockade_key_auth::{FileKeyStore, GeneratedKey, KeyRecord, KeyStore};

const THIRTY_DAYS: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Creates the key file with one key unless the file exists. The key itself is not stored.
pub(crate) async fn make(
    config: &Config,
    scopes: &str,
) -> Result<Option<GeneratedKey>, Box<dyn Error>> {
    let Some(path) = &config.auth.keys_file else {
        return Ok(None);
    };
    if path.try_exists()? {
        return Ok(None);
    }
    let key = GeneratedKey::new("sk", "first".parse()?)?;
    let now = SystemClock::new().now();
    let record = KeyRecord::new(key.id().clone(), key.digest())
        .scopes(scopes.parse()?)
        .created(now)
        .expires(now + THIRTY_DAYS);
    FileKeyStore::create_or_open_static(path)?
        .create(record)
        .await?;
    Ok(Some(key))
}
