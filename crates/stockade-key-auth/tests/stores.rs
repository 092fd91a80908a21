//! The stores of this crate pass the conformance suite.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use stockade_key_auth::{FileKeyStore, KeyStore, MemoryKeyStore};
use stockade_testkit::key_store;

#[tokio::test]
async fn memory_store_passes_the_suite() {
    key_store::uphold(&MemoryKeyStore::new()).await;
}

#[tokio::test]
async fn file_store_passes_the_suite_and_persists_changes() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["keys.yaml", "keys.toml", "keys.json"] {
        let path = folder.path().join(name);
        let store = FileKeyStore::create_or_open(&path).unwrap();
        key_store::uphold(&store).await;
        let again = FileKeyStore::open(&path).unwrap();
        assert_eq!(
            again.list().await.unwrap(),
            store.list().await.unwrap(),
            "{name}"
        );
    }
}
