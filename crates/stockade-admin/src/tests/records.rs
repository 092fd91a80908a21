//! Records and usage in the database.

use std::{sync::Arc, time::Duration};

use sqlx::Row as _;
use stockade_audit::{AuditLog, EventKind, SecurityEvent};

use crate::{AdminConfig, AdminStore};

const PATIENCE: Duration = Duration::from_secs(10);

async fn numbers(store: &AdminStore, statement: &'static str) -> Vec<i64> {
    let rows = sqlx::query(statement).fetch_all(store.database().pool());
    let rows = rows.await.unwrap();
    rows.iter().map(|row| row.try_get(0).unwrap()).collect()
}

async fn store(url: &str) -> AdminStore {
    let config = AdminConfig {
        database: url.into(),
        ..AdminConfig::default()
    };
    AdminStore::open(config).await.unwrap()
}

pub(super) async fn writes_events_of_two_processes(url: &str) {
    let (one, two) = (store(url).await, store(url).await);
    let logs = [&one, &two].map(|store| AuditLog::new(store.journal().unwrap()));
    for number in 0..20 {
        for log in &logs {
            let event = SecurityEvent::new(EventKind::KeyChanged).subject("a\0\u{1f980}");
            log.event(event.detail(format!("change {number}")));
        }
    }
    logs.iter().for_each(|log| log.flush(PATIENCE).unwrap());
    const EVENTS: &str = "SELECT count(*) FROM stockade_admin_records \
        WHERE event = 'key_changed' AND kind = 2";
    assert_eq!(numbers(&one, EVENTS).await, [40]);
    const POSITIONS: &str = "SELECT count(DISTINCT position) FROM stockade_admin_records";
    // With the events of the journals.
    assert_eq!(numbers(&two, POSITIONS).await, [42]);
    assert_eq!(
        numbers(&two, "SELECT count(*) FROM stockade_admin_usage").await,
        [0]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_events_of_two_processes_to_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/admin.db", folder.path().display());
    writes_events_of_two_processes(&url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_the_last_records_after_the_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/admin.db", folder.path().display());
    let log = Arc::new(AuditLog::new(store(&url).await.journal().unwrap()));
    let other = Arc::clone(&log);
    let done = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async { other.event(SecurityEvent::new(EventKind::Stopped)) });
        drop(runtime);
        other.flush(PATIENCE)
    });
    done.join().unwrap().unwrap();
    drop(log);
    const STOPPED: &str = "SELECT count(*) FROM stockade_admin_records WHERE event = 'stopped'";
    assert_eq!(numbers(&store(&url).await, STOPPED).await, [1]);
}
