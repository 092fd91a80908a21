//! Creates a key and adds it to a key file.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use stockade_core::{
    clock::{Clock, SystemClock},
    identity::ScopeSet,
};
use stockade_key_auth::{FileKeyStore, GeneratedKey, KeyId, KeyRecord, KeyStore};

use super::print;
use crate::StartError;

/// Create an API key: print it once, and add its hash to a key file
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// The key file (YAML); created if it does not exist
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// The id of the key in logs and limits, such as team-core
    #[arg(long)]
    id: KeyId,
    /// The scopes of the key
    #[arg(long, default_value = "chat:write models:read")]
    scopes: ScopeSet,
    /// The number of days until the key expires; never by default
    #[arg(long)]
    days: Option<u32>,
}

pub(super) async fn run(args: KeyArgs) -> Result<(), StartError> {
    let key = add(&args.file, args.id, args.scopes, args.days).await?;
    print(key.expose())
}

/// Adds a new key to a key file, which is created if it does not exist.
pub(crate) async fn add(
    file: &Path,
    id: KeyId,
    scopes: ScopeSet,
    days: Option<u32>,
) -> Result<GeneratedKey, StartError> {
    let store = FileKeyStore::create_or_open_static(file)
        .map_err(|error| StartError::context("cannot create the key", &error))?;
    let key = GeneratedKey::new("sk", id.clone())
        .map_err(|error| StartError::context("cannot create the key", &error))?;
    let now = SystemClock::new().now();
    let mut record = KeyRecord::new(id, key.digest()).scopes(scopes).created(now);
    if let Some(days) = days {
        record = record.expires(now + Duration::from_secs(u64::from(days) * 86_400));
    }
    store
        .create(record)
        .await
        .map_err(|error| StartError::context("cannot create the key", &error))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn scopes() -> ScopeSet {
        "chat:write".parse().unwrap()
    }

    #[tokio::test]
    async fn adds_keys_to_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys.yaml");
        for id in ["a", "b"] {
            let id = id.parse().unwrap();
            let key = add(&file, id, scopes(), Some(1)).await.unwrap();
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.contains(&key.digest().to_string()));
            assert!(!text.contains(key.expose()));
        }
        let store = FileKeyStore::open(&file).unwrap();
        assert_eq!(store.keys().current().len(), 2);
    }

    #[tokio::test]
    async fn leaves_the_file_unchanged_if_the_id_exists() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys.yaml");
        let id: KeyId = "a".parse().unwrap();
        add(&file, id.clone(), scopes(), None).await.unwrap();
        let before = fs::read_to_string(&file).unwrap();
        assert!(add(&file, id, scopes(), None).await.is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), before);
    }
}
