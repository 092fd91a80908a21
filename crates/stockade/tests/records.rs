//! Tests the destinations of audit records.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;

use stockade::{Config, Environment, Fence, Format};
use stockade_key_auth::{GeneratedKey, KeyRecord, to_yaml};
use tempfile::TempDir;

/// Builds a fence with this `[audit]` section in a folder.
async fn fence(folder: &TempDir, audit: &str) -> Result<Fence, String> {
    let key = GeneratedKey::new("sk", "team".parse().unwrap()).unwrap();
    let record = KeyRecord::new(key.id().clone(), key.digest());
    let keys = format!("keys:\n{}", to_yaml(&record));
    fs::write(folder.path().join("keys.yaml"), keys).unwrap();
    fs::write(folder.path().join("audit.key"), [b'k'; 32]).unwrap();
    let audit = audit.replace("FOLDER", folder.path().to_str().unwrap());
    let config = format!(
        "[auth]\nkeys_file = \"keys.yaml\"\n[audit]\non_overflow = \"fail_closed\"\n{audit}"
    );
    let mut config = Config::parse(&config, Format::Toml, &Environment::default()).unwrap();
    config.resolve_paths(folder.path());
    assert!(!format!("{config:?}").contains("hunter2"));
    let fence = Fence::from_config(&config).await;
    fence.map_err(|error| error.to_string())
}

#[tokio::test]
async fn requires_a_destination() {
    let folder = tempfile::tempdir().unwrap();
    let error = fence(&folder, "").await.unwrap_err();
    assert!(
        error.contains("set audit.file, audit.database, or both"),
        "{error}"
    );
    assert!(fence(&folder, "file = \"app.log\"\n").await.is_ok());
}

#[cfg(not(any(feature = "postgres", feature = "sqlite")))]
#[tokio::test]
async fn refuses_a_database_without_the_feature() {
    let folder = tempfile::tempdir().unwrap();
    let url = "database = \"postgres://me:hunter2@db/audit\"\n";
    let error = fence(&folder, url).await.unwrap_err();
    assert!(
        error.contains("without the features `sqlite` and `postgres`"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
}

#[cfg(feature = "sqlite")]
mod sql {
    use std::{io::Read, time::Duration};

    use stockade_audit::{EventKind, SecurityEvent, Sink};
    use stockade_sqlx::SqlSink;

    use super::*;

    const DATABASE: &str = "database = \"sqlite:FOLDER/audit.db\"\n";

    fn event(fence: &Fence, subject: &'static str) {
        let event = SecurityEvent::new(EventKind::KeyRevoked).subject(subject);
        fence.audit().event(event);
        fence.audit().flush(Duration::from_secs(30)).unwrap();
    }

    /// Returns the records in the database.
    fn kept(folder: &TempDir, log: &str) -> String {
        let url = format!("sqlite:{}/audit.db", folder.path().display());
        let stored = SqlSink::builder(url)
            .log(log)
            .open()
            .unwrap()
            .stored_log()
            .unwrap();
        let mut lines = String::new();
        stored.log.unwrap().read_to_string(&mut lines).unwrap();
        lines
    }

    #[tokio::test]
    async fn records_to_a_database_instead_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let audit = format!("{DATABASE}database_log = \"a\"\nkey_file = \"audit.key\"\n");
        for subject in ["first", "second"] {
            let fence = fence(&folder, &audit).await.unwrap();
            assert!(fence.to_string().contains("in a database"), "{fence}");
            event(&fence, subject);
        }
        let lines = kept(&folder, "a");
        assert!(
            lines.contains("first") && lines.contains("second"),
            "{lines}"
        );
        assert!(lines.contains("\"past\":\"intact\""), "{lines}");
    }

    #[tokio::test]
    async fn records_to_a_database_in_addition_to_files() {
        let folder = tempfile::tempdir().unwrap();
        let audit = format!(
            "{DATABASE}file = \"app.log\"\nsecurity_file = \"audit.log\"\ndatabase_keep_days = 30\n"
        );
        let fence = fence(&folder, &audit).await.unwrap();
        event(&fence, "team-7");
        let file = fs::read_to_string(folder.path().join("audit.log")).unwrap();
        assert!(file.contains("team-7"), "{file}");
        assert!(kept(&folder, "stockade").contains("team-7"));
    }

    #[tokio::test]
    async fn errors_of_a_database_do_not_contain_the_password() {
        let folder = tempfile::tempdir().unwrap();
        for (audit, expected) in [
            (
                "database = \"postgres://me:hunter2@127.0.0.1:1/x\"\n",
                "audit.database: ",
            ),
            (
                "database = \"sqlite::memory:\"\n",
                "audit.database: audit records cannot be stored in memory",
            ),
            (
                "database = \"sqlite:FOLDER/a.db\"\nsecurity_file = \"audit.log\"\n",
                "audit.security_file: requires audit.file",
            ),
        ] {
            let error = fence(&folder, audit).await.unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
