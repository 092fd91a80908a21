use std::os::unix::fs::PermissionsExt;

use stockade_core::identity::QuotaOverrides;
use tempfile::TempDir;

use super::*;
use crate::{GeneratedKey, KeyDigest, KeyHash, PreviousHash};

const SHA: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// A key file in a temporary folder.
struct Scratch {
    folder: TempDir,
    path: PathBuf,
}

impl Scratch {
    fn new(name: &str, text: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        Self { folder, path }
    }

    fn open(&self) -> Result<FileKeyStore, KeyFileError> {
        FileKeyStore::open(&self.path)
    }
}

fn open(text: &str) -> Result<FileKeyStore, KeyFileError> {
    Scratch::new("keys.yaml", text).open()
}

fn knows(store: &FileKeyStore, key: &[u8]) -> bool {
    let keys = store.keys().current();
    let found = keys.find(&KeyDigest::of(key));
    found.is_some_and(|entry| !entry.key.revoked)
}

fn one_key() -> String {
    format!("keys:\n  - key_id: a\n    hash: \"{SHA}\"\n")
}

#[test]
fn reads_handwritten_yaml() {
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

// FH15
#[test]
fn reads_bare_hashes_and_scope_strings() {
    // Unquoted hashes that look like numbers.
    let digits = "1".repeat(64);
    let exponent = format!("1e{}", "2".repeat(62));
    let bare = SHA.replace("sha256:", "");
    let store = open(&format!(
        "keys:\n  - key_id: a\n    hash: {bare}\n    scopes: \"chat:write,models:read\"\n  \
         - key_id: b\n    hash: {digits}\n    scopes: chat:write models:read\n  \
         - key_id: c\n    hash: {exponent}\n    scopes: chat:write,  models:read,\n  \
         - key_id: d\n    hash: '{}'\n    scopes:\n  \
         - key_id: e\n    hash: '{}'\n    scopes: ''\n",
        "d".repeat(64),
        "e".repeat(64),
    ));
    let store = store.unwrap();
    assert!(knows(&store, b"abc"));
    let scopes = |id| {
        let set = store.keys().current();
        let key = set.keys().find(|key| key.id.as_str() == id).unwrap();
        key.principal.scopes().to_string()
    };
    for id in ["a", "b", "c"] {
        assert_eq!(scopes(id), "chat:write models:read", "{id}");
    }
    assert_eq!((scopes("d"), scopes("e")), (String::new(), String::new()));
    for name in ["keys.toml", "keys.json"] {
        let text = match name {
            "keys.toml" => format!("[[keys]]\nkey_id = 'a'\nhash = '{bare}'\nscopes = 'x, y'\n"),
            _ => format!(
                "{{\"keys\": [{{\"key_id\": \"a\", \"hash\": \"{bare}\", \"scopes\": \"x y\"}}]}}"
            ),
        };
        let parsed = KeyFileFormat::of(Path::new(name)).parse(&text).unwrap();
        assert_eq!(parsed.records.list()[0].scopes.to_string(), "x y");
    }
    let error = open(&format!("{}    scopes: \"a,b*\"\n", one_key())).unwrap_err();
    assert!(error.to_string().contains("scopes:"), "{error}");
}

#[test]
fn reports_lines_in_yaml() {
    let good = one_key();
    for (text, line, says) in [
        (
            format!("{good}  - key_id: b c\n    hash: \"{SHA}\"\n"),
            4,
            "key_id: \"b c\" is not a valid key id",
        ),
        (
            format!("{good}  - key_id: b\n    hash: hunter2\n"),
            5,
            "hash: unknown hash format",
        ),
        (format!("{good}    scopes: [\"chat:*\"]\n"), 4, "scopes:"),
        (
            format!("{good}    networks: [\"10.0.0.0/99\"]\n"),
            4,
            "networks:",
        ),
        (
            format!("{good}    expires_at: tomorrow\n"),
            4,
            "invalid time",
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
            "two keys have the id a",
        ),
        (
            format!("{good}  - key_id: b\n    hash: \"{SHA}\"\n"),
            4,
            "the same hash",
        ),
        (
            format!("{good}  - key_id: b\n"),
            4,
            "the key b: it has neither `hash` nor `certificate`; add one",
        ),
        (
            format!("{good}    certificate: spiffe://example.org/a\n"),
            2,
            "the key a: it has `hash` and `certificate`; remove one",
        ),
        (
            format!("{good}  - key_id: b\n    certificate: example.org/a\n"),
            5,
            "certificate: a SPIFFE ID begins with `spiffe://`, for example",
        ),
        (
            format!("{good}  - key_id: b\n    hash: certificate:spiffe://example.org/a\n"),
            5,
            "write `certificate: spiffe://example.org/a` in its place",
        ),
        (
            format!(
                "{good}  - key_id: b\n    certificate: spiffe://d/a\n  - key_id: c\n    \
                     certificate: spiffe://d/a\n"
            ),
            6,
            "the keys c and b have the same certificate; remove one",
        ),
        (
            format!(
                "{good}  - key_id: b\n    certificate: spiffe://d/a\n    previous_hash: \
                     \"sha256:{}\"\n    previous_until: 2030-01-01T00:00:00Z\n",
                "5".repeat(64)
            ),
            4,
            "the key b: a certificate has no previous secret",
        ),
        (
            format!("{good}    previous_until: 2030-01-01T00:00:00Z\n"),
            2,
            "require each other",
        ),
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

#[test]
fn reports_lines_in_toml_and_json() {
    let toml = Scratch::new(
        "keys.toml",
        &format!("[[keys]]\nkey_id = \"a\"\nhash = \"{SHA}\"\nexpires_at = \"soon\"\n"),
    );
    let json = Scratch::new(
        "keys.json",
        &format!(
            "{{\"keys\": [\n{{\"key_id\": \"a\",\n\"hash\": \"{SHA}\",\n\"expires_at\": \"soon\"}}]}}"
        ),
    );
    for file in [toml, json] {
        let error = file.open().unwrap_err();
        assert_eq!(error.line(), Some(4), "{error}");
        assert!(error.to_string().contains("invalid time"), "{error}");
        assert!(!error.to_string().contains("ba7816bf"), "{error}");
    }
}

// A24
#[test]
fn rejects_lookalike_ids() {
    for id in ["tеam", "a\u{200b}", "a b", ""] {
        let error = open(&format!(
            "keys:\n  - key_id: \"{id}\"\n    hash: \"{SHA}\"\n"
        ));
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("not a valid key id"),
            "{id}"
        );
    }
}

// A04
#[test]
fn rejects_expensive_hashes_with_their_line() {
    let hash = "$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    let error = open(&format!("keys:\n  - key_id: a\n    hash: {hash}\n")).unwrap_err();
    assert_eq!(error.line(), Some(3));
    assert!(error.to_string().contains("the bcrypt cost"), "{error}");
}

// FP04
#[test]
fn rejects_hashes_of_well_known_secrets() {
    for (id, secret) in [("b", "password"), ("b.2", ""), ("c", "admin\n")] {
        let hash = KeyDigest::of(secret.as_bytes());
        let hex = hash.to_string().replace("sha256:", "");
        for hash in [hash.to_string(), format!("$sha256${hex}")] {
            let error = open(&format!(
                "{}  - key_id: {id}\n    hash: \"{hash}\"\n",
                one_key()
            ));
            let error = error.unwrap_err();
            assert_eq!(error.kind(), KeyFileErrorKind::Invalid);
            assert_eq!(error.line(), Some(4), "{error}");
            let text = error.to_string();
            assert!(
                text.contains(&format!("the key {id}: its hash is that of a")),
                "{text}"
            );
            assert!(!text.contains(&hex), "{text}");
        }
    }
}

// A23
#[test]
fn rejects_missing_and_empty_files() {
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

// A22, FA09
#[test]
fn truncated_handwritten_file_lifts_no_restriction() {
    let yaml = format!(
        "{}    expires_at: 2026-01-01T00:00:00Z\n    scopes: [x]\n    networks:\n      \
         - 10.0.0.0/16\n      - 10.1.0.0/16\n    quotas:\n      concurrency: 12\n    \
         revoked_at: 2025-01-01T00:00:00Z\n",
        one_key()
    );
    let toml = format!(
        "[[keys]]\nkey_id = \"a\"\nhash = \"{SHA}\"\nexpires_at = \"2026-01-01T00:00:00Z\"\n\
         networks = [\"10.0.0.0/16\",\n  \"10.1.0.0/16\"]\nrevoked_at = \"2025-01-01T00:00:00Z\"\n\
         [keys.quotas]\nconcurrency = 12\n"
    );
    for (name, whole) in [("keys.yaml", yaml), ("keys.toml", toml)] {
        let file = Scratch::new(name, &whole);
        let store = FileKeyStore::open_static(&file.path).unwrap();
        for at in 0..whole.len() {
            fs::write(&file.path, &whole[..at]).unwrap();
            let reloaded = store.reload().is_ok();
            let set = store.keys().current();
            let key = set.keys().next().expect("the key exists");
            assert!(
                key.revoked
                    && key.expires() == Some(Timestamp::from_secs(1_767_225_600))
                    && key.networks.len() == 2
                    && key.quotas().concurrency.map(|one| one.get()) == Some(12),
                "{name}, cut at {at}"
            );
            assert!(!reloaded || whole[at..].trim().is_empty(), "{name}: {at}");
        }
        let failures = store.health().status().failures;
        assert!(failures > 200, "{failures}");

        let marked = match name {
            "keys.yaml" => format!("format: 2\n{}end: true\n", one_key()),
            _ => format!("format = 2\n[[keys]]\nkey_id = \"a\"\nhash = \"{SHA}\"\n[end]\n"),
        };
        fs::write(&file.path, marked).unwrap();
        store.reload().unwrap();
        assert!(
            knows(&store, b"abc"),
            "{name}: the marked file lifts the restrictions"
        );
        let none = KeyFileFormat::of(&file.path).write(&[]);
        fs::write(&file.path, none).unwrap();
        store.reload().unwrap();
        assert!(!knows(&store, b"abc"));
    }
}

// FA09
#[test]
fn end_marker_protects_handwritten_files() {
    let yaml = format!(
        "format: 2\n{}    revoked_at: 2025-01-01T00:00:00Z\nend: true\n",
        one_key()
    );
    let toml = format!(
        "format = 2\n[[keys]]\nkey_id = \"a\"\nhash = \"{SHA}\"\n\
         revoked_at = \"2025-01-01T00:00:00Z\"\n[keys.quotas]\nconcurrency = 12\n[end]\n"
    );
    for (name, whole) in [("keys.yaml", yaml), ("keys.toml", toml)] {
        let format = KeyFileFormat::of(Path::new(name));
        format.parse(&whole).unwrap();
        for at in 0..whole.trim_end().len() {
            assert!(format.parse(&whole[..at]).is_err(), "{name}, cut at {at}");
        }
    }
    for (text, says) in [
        ("format: 2\nkeys: []\n", "`end: true`"),
        ("keys: []\nend: false\n", "or absent"),
        ("format: 3\nkeys: []\nend: true\n", "`format` must be 2"),
        ("format: 2\nend: true\nkeys: []\n", "move the marker"),
    ] {
        let error = open(text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

// A22
#[test]
fn special_files_leave_the_active_keys_unchanged() {
    let file = Scratch::new("keys.yaml", &one_key());
    let store = FileKeyStore::open_static(&file.path).unwrap();
    fs::remove_file(&file.path).unwrap();
    let fifo = std::process::Command::new("mkfifo")
        .arg(&file.path)
        .status();
    assert!(fifo.unwrap().success());
    assert_eq!(
        store.reload().unwrap_err().kind(),
        KeyFileErrorKind::Unreadable
    );

    fs::remove_file(&file.path).unwrap();
    assert_eq!(
        store.reload().unwrap_err().kind(),
        KeyFileErrorKind::Unreadable
    );
    fs::create_dir(&file.path).unwrap();
    assert_eq!(
        store.reload().unwrap_err().kind(),
        KeyFileErrorKind::Unreadable
    );
    fs::remove_dir(&file.path).unwrap();
    std::os::unix::fs::symlink("keys.yaml", &file.path).unwrap();
    assert_eq!(
        store.reload().unwrap_err().kind(),
        KeyFileErrorKind::Unreadable
    );

    assert!(knows(&store, b"abc"));
    assert_eq!(store.health().status().failures, 4);
}

fn full_record() -> KeyRecord {
    let key = GeneratedKey::new("sk", "team-core".parse().unwrap()).unwrap();
    let mut record = KeyRecord::new(key.id().clone(), key.digest())
        .owner("a \"b\" \\ \u{7} ü: # -")
        .scopes("* chat:write models:read".parse().unwrap())
        .networks(["10.0.0.0/8".parse().unwrap()])
        .created(Timestamp::from_secs(1_735_689_600))
        .expires(Timestamp::from_secs(1_767_225_600));
    record.name = Some("yes".to_owned());
    record.models = Some(vec!["1e3".to_owned(), "null".to_owned()]);
    record.quotas = QuotaOverrides::default();
    record.quotas.requests_per_minute = std::num::NonZeroU32::new(60);
    record.last_used = Some(Timestamp::from_nanos(1_735_689_600_000_000_001));
    record.metadata = [("~".to_owned(), "2025-01-01".to_owned())].into();
    record.previous = Some(PreviousHash {
        hash: SHA.parse().unwrap(),
        until: Timestamp::from_secs(1_735_700_000),
    });
    record
}

#[test]
fn round_trips_all_formats() {
    for name in ["keys.yaml", "keys.toml", "keys.json"] {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join(name);
        let store = FileKeyStore::create_or_open(&path).unwrap();
        assert!(store.keys().current().is_empty());
        let records = Records::new([full_record()]).unwrap();
        write(&path, &KeyFileFormat::of(&path).write(&records.list())).unwrap();
        assert_eq!(
            read(&path).unwrap().parsed.records,
            records,
            "{}",
            fs::read_to_string(&path).unwrap()
        );
        store.reload().unwrap();
        assert!(knows(&store, b"abc"), "{name}: the previous hash");
    }
}

#[tokio::test]
async fn certificates_are_read_and_written_in_all_formats() {
    let yaml = "# Ours.\nkeys:\n  - key_id: agent # of the lab\n    \
                certificate: spiffe://example.org/agent\n";
    let toml = "# Ours.\n[[keys]]\nkey_id = \"agent\" # of the lab\n\
                certificate = \"spiffe://example.org/agent\"\n";
    let json = "{\"keys\": [\n{\"key_id\": \"agent\",\n\
                \"certificate\": \"spiffe://example.org/agent\"}\n]}\n";
    for (name, text) in [("k.yaml", yaml), ("k.toml", toml), ("k.json", json)] {
        let file = Scratch::new(name, text);
        let store = FileKeyStore::open_static(&file.path).unwrap();
        let [record]: [KeyRecord; 1] = store.list().await.unwrap().try_into().unwrap();
        let id = record.hash.as_certificate().unwrap();
        assert_eq!(id.as_str(), "spiffe://example.org/agent", "{name}");
        let keys = store.keys().current();
        assert!(keys.find_certificate(&id.digest()).is_some(), "{name}");
        // The text of the identity is no secret.
        assert!(!knows(&store, id.as_str().as_bytes()), "{name}");
        assert_eq!(keys.requirements().certificates, 1);

        let at = Timestamp::from_secs(1_735_689_600);
        let change = KeyChange::Revoke { at };
        store.change(record.id.clone(), change).await.unwrap();
        let mut other = record.clone();
        other.id = "other".parse().unwrap();
        other.hash = KeyHash::certificate("spiffe://example.org/other".parse().unwrap());
        store.create(other).await.unwrap();
        let text = fs::read_to_string(&file.path).unwrap();
        let records = read(&file.path).unwrap().parsed.records.list();
        assert_eq!(records.len(), 2, "{text}");
        assert_eq!(records[0].revoked, Some(at), "{text}");
        assert_eq!(records[0].hash, record.hash, "{text}");
        assert!(!text.contains("hash"), "{text}");
        if name != "k.json" {
            assert!(text.contains("# of the lab"), "{text}");
        }
    }
}

#[test]
fn yaml_entry_parses_under_keys() {
    let record = full_record();
    let yaml = format!("keys:\n{}", to_yaml(&record));
    assert!(yaml.contains("2025-01-01T00:00:00Z"), "{yaml}");
    assert_eq!(
        KeyFileFormat::Yaml.parse(&yaml).unwrap().records.list(),
        [record],
        "{yaml}"
    );
}

#[tokio::test]
async fn preserves_links_and_permissions_except_for_others() {
    let file = Scratch::new("real.yaml", &one_key());
    fs::set_permissions(&file.path, fs::Permissions::from_mode(0o644)).unwrap();
    let link = file.folder.path().join("keys.yaml");
    std::os::unix::fs::symlink(&file.path, &link).unwrap();
    let store = FileKeyStore::open(&link).unwrap();
    store
        .create(full_record().created(Timestamp::from_secs(1)))
        .await
        .unwrap_err();
    let mut other = full_record();
    other.previous = None;
    store.create(other).await.unwrap();

    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let mode = || fs::metadata(&file.path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o640);
    assert_eq!(read(&file.path).unwrap().parsed.records.list().len(), 2);
    assert_eq!(
        fs::read_dir(file.folder.path()).unwrap().count(),
        2,
        "no temporary file remains"
    );
}

/// Waits for another thread, with a generous time-out.
// A22, FP02
/// An unrestricted key, then a revoked, an expired and a network-bound one, and one with a
/// certificate.
fn restricted_records() -> Vec<KeyRecord> {
    let key = |id: &str| KeyRecord::new(id.parse().unwrap(), KeyDigest::of(id.as_bytes()));
    let mut free = key("a-free");
    free.scopes = "*".parse().unwrap();
    let mut revoked = key("b-revoked").scopes("chat:write".parse().unwrap());
    revoked.revoked = Some(Timestamp::from_secs(1_735_689_600));
    let expired = key("c-expired").expires(Timestamp::from_secs(1_735_689_600));
    let mut bound = full_record();
    bound.id = "d-bound".parse().unwrap();
    bound.networks.push("192.168.0.0/16".parse().unwrap());
    bound.previous = None;
    let certificate = KeyHash::certificate("spiffe://example.org/agent".parse().unwrap());
    let certified = KeyRecord::new("e-certified".parse().unwrap(), certificate);
    vec![free, revoked, expired, bound, certified]
}

// FA09
#[test]
fn rejects_truncation_of_written_files_anywhere() {
    for name in ["keys.yaml", "keys.toml", "keys.json"] {
        // Each of the keys is the last one of a file once.
        for count in 1..=restricted_records().len() {
            let records = restricted_records().into_iter().take(count);
            let records = Records::new(records).unwrap();
            let format = KeyFileFormat::of(Path::new(name));
            let whole = format.write(&records.list());
            for at in 0..whole.len() {
                // Invalid UTF-8 is rejected in any case.
                let cut = whole.get(..at).and_then(|cut| format.parse(cut).ok());
                if let Some(parsed) = cut {
                    let cut = &whole[..at];
                    assert_eq!(parsed.records, records, "{name}, cut at {at}:\n{cut}");
                }
            }
        }
    }
}

// FP04, FH13
#[tokio::test]
async fn create_all_is_atomic() {
    let file = Scratch::new("keys.yaml", &format!("# Ours.\n{}", one_key()));
    let store = FileKeyStore::open_static(&file.path).unwrap();
    let key = |id: &str, text: &[u8]| KeyRecord::new(id.parse().unwrap(), KeyDigest::of(text));
    for bad in [
        key("b", b"changeme"),
        key("a", b"another"),
        key("b", b"abc"),
    ] {
        let both = vec![key("c", b"a third one"), bad];
        store.create_all(both).await.unwrap_err();
        assert_eq!(store.list().await.unwrap().len(), 1);
    }
    let both = vec![key("c", b"a third one"), key("b", b"another")];
    store.create_all(both).await.unwrap();
    assert_eq!(store.list().await.unwrap().len(), 3);
    assert!(knows(&store, b"another"));
    assert!(
        fs::read_to_string(&file.path)
            .unwrap()
            .starts_with("# Ours.\n")
    );
}
