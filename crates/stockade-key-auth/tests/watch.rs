//! Changes of a key file that a store follows.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    path::PathBuf,
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use stockade_key_auth::{FileKeyStore, KeyStore};
use stockade_testkit::poll::until;
use tempfile::TempDir;

const EMPTY: &str = "keys: []\n";

/// A key file in a temporary folder.
struct KeyFile {
    folder: TempDir,
    path: PathBuf,
}

impl KeyFile {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.yaml");
        fs::write(&path, text).unwrap();
        Self { folder, path }
    }
}

fn one_key() -> String {
    let hash = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    format!("keys:\n  - key_id: a\n    hash: \"{hash}\"\n")
}

fn has_keys(store: &FileKeyStore) -> bool {
    !store.keys().current().is_empty()
}

#[test]
fn watches_writes_and_renames() {
    let file = KeyFile::new(EMPTY);
    let store = FileKeyStore::open(&file.path).unwrap();

    fs::write(&file.path, one_key()).unwrap();
    until("the key is known", || has_keys(&store));

    fs::write(&file.path, "keys: [").unwrap();
    until("the failure is visible", || {
        store.health().status().is_failing()
    });
    assert!(has_keys(&store), "an invalid file leaves the keys active");

    let new = file.folder.path().join("new");
    fs::write(&new, EMPTY).unwrap();
    fs::rename(&new, &file.path).unwrap();
    until("the key is removed", || !has_keys(&store));
    until("the source is healthy", || {
        !store.health().status().is_failing()
    });
}

// FP02
#[test]
fn static_store_reads_on_reload_only() {
    let file = KeyFile::new(&one_key());
    let followed = FileKeyStore::open(&file.path).unwrap();
    let fixed = FileKeyStore::open_static(&file.path).unwrap();
    fs::write(&file.path, EMPTY).unwrap();
    until("the key is removed", || !has_keys(&followed));
    assert!(has_keys(&fixed));
    fixed.reload().unwrap();
    assert!(!has_keys(&fixed));
}

// A08: a key is removed while a log in the same folder keeps growing.
#[test]
fn notices_a_change_among_changes_of_other_files() {
    let file = KeyFile::new(&one_key());
    let store = FileKeyStore::open(&file.path).unwrap();
    let log = file.folder.path().join("app.log");
    let (stop, stopped) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while stopped.recv_timeout(Duration::from_millis(5)) == Err(RecvTimeoutError::Timeout) {
                fs::write(&log, "a record").unwrap();
            }
        });
        fs::write(&file.path, EMPTY).unwrap();
        until("the key is removed", || !has_keys(&store));
        drop(stop);
    });
}
