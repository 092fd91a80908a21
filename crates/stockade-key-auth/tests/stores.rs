//! The stores of this crate pass the suite of all stores.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use stockade_key_auth::{FileKeyStore, KeyStore, MemoryKeyStore};
use stockade_testkit::key_store;

#[tokio::test]
async fn the_memory_store_upholds_the_suite() {
    key_store::uphold(&MemoryKeyStore::new()).await;
}

#[tokio::test]
async fn the_file_store_upholds_the_suite_and_keeps_what_it_did() {
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
