//! Arbitrary bytes as a key file: loaded completely or not at all, and never quoted in an
//! error.

#![no_main]

use std::{io::Write, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use stockade_key_auth::{FileKeyStore, KeyStore};
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

fuzz_target!(|data: &[u8]| {
    let Some((language, text)) = data.split_first() else {
        return;
    };
    let name = ["keys.yaml", "keys.toml", "keys.json"][usize::from(language % 3)];
    let path = FOLDER.path().join(name);
    let mut file = std::fs::File::create(&path).expect("a file");
    file.write_all(text).expect("written");
    drop(file);
    match FileKeyStore::open_static(&path) {
        Ok(store) => {
            let keys = store.keys().current().len();
            assert!(keys <= text.len(), "more keys than bytes");
        }
        Err(error) => assert!(
            error.to_string().len() < 4_096,
            "an error as long as a file"
        ),
    }
});
