use std::io::Write;

use tempfile::NamedTempFile;

use super::*;
use crate::{GeneratedKey, KeyDigest, KeyRecord, set::Known};

const SHA: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn open(text: &str) -> Result<FileKeyStore, KeyFileError> {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    FileKeyStore::open(file.path())
}

fn knows(store: &FileKeyStore, key: &[u8]) -> bool {
    matches!(
        store.keys().current().find(&KeyDigest::of(key)),
        Known::Valid(_)
    )
}

#[test]
fn reads_the_format_that_people_have() {
    let bcrypt = bcrypt::hash("secret", 4).unwrap();
    let store = open(&format!(
        r#"
keys:
  - key_id: "team-core"
    hash: "{bcrypt}"          # bcrypt
    owner: "admin@example.com"
    scopes: ["*"]
    created_at: "2025-01-01T00:00:00Z"
    expires_at: "2026-01-01T00:00:00Z"
  - key_id: other
    hash: {SHA}
  - key_id: third
    hash: $argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc
"#
    ))
    .unwrap();
    assert_eq!(store.keys().current().len(), 3);
    assert!(knows(&store, b"abc"));
    assert!(!knows(&store, b"abd"));
}

#[test]
fn says_which_line_is_wrong() {
    let good = format!("keys:\n  - key_id: a\n    hash: \"{SHA}\"\n");
    for (text, line, says) in [
        (
            format!("{good}  - key_id: b c\n    hash: \"{SHA}\"\n"),
            4,
            "no key id",
        ),
        (
            format!("{good}  - key_id: b\n    hash: hunter2\n"),
            5,
            "key b: hash: the hash is of no known kind",
        ),
        (
            format!("{good}    scopes: [\"chat:*\"]\n"),
            4,
            "key a: scopes:",
        ),
        (
            format!("{good}    expires_at: tomorrow\n"),
            4,
            "key a: expires_at: it is no time",
        ),
        (
            format!("{good}    expires_at: \"2026-01-01\"\n"),
            4,
            "2026-01-31T23:59:59Z",
        ),
        (
            format!("{good}    expired_at: \"2026-01-01T00:00:00Z\"\n"),
            4,
            "expired_at",
        ),
        (
            format!(
                "{good}  - key_id: a\n    hash: \"sha256:{}\"\n",
                "0".repeat(64)
            ),
            4,
            "two keys with the id a",
        ),
        (
            format!("{good}  - key_id: b\n    hash: \"{SHA}\"\n"),
            4,
            "the same hash",
        ),
        (format!("{good}  - key_id: b\n"), 4, "hash"),
        ("keys: [{key_id: a, hash: \"x".to_owned(), 1, ""),
        ("keys: 3\n".to_owned(), 1, ""),
        ("{".to_owned(), 1, ""),
    ] {
        let error = open(&text).unwrap_err();
        assert_eq!(error.kind(), KeyFileErrorKind::Invalid);
        assert_eq!(error.line(), Some(line), "{text}\n{error}");
        assert!(error.to_string().contains(says), "{text}\n{error}");
        assert!(!error.to_string().contains("ba7816bf"), "{error}");
    }
}

// A24
#[test]
fn refuses_ids_that_look_like_others() {
    for id in ["tеam", "a\u{200b}", "a b", ""] {
        let error = open(&format!(
            "keys:\n  - key_id: \"{id}\"\n    hash: \"{SHA}\"\n"
        ));
        assert!(error.unwrap_err().to_string().contains("no key id"), "{id}");
    }
}

// A23
#[test]
fn does_not_open_without_keys_to_read() {
    let missing = FileKeyStore::open("/nonexistent/keys.yaml").unwrap_err();
    assert_eq!(missing.kind(), KeyFileErrorKind::Unreadable);
    let folder = FileKeyStore::open(std::env::temp_dir()).unwrap_err();
    assert_eq!(folder.kind(), KeyFileErrorKind::Unreadable);
    assert_eq!(open("").unwrap_err().kind(), KeyFileErrorKind::Invalid);
    assert_eq!(
        open("# nothing\n").unwrap_err().kind(),
        KeyFileErrorKind::Invalid
    );
    assert!(open("keys: []\n").unwrap().keys().current().is_empty());
}

// A22
#[test]
fn a_file_cut_anywhere_is_refused_or_gives_nothing_away() {
    let expiry = "2026-01-01T00:00:00Z";
    let whole = format!(
        "keys:\n  - key_id: a\n    hash: \"{SHA}\"\n    expires_at: {expiry}\n    scopes: [\"x\"]\n"
    );
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &whole).unwrap();
    let store = FileKeyStore::open(file.path()).unwrap();
    let mut taken = Vec::new();
    for at in 0..whole.len() {
        std::fs::write(file.path(), &whole[..at]).unwrap();
        if store.reload().is_ok() {
            taken.push(whole[..at].lines().last().unwrap());
        }
        assert!(knows(&store, b"abc"), "cut at {at}");
    }
    // Only cuts behind a whole value are taken.
    let hash = format!("    hash: \"{SHA}\"");
    let expires = format!("    expires_at: {expiry}");
    for line in &taken {
        let whole = [&*hash, &*expires, "    scopes: [\"x\"]"];
        assert!(whole.contains(line) || line.trim().is_empty(), "{line:?}");
    }

    std::fs::write(file.path(), "keys: []\n").unwrap();
    store.reload().unwrap();
    assert!(!knows(&store, b"abc"));
}

#[test]
fn writes_what_it_reads() {
    let key = GeneratedKey::new("sk", "team-core".parse().unwrap()).unwrap();
    let record = KeyRecord::new(key.id().clone(), key.digest())
        .owner("a \"b\" \\ \u{7} ü: # -")
        .scopes("chat:write models:read".parse().unwrap())
        .created(stockade_core::Timestamp::from_secs(1_735_689_600))
        .expires(stockade_core::Timestamp::from_secs(1_767_225_600));
    let yaml = format!("keys:\n{}", to_yaml(&record));
    assert!(
        yaml.contains("created_at: \"2025-01-01T00:00:00Z\""),
        "{yaml}"
    );
    let store = open(&yaml).unwrap();
    match store.keys().current().find(&key.digest()) {
        Known::Valid(entry) => {
            assert_eq!(entry.principal, record.principal());
            assert_eq!(entry.expires, record.expires_at());
        }
        _ => panic!("the key is not found:\n{yaml}"),
    }
}
